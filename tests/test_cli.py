"""The command `fakeface`: what it prints, where, and with which exit code."""

import json
import os
import re
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from hostile import chunk
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import load_file, save_file
from tiny import picture, tiny_folder
from typer.testing import CliRunner, Result

from fakeface import cli

SCORE_AND_VERDICT = r"[01]\.\d{3}  (?:generated|uncertain|real     )"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_folder(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.fixture(autouse=True)
def _folder_of_its_own(tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FAKEFACE_MODEL", model)
    picture().save("a.png")


def invoke(*arguments: str) -> Result:
    result = CliRunner().invoke(cli.app, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def start(*arguments: str) -> subprocess.Popen[str]:
    """The command in a process of its own, with the package of this one."""
    code = f"import sys; sys.path.append({str(Path(cli.__file__).parents[1])!r}); from fakeface.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
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
    assert lines[-1] == "       software: Midjourney"
    (claim,) = json.loads(invoke("predict", "b.png", "--provenance", "--json").stdout)["provenance"]["claims"]
    assert claim == {"name": "software", "value": "Midjourney", "says": "generated"}


def test_nothing_readable_is_exit_code_1():
    result = invoke("predict", "none.jpg")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "none.jpg: no such file; check the path\n"


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
    assert os.fsencode(named[2]) == b"\xff.png"


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
        (["a.png", "--out", "why.xyz"], 2, "unknown file extension: .xyz"),
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


def test_demo_runs_the_space_of_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "space").mkdir()
    (tmp_path / "space" / "app.py").write_text("import sys; sys.exit(7)")
    monkeypatch.setattr(cli, "__file__", str(tmp_path / "fakeface" / "cli.py"))
    assert invoke("demo").exit_code == 7


def test_demo_without_a_checkout_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cli, "__file__", str(tmp_path / "site-packages" / "fakeface" / "cli.py"))
    result = invoke("demo")
    assert result.exit_code == 2
    assert "clone the repository and run `make demo`" in result.stderr


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
    result = CliRunner().invoke(cli.app, ["score", "-", "--out", "r.csv", "--workers", "1"], input="a.png\n")
    assert result.exit_code == 0, result.stderr
    assert Path("r.csv").read_text().splitlines()[1].startswith("a.png,0.")


def test_version_and_help():
    assert re.fullmatch(r"fakeface \d\S*\n", invoke("--version").stdout)
    shown = invoke("--help").stdout
    assert all(command in shown for command in ("predict", "score", "explain", "demo"))
