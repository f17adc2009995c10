"""From the command to the Hub and back: a stranger without the package opens what was pushed, and gets our logits."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hub.server import SOMEONE, TOKEN, Hub, serve
from tiny import picture, tiny_folder

import fakeface
from fakeface import Detector
from fakeface.model_folder.checksums import changed_files, listed_files, write_sums
from fakeface.model_folder.opening import ModelFolderError
from fakeface.release.check import FolderCheckError, check_folder
from fakeface.release.export import export_folder
from fakeface.release.push import push_model

PACKAGE = Path(fakeface.__file__).parents[1]
COMPLETE = [
    "LICENSE",
    "README.md",
    "config.json",
    "configuration_fakeface.py",
    "image_processing_fakeface.py",
    "model.safetensors",
    "modeling_fakeface.py",
    "preprocessor_config.json",
]
# Runs with an empty cache, away from the package. Prints logits, features' shape and the pipeline's score.
STRANGER = """
import json, sys
class NoFakeface:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "fakeface":
            raise ModuleNotFoundError("there is no fakeface here")
sys.meta_path.insert(0, NoFakeface())
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoModelForImageClassification, pipeline
repo, revision, picture = sys.argv[1:]
options = {"trust_remote_code": True, "revision": revision}
inputs = AutoImageProcessor.from_pretrained(repo, **options)(Image.open(picture), return_tensors="pt")
with torch.no_grad():
    logits = AutoModelForImageClassification.from_pretrained(repo, **options).eval()(**inputs).logits[0].tolist()
    features = AutoModel.from_pretrained(repo, **options).eval()(**inputs).last_hidden_state
scores = pipeline("image-classification", model=repo, device="cpu", **options)(picture)
print(json.dumps([logits, list(features.shape), {each["label"]: each["score"] for each in scores}]))
"""
DETECTOR = """
import sys
from fakeface import Detector, ModelFolderError
for repo, revision in zip(sys.argv[2::2], sys.argv[3::2]):
    try:
        print(repr(Detector.from_pretrained(repo, revision=revision or None, faces=False)(sys.argv[1]).score))
    except ModelFolderError as error:
        print(error)
