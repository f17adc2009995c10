"""The command `fakeface`: what it prints, where, and with which exit code."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import typer
from hostile import chunk
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import load_file, save_file
from tiny import picture, tiny_folder, tiny_model
from typer.testing import CliRunner, Result

from fakeface.cli import commands as cli
from fakeface.model_folder.fingerprint import fingerprint

SCORE_AND_VERDICT = r"[01]\.\d{3}  (?:generated|uncertain|real     )"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_folder(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.fixture(autouse=True)
def _folder_of_its_own(tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FAKEFACE_MODEL", model)
    picture().save("a.png")


def of_noise(command: str, *arguments: str) -> list[str]:
    """A command on pictures without faces, whose centre it shall judge."""
    return [command, *(["--no-faces"] if command in ("predict", "score", "explain") else []), *arguments]


def invoke(*arguments: str) -> Result:
    result = CliRunner().invoke(cli.app, of_noise(*arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def start(*arguments: str) -> subprocess.Popen[str]:
    """The command in a process of its own, with the package of this one."""
    code = f"import sys; sys.path.append({str(Path(cli.__file__).parents[2])!r}); from fakeface.cli import main; main()"
    command = [sys.executable, "-c", code, *of_noise(*arguments)]
    # A job in the background of a script is born deaf to Ctrl-C, and so would be its children.
    listen = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=listen)


def huge_png(side: int = 30_000) -> bytes:
    """A sound PNG of one-bit pixels: 110 kB that decode to 113 MB."""
    packer = zlib.compressobj()
    rows = b"".join([*(packer.compress(bytes(1 + side // 8)) for _ in range(side)), packer.flush()])
    header = side.to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def write_bad_input(folder: Path) -> None:
    folder.mkdir()
    (folder / "text.jpg").write_text("I am no picture.")
    (folder / "empty.png").touch()
    picture().save(folder / "cut.jpg")
    os.truncate(folder / "cut.jpg", (folder / "cut.jpg").stat().st_size // 2)
    (folder / "huge.png").write_bytes(huge_png())


def write_odd_input(folder: Path) -> None:
    folder.mkdir()
    frames = [picture(), picture(seed=1)]
    for suffix in ("gif", "webp"):
        frames[0].save(folder / f"animated.{suffix}", save_all=True, append_images=frames[1:], duration=100)
    picture().convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(np.linspace(0, 65535, 96 * 80, dtype=np.uint16).reshape(80, 96)).save(folder / "deep.png")
    picture().convert("RGBA").save(folder / "alpha.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture().save(folder / "turned.jpg", exif=exif)


def test_bad_input_is_named_and_the_rest_goes_on(tmp_path: Path):
    write_bad_input(tmp_path / "bad")
    write_odd_input(tmp_path / "odd")
    with start("predict", "bad", "nowhere.jpg", "odd") as run:
        shown, complaints = run.communicate(timeout=540)
    assert run.returncode == 0, complaints
    lines = [re.fullmatch(rf"{SCORE_AND_VERDICT}  odd/(\S+)", line) for line in shown.splitlines()]
    assert [line and line[1] for line in lines] == [
        "alpha.png", "animated.gif", "animated.webp", "cmyk.jpg", "deep.png", "turned.jpg"
    ]  # fmt: skip
    assert [line.split(": ")[0] for line in complaints.splitlines()] == [
        "bad/cut.jpg", "bad/empty.png", "bad/huge.png", "bad/text.jpg", "nowhere.jpg"
    ]  # fmt: skip


def test_a_line_is_score_verdict_and_path():
    shown = invoke("predict", "a.png").stdout
    assert re.fullmatch(rf"{SCORE_AND_VERDICT}  a\.png\n", shown), shown


def test_json_has_one_object_per_picture_refused_ones_too():
    Path("text.jpg").write_text("I am no picture.")
    result = invoke("predict", "--json", "text.jpg", "a.png")
    refused, judged = map(json.loads, result.stdout.splitlines())
    assert (result.exit_code, result.stderr) == (0, "")
    assert refused["picture"] == "text.jpg"
    assert refused["error"].startswith("text.jpg: ")
    assert refused["score"] is refused["verdict"] is judged["error"] is None
    assert judged["picture"] == "a.png"
    assert 0 <= judged["score"] <= 1
    assert judged["verdict"] in ("real", "generated", "uncertain")


def test_provenance_says_what_the_file_claims():
    info = PngInfo()
    info.add_text("Software", "Midjourney")
    picture().save("b.png", pnginfo=info)
    lines = invoke("predict", "b.png", "--provenance").stdout.splitlines()
    assert lines[1] == "       format: PNG"
    assert lines[-2:] == ["       says it was made by: Midjourney", "       software: Midjourney"]
    (claim,) = json.loads(invoke("predict", "b.png", "--provenance", "--json").stdout)["provenance"]["claims"]
    assert claim == {"name": "software", "value": "Midjourney", "says": "generated", "made_by": "Midjourney"}


def test_a_report_of_one_picture_is_written_beside_what_is_printed():
    shown = invoke("predict", "a.png", "--report", "a.html")
    assert re.fullmatch(rf"{SCORE_AND_VERDICT}  a\.png\n", shown.stdout), shown.stdout
    page = Path("a.html").read_text("utf-8")
    assert hashlib.sha256(Path("a.png").read_bytes()).hexdigest() in page
    assert shown.stdout[:5] in page


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("a.png", "a.png", "--report", "b.html"), "--report tells of one picture; name one, or leave it out"),
        ((".", "--report", "b.html"), "--report tells of one picture; name one, or leave it out"),
        (("a.png", "--report", "a.png"), "a.png: is the picture itself; name another file to write"),
        (("a.png", "--report", "none/b.html"), "none"),
    ],
)
def test_a_report_that_cannot_be_is_refused(arguments: tuple[str, ...], complaint: str):
    before = Path("a.png").read_bytes()
    refused = invoke("predict", *arguments)
    assert refused.exit_code == 2
    assert complaint in refused.stderr
    assert Path("a.png").read_bytes() == before
    assert not Path("b.html").exists()


def test_a_picture_that_cannot_be_read_has_no_report():
    Path("text.jpg").write_text("I am no picture.")
    refused = invoke("predict", "text.jpg", "--report", "b.html")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith("text.jpg: ")
    assert not Path("b.html").exists()


def test_nothing_readable_is_exit_code_1():
    result = invoke("predict", "none.jpg")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "none.jpg: no such file; check the path\n"


def test_what_a_folder_holds_beside_pictures_is_counted_on_stderr(tmp_path: Path):
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads" / "9e107d9d").write_bytes((tmp_path / "a.png").read_bytes())
    (tmp_path / "uploads" / "index").write_text("no picture")
    result = invoke("predict", "uploads")
    assert (result.exit_code, result.stdout.split()[-1]) == (0, "uploads/9e107d9d")
    line = "other files: 1 without a picture's suffix read, by the first bytes, 1 passed over as no pictures\n"
    assert result.stderr == line


def test_a_folder_without_pictures_is_exit_code_1(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    result = invoke("predict", "empty")
    assert (result.exit_code, result.stderr) == (1, "empty: no pictures there\n")


def test_an_address_is_not_taken_for_a_path():
    result = invoke("predict", "http://127.0.0.1/a.png")
    assert result.exit_code == 1
    assert "http://127.0.0.1/a.png: " in result.stderr
    assert "no such file" not in result.stderr


def lose_tensor(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    del state["classifier.out.bias"]
    save_file(state, folder / "model.safetensors")


def unknown_architecture(folder: Path) -> None:
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"architecture": "cnn"', '"architecture": "vgg"'))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (unknown_architecture, "broken/config.json: unknown architecture 'vgg'"),
        (lose_tensor, "broken/model.safetensors: classifier.out.bias is missing"),
    ],
)
def test_a_wrong_model_folder_is_exit_code_2(change: Callable[[Path], None], words: str, tmp_path: Path):
    tiny_folder(tmp_path / "broken")
    change(tmp_path / "broken")
    for command in (["predict", "a.png"], ["explain", "a.png", "--out", "why.png"]):
        result = invoke(*command, "--model", "broken")
        assert (result.exit_code, result.stdout) == (2, "")
        assert words in result.stderr
        assert result.stderr.count("\n") == 1


def test_a_wrong_device_is_exit_code_2():
    result = invoke("predict", "a.png", "--device", "abacus")
    assert (result.exit_code, result.stderr.split(":")[0]) == (2, "no device 'abacus' here")


def test_a_name_cannot_pass_for_another_line_or_steer_the_terminal():
    picture().save("x\n0.000  real       y\x1b[2J.png", "PNG")
    picture().save(os.fsdecode(b"\xff.png"), "PNG")
    result = invoke("predict", ".")
    assert [line[18:] for line in result.stdout.splitlines()] == [
        "a.png", r"x\n0.000  real       y\x1b[2J.png", r"\udcff.png"
    ]  # fmt: skip
    named = [json.loads(line)["picture"] for line in invoke("predict", "--json", ".").stdout.splitlines()]
    assert named[2] == r"\udcff.png"


def test_a_name_that_begins_with_a_dash_goes_behind_two():
    picture().save("-x.png")
    assert invoke("predict", "--", "-x.png").stdout.endswith("  -x.png\n")


def first_line(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline()


MANY = ["a.png"] * 20_000  # some minutes of work, unless it is stopped


def test_a_reader_that_has_enough_ends_it_quietly():
    with start("predict", *MANY) as run:
        assert first_line(run.stdout).endswith("  a.png\n")
        assert run.stdout is not None
        run.stdout.close()
        assert run.stderr is not None
        assert run.stderr.read() == ""
    assert run.returncode == 1


def test_ctrl_c_ends_it_quietly():
    with start("predict", *MANY) as run:
        assert first_line(run.stdout).endswith("  a.png\n")
        run.send_signal(signal.SIGINT)
        _, complaints = run.communicate(timeout=540)
    assert run.returncode == 130
    assert "Traceback" not in complaints


def test_explain_saves_the_picture_with_the_map_over_it():
    result = invoke("explain", "a.png", "--out", "why.png")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == invoke("predict", "a.png").stdout
    with Image.open("why.png") as overlay:
        assert (overlay.size, overlay.mode) == ((96, 80), "RGB")


def test_explain_takes_method_layer_and_crop():
    result = invoke("explain", "a.png", "--out", "why.png", "--crop", "--layer", "block1", "--method", "layer-cam")
    assert result.exit_code == 0, result.stderr
    with Image.open("why.png") as overlay:
        assert overlay.size == (32, 32)  # the square, at the model's size


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["a.png", "--out", "why.png", "--layer", "attic"], 2, "unknown layer 'attic': this model has block1"),
        (["none.jpg", "--out", "why.png"], 1, "none.jpg: no such file; check the path"),
        (["a.png", "--out", "./a.png"], 2, "a.png: is the picture itself; name another file to write"),
        (["a.png", "--out", "why.xyz"], 2, "why.xyz: .xyz is not a format of pictures; name a file such as why.png"),
        (["a.png", "--out", "no/why.png"], 2, "no/why.png: cannot be written (No such file or directory)"),
        (["a.png", "--out", "why.png", "--method", "guess"], 2, "unknown method 'guess': choose one of grad-cam"),
        (["a.png", "--out", "why.png", "--label", "fake"], 2, "unknown label 'fake': choose one of real, generated"),
    ],
)
def test_explain_refuses_in_one_line(arguments: list[str], code: int, words: str):
    before = Path("a.png").read_bytes()
    result = invoke("explain", *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert Path("a.png").read_bytes() == before
    assert not Path("why.png").exists()


def test_faces_are_looked_for_by_default():
    assert CliRunner().invoke(cli.app, ["predict", "a.png"]).stdout == "  -    no face    a.png\n"


def test_demo_says_in_one_line_why_it_cannot_start(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FAKEFACE_MODEL", "no/such/folder")
    with start("demo", "--port", "1") as run:
        shown, complaints = run.communicate(timeout=540)
    assert (run.returncode, shown) == (1, "")
    assert complaints.startswith("no/such/folder: ")
    assert complaints.count("\n") == 1


def test_score_writes_a_row_for_each_picture_and_predict_agrees():
    Path("text.jpg").write_text("I am no picture.")
    options = ("--out", "r.jsonl", "--dtype", "float32", "--crops", "2", "--workers", "1")
    result = invoke("score", "text.jpg", "a.png", *options)
    assert result.exit_code == 0, result.stderr
    verdict = json.loads(invoke("predict", "--json", "a.png", "--crops", "2").stdout)
    first, second = map(json.loads, Path("r.jsonl").read_text().splitlines())
    assert (first["picture"], first["reason"]) == ("text.jpg", "not-a-picture")
    assert {name: second[name] for name in verdict} == verdict
    assert result.stdout == (
        f"r.jsonl: 1 pictures: 1 {verdict['verdict']}\n1 rejected, see r.rejects.jsonl: 1 not-a-picture\n"
    )
    assert verdict["score"] != json.loads(invoke("predict", "--json", "a.png").stdout)["score"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["a.png", "--out", "r.txt"], 2, "r.txt: results are written as .parquet, .csv or .jsonl"),
        (["a.png", "--out", "no/r.csv"], 2, "no: no such folder; make it first"),
        (["a.png", "--out", "there.csv"], 2, "there.csv: is there already; name another file, or give --overwrite"),
        (["none.jpg", "--out", "r.csv"], 1, "no picture could be read\n1 rejected, see r.rejects.csv: 1 missing"),
        (["hf://datasets/x", "--out", "r.csv"], 2, "it takes the form hf://datasets/OWNER/NAME"),
    ],
)
def test_score_refuses_in_one_line(arguments: list[str], code: int, words: str):
    Path("there.csv").write_text("precious")
    result = invoke("score", *arguments, "--workers", "1")
    assert (result.exit_code, Path("there.csv").read_text()) == (code, "precious")
    assert words in (result.stderr if code == 2 else result.stdout)
    assert result.stderr.count("\n") == (1 if code == 2 else 0)


def test_score_reads_a_list_from_stdin():
    result = CliRunner().invoke(
        cli.app, ["score", "-", "--no-faces", "--out", "r.csv", "--workers", "1"], input="a.png\n"
    )
    assert result.exit_code == 0, result.stderr
    assert Path("r.csv").read_text().splitlines()[1].startswith("a.png,0.")


@pytest.fixture
def two_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout that ships a thorough and a fast model, told apart by their scores; none in the environment."""
    monkeypatch.delenv("FAKEFACE_MODEL")
    monkeypatch.setattr("fakeface.utils.shipped.PACKAGE", tmp_path / "fakeface")
    tiny_folder(tmp_path / "checkpoints" / "fakeface-vit-b16-cnn", "logistic", bias=-1)
    tiny_folder(tmp_path / "checkpoints" / "fakeface-resnet50-cnn", "cnn", bias=1)
    return tmp_path / "checkpoints"


