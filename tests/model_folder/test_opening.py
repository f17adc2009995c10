"""A model folder opens everywhere, by every Auto class, and a broken one is refused in words."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import SIZE, WIDTHS, picture, tiny_folder, tiny_model

from fakeface import Detector
from fakeface.configuration_fakeface import CODE_VERSION
from fakeface.evaluation.calibration import store_in_config
from fakeface.model_folder.checksums import SUMS, write_sums
from fakeface.model_folder.opening import ModelFolderError, default_model, load_model_folder
from fakeface.modeling_fakeface import FakeFaceForImageClassification

AUTO = "AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageClassification, pipeline"
FAKEFACE_FIRST = f"""
import fakeface
assert not {{"torch", "transformers"}} & set(sys.modules), "import fakeface is slow"
from transformers import {AUTO}
"""
TRANSFORMERS_FIRST = f"""
from transformers import {AUTO}
import fakeface
"""
# A checkout on the path or an editable install must not help.
WITHOUT_FAKEFACE = f"""
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "fakeface":
            raise ModuleNotFoundError("there is no fakeface here")
sys.meta_path.insert(0, Blocker())
from transformers import {AUTO}
"""
# Runs in a process of its own. It opens every folder by every Auto class and demands the logits of this process.
OPEN_ALL = """
import torch
from PIL import Image
from safetensors.torch import load_file

def stdin(*args):
    raise AssertionError("asked on stdin: " + " ".join(map(str, args)))

import builtins
builtins.input = stdin

for case in cases:
    folder, expected = case["folder"], load_file(case["expected"])
    with torch.no_grad():
        config = AutoConfig.from_pretrained(folder, **trust)
        model = AutoModelForImageClassification.from_pretrained(folder, **trust)
        base = AutoModel.from_pretrained(folder, **trust)
        pixel_values = AutoImageProcessor.from_pretrained(folder, **trust)(
            Image.open(case["picture"]), return_tensors="pt"
        )["pixel_values"]
        assert config.architecture == case["architecture"]
        assert torch.equal(pixel_values, expected["pixel_values"]), "pixels"
        assert torch.equal(model(pixel_values).logits, expected["logits"]), "logits"
        assert torch.equal(base(pixel_values).last_hidden_state, expected["features"]), "features"
        ready = pipeline("image-classification", model=folder, device="cpu", **trust)(case["picture"])
    assert abs({each["label"]: each["score"] for each in ready}["generated"] - case["score"]) < 1e-6, "pipeline"
    homes = {type(thing).__module__.partition(".")[0] for thing in (config, model, base)}
    assert homes == {home}, homes