"""


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with serve() as hub:
        yield hub


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("made") / "model", "resnet50-cnn", bias=0.3, temperature=1.5)


def run(hub: Hub, home: Path, *arguments: str, token: str = TOKEN, **environment: str):
    settings = {**hub.environment(home / "home", token), "PYTHONPATH": str(PACKAGE), **environment}
    command = [sys.executable, *arguments]
    home.mkdir(exist_ok=True)
    return subprocess.run(
        command, cwd=home, env=settings, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=540,
        check=False,
    )  # fmt: skip


def judge(hub: Hub, home: Path, *wanted: tuple[str, str], token: str = TOKEN, **environment: str) -> list[str]:
    """Of each repository and revision: the score of the picture, or what the refusal says."""
    picture().save(home / "picture.png")
    pairs = [part for pair in wanted for part in pair]
    done = run(hub, home, "-c", DETECTOR, "picture.png", *pairs, token=token, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def expected(folder: Path) -> tuple[torch.Tensor, float]:
    detector = Detector.from_pretrained(folder, device="cpu", faces=False)
    pixel_values = detector.processor(picture(), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        logits = detector.model(pixel_values=pixel_values).logits[0]
    return logits, logits.softmax(0)[1].item()


def test_what_is_pushed_opens_everywhere_with_the_same_logits(hub: Hub, model: Path, tmp_path: Path):
    shutil.copytree(model, tmp_path / "trained")
    (tmp_path / "trained/training.json").write_text('{"recipe": {}}')
    listed = run(hub, tmp_path, "-m", "fakeface", "push", "trained", "nobody/faces", "--dry-run")
    assert listed.returncode == 0, listed.stderr
    names = [line.split()[1] for line in listed.stdout.splitlines()[:-1]]
    assert names == [*COMPLETE, "training.json", "SHA256SUMS"]
    assert "models/nobody/faces" not in hub.repositories
    pushed = run(hub, tmp_path, "-m", "fakeface", "push", "trained", "nobody/faces", "--private")
    assert (pushed.returncode, pushed.stderr) == (0, "")
    assert pushed.stdout.startswith(f"{hub.endpoint}/nobody/faces/tree/main: sent ")
    assert TOKEN not in pushed.stdout + listed.stdout
    repository = hub.repositories["models/nobody/faces"]
    assert repository.private
    assert len(repository.history) == 2  # the Hub's own, and the model's
    card = repository.files["README.md"].data.decode()
    assert 'model="nobody/faces"' in card
    assert "license: apache-2.0" in card

    logits, score = expected(model)
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    picture().save(stranger / "picture.png")
    done = run(hub, stranger, "-I", "-c", STRANGER, "nobody/faces", repository.history[-1], "picture.png")
    assert done.returncode == 0, done.stderr[-3000:]
    found, shape, scores = json.loads(done.stdout.splitlines()[-1])
    assert torch.equal(torch.tensor(found), logits)
    assert shape[:2] == [1, 8]
    assert scores["generated"] == pytest.approx(score, abs=1e-6)
    ours = judge(hub, stranger, ("nobody/faces", repository.history[-1]), ("nobody/faces", "main"))
    assert [float(line) for line in ours] == [pytest.approx(score, abs=1e-6)] * 2


def test_a_model_that_nobody_measured_is_not_sent(model: Path):
    """Fine-tuned by another program, it has no thresholds of its own; it was sent with those that it started from."""
    with pytest.raises(FolderCheckError, match=r"nobody measured it; `fakeface calibrate` fits its thresholds"):
        push_model(str(model), "nobody/faces", dry_run=True)


def test_a_model_that_does_not_open_without_the_package_is_not_sent(hub: Hub, model: Path, tmp_path: Path):
    """The check itself: an exported folder whose code files are broken afterwards."""
    export_folder(str(model), tmp_path / "out")
    code = tmp_path / "out" / "modeling_fakeface.py"
    code.write_text(code.read_text().replace("/ self.config.temperature", "/ 7"))
    with pytest.raises(FolderCheckError, match=r"modeling_fakeface\.py: is not what SHA256SUMS lists"):
        check_folder(tmp_path / "out")
    write_sums(tmp_path / "out")
    with pytest.raises(FolderCheckError, match=r"gives logits \S+ apart without the package"):
        check_folder(tmp_path / "out")
    code.write_text("import fakeface\n")
    write_sums(tmp_path / "out")
    with pytest.raises(FolderCheckError, match=r"does not open without the package .*there is no fakeface here"):
        check_folder(tmp_path / "out")


SPOILED: dict[str, tuple[str, str, str]] = {
    "a token": (
        "training.json",
        json.dumps({"command": "train.py --token hf_" + "a" * 34}),
        "has an access token in it",
    ),
    "a pickle": ("pytorch_model.bin", "", "no part of a model folder"),
    "no metadata": ("README.md", "# A model\n", "its metadata lacks library_name, license, pipeline_tag"),
    "broken metadata": ("README.md", "---\nlicense: [\n---\n", "its metadata is not valid"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_what_is_not_fit_for_strangers_is_named(case: str, model: Path, tmp_path: Path):
    file, content, words = SPOILED[case]
    export_folder(str(model), tmp_path / "out")
    (tmp_path / "out" / file).write_text(content)
    write_sums(tmp_path / "out")
    with pytest.raises(FolderCheckError, match=words) as refusal:
        check_folder(tmp_path / "out")
    assert str(tmp_path / "out" / file) in str(refusal.value)
    assert "a" * 34 not in str(refusal.value)


def test_the_same_model_gives_the_same_bytes_and_an_export_of_an_export_too(model: Path, tmp_path: Path):
    for name in ("one", "two"):
        export_folder(str(model), tmp_path / name / "model")
    export_folder(str(tmp_path / "two" / "model"), tmp_path / "three" / "model")
    contents = [
        {file: (tmp_path / name / "model" / file).read_bytes() for file in (*COMPLETE, "SHA256SUMS")}
        for name in ("one", "two", "three")
    ]
    assert contents[0] == contents[1] == contents[2]
    assert listed_files(tmp_path / "one" / "model") == COMPLETE
    assert changed_files(tmp_path / "one" / "model", COMPLETE) == []


def test_an_export_replaces_no_folder_of_another_kind(model: Path, tmp_path: Path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    with pytest.raises(ModelFolderError, match="home: holds something else than a model; name a new folder"):
        export_folder(str(model), tmp_path / "home")
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["thesis.txt"]


def test_onnx_files_come_along_only_with_their_own_model(model: Path, tmp_path: Path):
    from fakeface.release.onnx import export_onnx

    export_onnx(str(model), tmp_path / "onnx-export", [picture()], kinds=["fp32"])
    export_folder(str(model), tmp_path / "out", onnx=tmp_path / "onnx-export")
    assert "onnx/model.onnx" in listed_files(tmp_path / "out")
    assert Detector.from_pretrained(tmp_path / "out" / "onnx" / "model.onnx", faces=False)(picture()).verdict
    other = tiny_folder(tmp_path / "other", "resnet50-cnn", bias=0.4, temperature=1.5)
    with pytest.raises(ModelFolderError, match=r"model\.onnx: its bias is not that of the model; export it again"):
        export_folder(str(other), tmp_path / "wrong", onnx=tmp_path / "onnx-export")
    assert not (tmp_path / "wrong").exists()


def test_what_the_hub_does_not_give_is_refused_with_the_cure(hub: Hub, model: Path, tmp_path: Path):
    export_folder(str(model), tmp_path / "out")
    files: dict[str, Any] = {name: (tmp_path / "out" / name).read_bytes() for name in (*COMPLETE, "SHA256SUMS")}
    commit = hub.add("models/nobody/mine", files, private=True)
    hub.add("models/nobody/gated", files, gated=True)
    hub.add("models/nobody/tampered", files | {"model.safetensors": files["model.safetensors"][:-1] + b"\x01"})
    hub.add("models/nobody/pickled", {name: data for name, data in files.items() if "safetensors" not in name}
            | {"pytorch_model.bin": b"\x80\x04"})  # fmt: skip
    hub.add("models/nobody/vit", files | {"config.json": b'{"model_type": "vit"}'})
    del hub.repositories["models/nobody/vit"].files["SHA256SUMS"]
    _, score = expected(model)
    wanted = [("nobody/mine", ""), ("nobody/mine", "v9"), ("nobody/gated", ""), ("nobody/none", "")]
    wanted += [("nobody/tampered", ""), ("nobody/pickled", ""), ("nobody/vit", ""), ("nobody/mine", commit)]

    said = judge(hub, tmp_path, *wanted)
    assert float(said[0]) == float(said[7]) == pytest.approx(score, abs=1e-6)
    assert said[1] == "nobody/mine: the Hub repository has no revision 'v9'; check its tags"
    assert said[3].startswith("nobody/none: no such folder, and no such Hub repository for you; check the spelling; if")
    assert said[4] == (
        "nobody/tampered/model.safetensors: its sha256 is not the one in SHA256SUMS; fetch the folder again; "
        "or, if you changed it yourself, remove SHA256SUMS"
    )
    assert said[5] == (
        "nobody/pickled: model.safetensors is missing; pytorch_model.bin could run code when opened, so it is not; "
        "get the weights as safetensors"
    )
    assert said[6].startswith(
        'nobody/vit/config.json: "model_type" is "vit", not "fakeface"; pass the folder of a fake'
    )

    other = tmp_path / "other"
    other.mkdir()
    for token in (SOMEONE, ""):
        said = judge(hub, other, *wanted[:3], token=token)
        assert said[0] == said[1]
        assert said[0].startswith(
            "nobody/mine: no such folder, and no such Hub repository for you; check the spelling;"
        )
        assert said[2].startswith("nobody/gated: this Hub repository is gated; accept its terms at ")
    (said,) = judge(hub, other, ("nobody/mine", ""), token="hf_nobodys")
    assert said == "nobody/mine: the Hub does not know your token; log in with `hf auth login`"

    offline = judge(
        hub, tmp_path, ("nobody/mine", ""), ("nobody/mine", commit), ("nobody/none", ""), HF_HUB_OFFLINE="1"
    )
    assert float(offline[0]) == float(offline[1]) == pytest.approx(score, abs=1e-6)
    assert offline[2] == (
        "nobody/none: no such folder, and not in the Hub's cache, offline; unset HF_HUB_OFFLINE to fetch it, or check "
        "the path"
    )