def test_fast_takes_the_quicker_of_the_shipped_models(two_shipped: Path):
    lines = {
        name: invoke("predict", "a.png", "--model", str(two_shipped / f"fakeface-{name}")).stdout
        for name in ("vit-b16-cnn", "resnet50-cnn")
    }
    assert len(set(lines.values())) == 2
    for words in (("predict", "a.png"), ("explain", "a.png", "--out", "why.png")):
        assert invoke(*words).stdout == lines["vit-b16-cnn"]
        assert invoke(*words, "--fast").stdout == lines["resnet50-cnn"]
    options = ("--dtype", "float32", "--workers", "1")
    for name, fast in (("vit-b16-cnn", ()), ("resnet50-cnn", ("--fast",))):
        assert invoke("score", "a.png", "--out", f"{name}.jsonl", *options, *fast).exit_code == 0
        score = json.loads(Path(f"{name}.jsonl").read_text())["score"]
        assert lines[name].startswith(f"{score:.3f}  ")


@pytest.mark.parametrize(
    "words", [("predict", "a.png"), ("score", "a.png", "--out", "r.csv"), ("explain", "--out", "w.png", "a.png")]
)
def test_fast_and_a_named_model_do_not_go_together(words: tuple[str, ...], model: str):
    result = invoke(*words, "--fast", "--model", model)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "fast chooses among the shipped models; leave it out, or name no model" in result.stderr