assert ("fakeface" in sys.modules) == (home == "fakeface")
print("opened", len(cases))
"""


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """A folder of each architecture, and what this process makes of a picture with it."""
    folder = tmp_path_factory.mktemp("folders")
    picture().save(folder / "picture.png")
    found = []
    for architecture in WIDTHS:
        detector = Detector.from_pretrained(
            tiny_folder(folder / architecture, architecture, bias=0.3), device="cpu", faces=False
        )
        pixel_values = detector.processor(picture(), return_tensors="pt")["pixel_values"]
        with torch.no_grad():
            logits = detector.model(pixel_values).logits
            assert isinstance(detector.model, FakeFaceForImageClassification)
            features = detector.model.fakeface(pixel_values).last_hidden_state
        expected = {"pixel_values": pixel_values, "logits": logits, "features": features.clone()}
        save_file(expected, folder / f"{architecture}.safetensors")
        found.append(
            {
                "architecture": architecture,
                "folder": str(folder / architecture),
                "expected": str(folder / f"{architecture}.safetensors"),
                "picture": str(folder / "picture.png"),
                "score": detector(folder / "picture.png").score,
            }
        )
    return found


def run_elsewhere(code: str, tmp_path: Path, *flags: str) -> str:
    """Run code in a fresh process, away from the checkout and with an empty Hugging Face home."""
    environment = os.environ | {
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_CACHE": str(tmp_path / "home" / "hub"),
        "HF_HUB_OFFLINE": "1",
    }
    command = [sys.executable, *flags, "-c", code]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=540
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("imports", [FAKEFACE_FIRST, TRANSFORMERS_FIRST], ids=["fakeface first", "transformers first"])
def test_import_fakeface_opens_a_folder_by_every_auto_class(imports: str, cases: list[dict], tmp_path: Path):
    path = str(Path(sys.modules["fakeface"].__file__ or "").parents[1])
    setting = f"import sys\nsys.path.append({path!r})\ncases, trust, home = {cases!r}, {{}}, 'fakeface'\n"
    assert run_elsewhere(setting + imports + OPEN_ALL, tmp_path).splitlines()[-1] == f"opened {len(WIDTHS)}"


def test_a_process_without_the_package_opens_a_folder_by_every_auto_class(cases: list[dict], tmp_path: Path):
    trust = {"trust_remote_code": True}
    setting = f"import sys\ncases, trust, home = {cases!r}, {trust!r}, 'transformers_modules'\n"
    # -I: neither the working directory nor PYTHONPATH is on the path.
    assert (
        run_elsewhere(setting + WITHOUT_FAKEFACE + OPEN_ALL, tmp_path, "-I").splitlines()[-1] == f"opened {len(WIDTHS)}"
    )


def test_a_snapshot_in_the_hub_cache_opens_by_its_id(tmp_path: Path):
    repository = tmp_path / "home" / "hub" / "models--someone--tiny"
    commit = "0123456789abcdef0123456789abcdef01234567"
    tiny_folder(repository / "snapshots" / commit, "logistic")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    path = str(Path(sys.modules["fakeface"].__file__ or "").parents[1])
    code = (
        f"import sys; sys.path.append({path!r}); from fakeface import Detector; "
        "print(Detector.from_pretrained('someone/tiny').config.architecture)"
    )
    assert run_elsewhere(code, tmp_path).splitlines()[-1] == "logistic"


def test_who_asks_for_no_dtype_gets_float32_though_the_file_has_16_bits(tmp_path: Path):
    from transformers import AutoModelForImageClassification

    from fakeface.image_processing_fakeface import FakeFaceImageProcessor
    from fakeface.model_folder.saving import save_model_folder

    folder = save_model_folder(
        tmp_path / "half", tiny_model("resnet50-cnn"), FakeFaceImageProcessor(size=SIZE), half=True
    )
    assert load_file(folder / "model.safetensors")["classifier.fc1.weight"].dtype == torch.float16
    pixel_values = torch.rand(2, 3, SIZE, SIZE)
    ours, _ = load_model_folder(str(folder))
    theirs = AutoModelForImageClassification.from_pretrained(folder)
    assert {value.dtype for value in [*ours.parameters(), *theirs.parameters()]} == {torch.float32}
    assert torch.equal(ours.eval()(pixel_values).logits, theirs.eval()(pixel_values).logits)


def test_who_asks_for_bfloat16_gets_batch_norm_in_float32_and_finite_logits(tmp_path: Path):
    from transformers import AutoModelForImageClassification

    model = AutoModelForImageClassification.from_pretrained(tiny_folder(tmp_path, "resnet50-cnn"), dtype=torch.bfloat16)
    kinds = {name: value.dtype for name, value in model.state_dict().items() if value.is_floating_point()}
    assert kinds["fakeface.trunk.conv1.weight"] == torch.bfloat16
    for name in (
        "fakeface.trunk.bn1",
        "fakeface.trunk.layer1.0.downsample.1",
        "fakeface.blocks.0.norm",
        "classifier.norm1",
    ):
        assert {kinds[f"{name}.weight"], kinds[f"{name}.running_var"]} == {torch.float32}, name
    assert torch.isfinite(model.eval()(torch.rand(2, 3, SIZE, SIZE)).logits).all()


def test_the_code_files_of_a_folder_never_run_here(tmp_path: Path):
    tiny_folder(tmp_path)
    for file in tmp_path.glob("*_fakeface.py"):
        file.write_text("raise SystemExit('the code of the folder ran')")
    model, _ = load_model_folder(str(tmp_path))
    assert type(model) is FakeFaceForImageClassification


def test_fields_that_would_bring_in_more_than_the_folder_are_not_taken(tmp_path: Path):
    before, _ = load_model_folder(str(tiny_folder(tmp_path)))
    edit(tmp_path / "config.json", quantization_config={"quant_method": "gptq"}, attn_implementation="them/kernels")
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "them/model"}')
    after, _ = load_model_folder(str(tmp_path))
    assert torch.equal(*(model.get_parameter("classifier.out.weight") for model in (before, after)))
    assert getattr(after.config, "quantization_config", None) is None
    assert after.config._attn_implementation != "them/kernels"


def edit(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def retensor(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors")


def pickle_only(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def cut_off(folder: Path) -> None:
    os.truncate(folder / "model.safetensors", (folder / "model.safetensors").stat().st_size - 1)


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda f: (f / "config.json").unlink(), "tiny: config.json is missing"),
    "config is not a JSON": (lambda f: (f / "config.json").write_text("{,"), "tiny/config.json: cannot be read"),
    "config is not a text": (lambda f: (f / "config.json").write_bytes(b"\xff"), "tiny/config.json: cannot be read"),
    "config is a list": (lambda f: (f / "config.json").write_text("[]"), "tiny/config.json: holds no JSON object"),
    "config is huge": (
        lambda f: os.truncate(f / "config.json", 2**30), "tiny/config.json: cannot be read (far too large)"
    ),
    "config nests too deep": (
        lambda f: (f / "config.json").write_text("[" * 400_000), "tiny/config.json: cannot be read"
    ),
    "another kind of model": (
        lambda f: edit(f / "config.json", model_type="vit"), '"model_type" is "vit", not "fakeface"'
    ),
    "a later format": (
        lambda f: edit(f / "config.json", format_version=5),
        "tiny/config.json: format_version is 5: this fakeface reads 1 to 4; a newer fakeface wrote it, so upgrade",
    ),
    "unknown architecture": (
        lambda f: edit(f / "config.json", architecture="vgg"),
        "tiny/config.json: unknown architecture 'vgg': choose one of logistic, cnn, resnet50-cnn",
    ),
    "thresholds in the wrong order": (
        lambda f: edit(f / "config.json", threshold_real=0.9, threshold_generated=0.1),
        "tiny/config.json: thresholds must satisfy 0 <= threshold_real <= threshold_generated <= 1, not 0.9 and 0.1",
    ),
    "threshold is a NaN": (lambda f: edit(f / "config.json", threshold_real=math.nan), "thresholds must satisfy"),
    "threshold is a word": (lambda f: edit(f / "config.json", threshold_real="low"), "'threshold_real' expected"),
    "labels the other way round": (
        lambda f: edit(f / "config.json", id2label={"0": "generated", "1": "real"}),
        "tiny/config.json: id2label is {0: 'generated', 1: 'real'}: in this model real is 0 and generated is 1",
    ),
    "three labels": (
        lambda f: edit(f / "config.json", id2label={"0": "real", "1": "generated", "2": "cat"}), "labels must be"
    ),
    "no processor": (lambda f: (f / "preprocessor_config.json").unlink(), "tiny: preprocessor_config.json is missing"),
    "processor of another size": (
        lambda f: edit(f / "preprocessor_config.json", size=10**9),
        "tiny/preprocessor_config.json: size is 1000000000, but the model takes 32; use the file saved with this model",
    ),
    "processor divides by zero": (
        lambda f: edit(f / "preprocessor_config.json", image_std=[0, 0, 0]), "image_std is [0, 0, 0]: it takes three"
    ),
    "processor leaves a step out": (
        lambda f: edit(f / "preprocessor_config.json", do_normalize=False),
        "tiny/preprocessor_config.json: do_normalize is False, but the model takes True",
    ),
    "processor knows two colours": (
        lambda f: edit(f / "preprocessor_config.json", image_mean=[0.5, 0.5]), "tiny/preprocessor_config.json: "
    ),
    "processor crops nothing": (
        lambda f: edit(f / "preprocessor_config.json", crop_fraction=0), "crop_fraction is 0: it takes a number above 0"
    ),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "tiny: model.safetensors is missing; get the weights"),
    "pickled weights only": (pickle_only, "model.safetensors is missing; pytorch_model.bin could run code when opened"),
    "weights cut off": (cut_off, "tiny/model.safetensors: broken or cut off"),
    "weights are text": (
        lambda f: (f / "model.safetensors").write_text("version https://git-lfs"),
        "tiny/model.safetensors: broken or cut off",
    ),
    "missing tensor": (
        lambda f: retensor(f, lambda state: state.pop("classifier.fc1.bias")),
        "tiny/model.safetensors: classifier.fc1.bias is missing; fetch the folder again",
    ),
    "left-over tensor": (
        lambda f: retensor(f, lambda state: state.update(more=torch.zeros(1))),
        "tiny/model.safetensors: more is not of this model",
    ),
    "tensor of another shape": (
        lambda f: retensor(f, lambda state: state.update({"classifier.out.bias": torch.zeros(3)})),
        "tiny/model.safetensors: classifier.out.bias is (3,), the model's is (2,)",
    ),
    "config asks for 17 TB": (
        lambda f: edit(f / "config.json", conv_widths=[4, 8192], fc_widths=[8192], image_size=1024)
        or edit(f / "preprocessor_config.json", size=1024),
        "classifier.fc1.weight is (8, 256), the model's is (8192, 536870912)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_broken_folder_is_refused_with_what_is_wrong(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    tiny_folder(tmp_path / "tiny")
    breaking, words = REFUSED[case]
    breaking(tmp_path / "tiny")
    with pytest.raises(ModelFolderError) as refusal:
        load_model_folder("tiny")
    assert words in str(refusal.value)


def test_files_that_are_not_the_listed_ones_are_refused(tmp_path: Path):
    folder = tiny_folder(tmp_path / "tiny")
    write_sums(folder)
    load_model_folder(str(folder))
    retensor(folder, lambda state: state["classifier.out.bias"].add_(1))
    with pytest.raises(ModelFolderError, match=r"tiny/model\.safetensors: its sha256 is not the one in SHA256SUMS"):
        load_model_folder(str(folder))
    write_sums(folder)
    (folder / SUMS).write_text((folder / SUMS).read_text().replace("config.json", "another.json"))
    with pytest.raises(ModelFolderError, match=r"tiny/config\.json: its sha256 is not the one in SHA256SUMS"):
        load_model_folder(str(folder))
    (folder / SUMS).write_text("no list\n")
    with pytest.raises(ModelFolderError, match=r"tiny/SHA256SUMS: cannot be read \(a line is not a sha256 and name\)"):
        load_model_folder(str(folder))


def test_a_calibration_renews_the_list(tmp_path: Path):
    folder = tiny_folder(tmp_path / "tiny")
    write_sums(folder)
    store_in_config(folder, {"bias": 0.25})
    model, _ = load_model_folder(str(folder))
    assert model.config.bias == 0.25


@pytest.mark.parametrize(("version", "told"), [(CODE_VERSION, False), ("0.1.0", False), ("9.9.1", True), ("1.x", True)])
def test_a_folder_of_a_later_version_is_opened_with_the_installed_code_and_says_so(
    version: str, told: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    tiny_folder(tmp_path / "tiny")
    edit(tmp_path / "tiny" / "config.json", fakeface_version=version)
    load_model_folder(str(tmp_path / "tiny"))
    used = f"this is fakeface {CODE_VERSION}, and its own code is what is used"
    assert caplog.messages == ([f'{tmp_path}/tiny: written by fakeface "{version}"; {used}'] if told else [])


def test_the_code_states_the_version_of_the_package(repo: Path):
    assert f'version = "{CODE_VERSION}"\n' in (repo / "pyproject.toml").read_text()


def test_a_revision_of_a_folder_is_refused(tmp_path: Path):
    with pytest.raises(ModelFolderError, match="a folder, which has no revision 'v1'; leave the revision out"):
        load_model_folder(str(tiny_folder(tmp_path)), revision="v1")


def test_many_wrong_tensors_are_counted_not_listed(tmp_path: Path):
    tiny_folder(tmp_path, "logistic")
    edit(tmp_path / "config.json", architecture="cnn", conv_widths=[4, 4], fc_widths=[8])
    with pytest.raises(ModelFolderError, match=r"classifier\.fc1\.bias is missing, .* and \d+ more; fetch the folder"):
        load_model_folder(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no/such/folder", "no/such/folder: no such folder; check the path"),
        ("/no such", "/no such: no such folder; check the path"),
        (
            "someone/nothing",
            "someone/nothing: no such folder, and not in the Hub's cache, offline; unset HF_HUB_OFFLINE to fetch it",
        ),
        (__file__, "a file, not a model folder; pass the folder that holds config.json"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused_with_the_cure(name: str, words: str):
    with pytest.raises(ModelFolderError) as refusal:
        load_model_folder(name)
    assert words in str(refusal.value)


def test_the_default_model_is_the_environments_first(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FAKEFACE_MODEL", "someone/model")
    assert default_model() == default_model(fast=True) == "someone/model"


def test_without_a_default_model_the_cure_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("FAKEFACE_MODEL", raising=False)
    monkeypatch.setattr("fakeface.utils.shipped.PACKAGE", tmp_path / "fakeface")
    with pytest.raises(ModelFolderError, match="pass a model folder or a Hub id, or set FAKEFACE_MODEL"):
        default_model()


@pytest.mark.parametrize(
    ("there", "fast", "expected"),
    [
        (("vit-b16-cnn", "resnet50-cnn"), False, "vit-b16-cnn"),
        (("vit-b16-cnn", "resnet50-cnn"), True, "resnet50-cnn"),
        (("resnet50-cnn",), False, "resnet50-cnn"),
        (("resnet50-cnn",), True, "resnet50-cnn"),
        (("vit-b16-cnn",), False, "vit-b16-cnn"),
    ],
)
def test_of_the_shipped_models_the_thorough_one_is_the_default(
    there: tuple[str, ...], fast: bool, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.delenv("FAKEFACE_MODEL", raising=False)
    monkeypatch.setattr("fakeface.utils.shipped.PACKAGE", tmp_path / "fakeface")
    for name in there:
        (tmp_path / "checkpoints" / f"fakeface-{name}").mkdir(parents=True)
    assert default_model(fast) == tmp_path / "checkpoints" / f"fakeface-{expected}"


def test_the_thorough_model_does_not_stand_in_for_the_fast_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("FAKEFACE_MODEL", raising=False)
    monkeypatch.setattr("fakeface.utils.shipped.PACKAGE", tmp_path / "fakeface")
    (tmp_path / "checkpoints" / "fakeface-vit-b16-cnn").mkdir(parents=True)
    with pytest.raises(ModelFolderError, match="pass a model folder or a Hub id"):
        default_model(fast=True)


def test_the_default_model_is_that_of_the_checkout_or_in_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("FAKEFACE_MODEL", raising=False)
    monkeypatch.setattr("fakeface.utils.shipped.PACKAGE", tmp_path / "fakeface")
    shipped = tmp_path / "checkpoints" / "fakeface-resnet50-cnn"
    shipped.mkdir(parents=True)
    assert default_model() == shipped
    inside = tmp_path / "fakeface" / "checkpoints" / "fakeface-resnet50-cnn"  # where a wheel has it
    inside.mkdir(parents=True)
    assert default_model() == inside
