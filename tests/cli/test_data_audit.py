"""`fakeface data audit` and `fakeface data equalise`: what they print and write, and their exit codes."""

import json
import re

import pytest
import typer
from datasets import Value
from planted import other_quality, planted
from tiny import tiny_folder
from typer.testing import CliRunner

from fakeface.cli.data import audit, equalise

app = typer.Typer()
app.command()(audit)
app.command()(equalise)


def invoke(*arguments):
    result = CliRunner().invoke(app, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "faces.parquet"
    planted(52, quality=other_quality).to_parquet(path)
    return str(path)


def test_audit_prints_the_probes_and_writes_the_report(data, tmp_path):
    out = tmp_path / "report.html"
    result = invoke("audit", data, "--out", str(out), "--no-faces")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    jpeg = next(line for line in lines if "JPEG quality" in line)
    auc, interval, n, *words = jpeg.split()
    assert words == ["JPEG", "quality", "gives", "the", "label", "away"]
    assert float(auc) >= 0.95
    assert re.fullmatch(r"\([01]\.\d{3}–1\.000\)", interval)
    assert n == "52"
    assert re.fullmatch("– +– +– +Face position +not measured: turned off by --no-faces", lines[7])
    assert "Too few pictures to tell: on 52, " in lines[-2]
    assert lines[-1] == f"{out}, {out.with_suffix('.json')}"
    assert json.loads(out.with_suffix(".json").read_text())["pictures"] == {"real": 26, "generated": 26}


def test_faces_as_a_model_is_fed_them_are_those_that_are_found(data, tmp_path):
    result = invoke("audit", data, "--as-fed", "my/model", "--no-faces")
    assert result.exit_code != 0
    assert "--as-fed audits the faces that are found: leave out --no-faces" in result.stderr
    # Noise has no faces: every picture is refused, by the cut of the model that is named.
    folder = tiny_folder(tmp_path / "model", face_cut="landmarks")
    result = invoke("audit", data, "--as-fed", str(folder), "--limit", "4", "--out", str(tmp_path / "report.html"))
    assert result.exit_code != 0
    assert "only 0 real pictures" in result.stderr


def test_without_the_face_model_the_rest_is_measured(data, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKEFACE_FACE_MODEL", str(tmp_path / "none.onnx"))
    result = invoke("audit", data, "--out", str(tmp_path / "report.html"))
    assert result.exit_code == 0
    assert "none.onnx: cannot be read" in result.stderr
    assert "not measured: " in result.stdout


def test_equalise_writes_a_dataset_that_audit_opens(data, tmp_path):
    folder = tmp_path / "matched"
    result = invoke("equalise", data, "--out", str(folder))
    assert result.stdout == f"52 pictures in {folder}; 0 without a counterpart, 0 not readable\n"
    again = invoke("equalise", data, "--out", str(folder))
    assert (again.exit_code, again.stderr) == (2, f"{folder}: holds a dataset already; name another folder\n")
    audited = invoke("audit", str(folder), "--out", str(tmp_path / "after.html"), "--no-faces")
    assert re.search("JPEG quality +no sign of a leak", audited.stdout)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("audit", "./nowhere.parquet"), "nowhere.parquet: no such file or folder"),
        (("audit", "DATA", "--crop-fraction", "2"), "--crop-fraction is 2.0: it takes a number above 0, up to 1"),
        (("audit", "DATA", "--no-faces", "--limit", "10"), "at least 20 are needed"),
        (("audit", "DATA", "--model", "./no-model"), "no-model"),
        (("audit", "DATA", "--labels", "real, fake"), "labels is 'real', 'fake': it takes real and generated"),
        (("audit", "numbers.parquet"), "the labels are numbers, and nothing says which are real; name them"),
        (("audit", "numbers.parquet", "--labels", "generated,real"), "at least 20 are needed"),
        (("equalise", "DATA", "--out", "out", "--quality", "0"), "quality is [0, 0]"),
    ],
)
def test_what_cannot_be_used_takes_one_line(arguments, words, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    planted(4).cast_column("label", Value("int64")).to_parquet("numbers.parquet")
    result = invoke(*(data if argument == "DATA" else argument for argument in arguments))
    assert result.exit_code == 2
    complaints = [
        line
        for line in result.stderr.splitlines()
        if line and "face positions" not in line and "examples/s" not in line
    ]
    assert len(complaints) == 1
    assert words in complaints[0]