def test_demo_serves_the_quicker_model_too(two_shipped: Path, monkeypatch: pytest.MonkeyPatch):
    served: list[str] = []
    monkeypatch.setattr("fakeface.app.serving.serve", lambda service, about: served.append(about.name))
    for words in ((), ("--fast",)):
        assert CliRunner().invoke(cli.app, ["demo", *words]).exit_code == 0
    assert served == ["fakeface-vit-b16-cnn", "fakeface-resnet50-cnn"]


@pytest.fixture
def cascading(two_shipped: Path, tmp_path: Path) -> dict[str, str]:
    """Ten pictures, of which the fast model decides some; the names of those, and of the others, as predict tells."""
    for seed in range(10):
        picture(seed=seed).save(f"{seed}.png")
    names = [f"{seed}.png" for seed in range(10)]
    fast = two_shipped / "fakeface-resnet50-cnn"
    rows = [json.loads(line) for line in invoke("predict", *names, "--fast", "--json").stdout.splitlines()]
    low, high = np.quantile([row["score"] for row in rows], [0.25, 0.75]).tolist()
    lines = {"threshold_real": low, "threshold_generated": high}
    first = fingerprint(str(tiny_folder(fast, "cnn", bias=1, **lines)), tiny_model("cnn", bias=1).config)
    bounds = {"first": first, "real_up_to": low, "generated_from": high}
    tiny_folder(two_shipped / "fakeface-vit-b16-cnn", "logistic", bias=-1, cascade=bounds, **lines)
    return {row["picture"]: "fast" if row["score"] <= low or row["score"] >= high else "thorough" for row in rows}


