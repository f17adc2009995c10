"""Pictures that take the process down that decodes them: named in the rejects, and nothing else is lost."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from raw import encoded, write_files, write_tar
from typer.testing import CliRunner

from fakeface.cli.data import app

KILLED, LEAVES = 66, 67  # sides of the pictures that Pillow dies of
# Worker processes import this when they start, so that Pillow itself dies there, within the real decoder.
DEADLY_PILLOW = f"""
import os, signal
from PIL import ImageFile

load = ImageFile.ImageFile.load

def deadly(picture):
    if picture.size == ({KILLED}, {KILLED}):
        os.kill(os.getpid(), signal.SIGKILL)
    if picture.size == ({LEAVES}, {LEAVES}):
        os._exit(0)
    return load(picture)

ImageFile.ImageFile.load = deadly
"""


@pytest.fixture(autouse=True)
def deadly_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "startup").mkdir()
    (tmp_path / "startup/sitecustomize.py").write_text(DEADLY_PILLOW)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "startup"))
    monkeypatch.setattr("fakeface.data.engine.units.UNIT_ROWS", 8)


def build(tmp_path: Path, name: str) -> str:
    """Build by the command; returns what it prints."""
    file = tmp_path / "recipe.yaml"
    sources = [{"source": "pictures", "name": "camera", "label": "real"}]
    sources += [{"source": "pictures", "name": "gan", "label": "generated"}]
    file.write_text(json.dumps({"sources": sources}))  # YAML takes JSON
    where = ["--root", str(tmp_path / "root"), "--out", str(tmp_path / name), "--workers", "1"]
    result = CliRunner().invoke(app, ["build", str(file), *where])
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def test_the_rest_is_built_to_the_bytes_of_a_build_without_them(tmp_path: Path):
    write_files(tmp_path / "root/camera", [f"{i:02d}.jpg" for i in range(12)])
    (tmp_path / "root/camera/07.jpg").write_bytes(b"I am no picture.")
    members = {f"{i:02d}.jpg": encoded(100 + i) for i in range(12)}
    write_tar(tmp_path / "root/gan/samples.tgz", members)
    build(tmp_path, "without")
    (tmp_path / "root/camera/03-deadly.jpg").write_bytes(encoded(50, side=KILLED))
    write_tar(tmp_path / "root/gan/samples.tgz", {**members, "05-deadly.jpg": encoded(51, side=LEAVES)})
    assert "3 rejected, see rejects.parquet: 2 crashed, 1 not-a-picture" in build(tmp_path, "with")
    rejects = {name: pq.read_table(tmp_path / name / "rejects.parquet").to_pylist() for name in ("without", "with")}
    crashed = [row for row in rejects["with"] if row["reason"] == "crashed"]
    assert [row["picture"] for row in crashed] == ["camera/03-deadly.jpg", "gan/samples.tgz/05-deadly.jpg"]
    assert crashed[0]["problem"].startswith("the decoder crashed on it, or was killed for want of memory")
    assert [row for row in rejects["with"] if row not in crashed] == rejects["without"]
    assert [path.name for path in rejects_and_data(tmp_path / "with")] == [
        path.name for path in rejects_and_data(tmp_path / "without")
    ]
    for file in (tmp_path / "without/data").iterdir():
        assert (tmp_path / "with/data" / file.name).read_bytes() == file.read_bytes()


def rejects_and_data(folder: Path) -> list[Path]:
    return sorted([*folder.iterdir(), *(folder / "data").iterdir()])