def test_a_cascade_asks_the_thorough_model_about_the_rest(cascading: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    def scores(*words: str) -> dict[str, float]:
        if words[0] == "score":
            options = ("--out", "out.jsonl", "--overwrite", "--dtype", "float32", "--workers", "2")
            assert invoke("score", *cascading, *options, *words[1:]).exit_code == 0
            lines = Path("out.jsonl").read_text()
        else:
            lines = invoke("predict", *cascading, "--json", *words[1:]).stdout
        return {row["picture"]: row["score"] for row in map(json.loads, lines.splitlines())}

    alone = {"fast": scores("predict", "--fast"), "thorough": scores("predict")}
    expected = {name: alone[model][name] for name, model in cascading.items()}
    assert set(cascading.values()) == {"fast", "thorough"}
    assert scores("predict", "--cascade") == pytest.approx(expected, abs=1e-6)
    assert scores("score", "--cascade") == pytest.approx(expected, abs=1e-6)
    assert scores("score") == pytest.approx(alone["thorough"], abs=1e-6)
    monkeypatch.setattr("fakeface.cli.score.CASCADES", True)
    assert scores("score") == pytest.approx(expected, abs=1e-6)
    assert scores("score", "--no-cascade") == pytest.approx(alone["thorough"], abs=1e-6)
    assert scores("score", "--fast") == pytest.approx(alone["fast"], abs=1e-6)


def test_an_unfinished_run_is_not_taken_up_with_a_cascade(cascading: dict[str, str], tmp_path: Path):
    from fakeface import Detector
    from fakeface.score.run import _digest

    alone, both, other = (
        Detector.from_pretrained(faces=False, **options)  # pyright: ignore
        for options in ({}, {"cascade": True}, {"cascade": True, "bounds": (0.0, 1.0)})
    )
    assert len({_digest([], detector) for detector in (alone, both, other)}) == 3


@pytest.fixture
def pointed(tmp_path: Path) -> str:
    """A model that calls a.png generated at its own operating point, and leaves it open at the strict one."""
    score = json.loads(invoke("predict", "a.png", "--json").stdout)["score"]
    points = {"strict": {"fpr": 0.001, "threshold_generated": (1 + score) / 2}}
    own = {"threshold_real": score / 4, "threshold_generated": score / 2, "target_fpr": 0.01}
    return str(tiny_folder(tmp_path / "pointed", operating_points=points, **own))


def test_commands_judge_at_the_operating_point_that_is_named(pointed: str):
    strict = ("--operating-point", "strict")
    assert "generated" in invoke("predict", "a.png", "-m", pointed).stdout
    assert "uncertain" in invoke("predict", "a.png", "-m", pointed, *strict).stdout
    assert "1 generated" in invoke("score", "a.png", "-m", pointed, "--out", "a.csv").stdout
    assert "1 uncertain" in invoke("score", "a.png", "-m", pointed, "--out", "b.csv", *strict).stdout
    assert "uncertain" in invoke("explain", "a.png", "-m", pointed, "--out", "why.png", *strict).stdout


def test_an_operating_point_that_a_model_lacks_is_refused_with_the_cure(pointed: str):
    refused = invoke("predict", "a.png", "-m", pointed, "--operating-point", "triage")
    assert refused.exit_code == 2
    assert "was not calibrated for the operating point triage; set it with `fakeface calibrate`" in refused.stderr


def test_demo_serves_the_operating_point_that_is_named(pointed: str, monkeypatch: pytest.MonkeyPatch):
    from fakeface.app import serving

    monkeypatch.setenv("FAKEFACE_MODEL", pointed)
    served: list[float | None] = []
    monkeypatch.setattr(serving, "serve", lambda service, about: served.append(service.detector.config.target_fpr))
    invoke("demo", "--operating-point", "strict")
    invoke("demo")
    assert served == [0.001, 0.01]


def test_version_and_help():
    assert re.fullmatch(r"fakeface \d\S*\n", invoke("--version").stdout)
    shown = invoke("--help").stdout
    assert all(command in shown for command in ("predict", "score", "explain", "demo"))


def pages(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The command lines of all help pages."""
    yield (*path, "--help")
    for name, inner in getattr(command, "commands", {}).items():
        yield from pages(inner, (*path, name))


OLDER = tuple(int(part) for part in typer.__version__.split(".")[:2]) < (0, 20)


@pytest.mark.skipif(OLDER, reason="older Typers lay out their pages otherwise")
def test_help_pages_are_whole():
    """Lines once broke in the middle of a sentence, switches showed a type, and lists were cut off."""
    for words in pages(typer.main.get_command(cli.app)):
        shown = CliRunner().invoke(cli.app, words, env={"COLUMNS": "80"}).stdout
        assert "bool" not in shown, words
        # Usage names what may come several times `[INPUTS]...`.
        assert not [line for line in shown.splitlines() if line.endswith("...") and line[-4] not in "]}"], words
        paragraph = shown.split("\n\n")[1:3]
        for lines in (text.splitlines() for text in paragraph if text.startswith("  ")):
            # A line ends where the next word does not fit.
            for line, following in pairwise(lines):
                assert len(line) + 1 + len(following.split()[0]) > 78, (words, line)


def test_a_picture_in_the_place_of_a_command_is_predicted():
    assert CliRunner().invoke(cli.app, ["a.png", "--no-faces"]).stdout == invoke("predict", "a.png").stdout
