"""Builds in which photographs also stand as reconstructions, made by a tiny real autoencoder."""

import io
import json
import shutil
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from autoencoders import save_tiny_autoencoder
from PIL import Image
from raw import encoded, write_files
from typer.testing import CliRunner

from fakeface.cli.data import app
from fakeface.data.build.recipe import build_recipe
from fakeface.data.build.run import BuildError, build
from fakeface.data.equalise import History, equalise
from fakeface.data.reconstruct import Autoencoder
from fakeface.images.load import load_picture
from fakeface.recipe import RecipeError

pytest.importorskip("diffusers", reason="needs the extra `reconstruct`")

REAL = {"source": "pictures", "name": "camera", "label": "real"}
GENERATED = {"source": "pictures", "name": "gan", "label": "generated", "generator": "stylegan2"}
MADE = "reconstruction:tiny"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny_autoencoder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def root(tmp_path):
    """Twenty photographs, one of them broken and one that also stands under generated, and six generated pictures."""
    root = tmp_path / "root"
    write_files(root / "camera", [f"{i:02d}.jpg" for i in range(20)])
    write_files(root / "gan", [f"{i:02d}.png" for i in range(5)], first=100)
    (root / "camera/00.jpg").write_bytes(b"no picture")
    (root / "gan/same.jpg").write_bytes(encoded(1))
    return root


@pytest.fixture(autouse=True)
def small_units(monkeypatch):
    monkeypatch.setattr("fakeface.data.engine.units.UNIT_ROWS", 8)


def recipe(model: Path | str = "", **settings):
    return build_recipe({"sources": [REAL, GENERATED], "reconstruct": str(model), **settings})


def rows(folder: Path) -> dict[str, dict]:
    """The pictures of a dataset by their paths."""
    files = sorted((folder / "data").iterdir())
    return {row["image"]["path"]: row for file in files for row in pq.read_table(file).to_pylist()}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_photographs_also_stand_as_reconstructions_beside_their_originals(root, tmp_path, tiny):
    build(recipe(tiny), root, tmp_path / "out", workers=1)
    found = rows(tmp_path / "out")
    assert Counter((row["label"], row["generator"]) for row in found.values()) == {
        (0, "none"): 18,
        (1, "stylegan2"): 5,
        (1, MADE): 18,
    }
    same = ("source", "group", "split", "phash", "native_width", "native_format", "native_jpeg_quality")
    for path, row in found.items():
        if row["generator"] == MADE:
            original = found[path.removeprefix(f"{MADE}/")]
            assert [row[name] for name in same] == [original[name] for name in same]
            assert row["sha256"] != original["sha256"]
    row = found[f"{MADE}/camera/07.jpg"]
    (made,) = Autoencoder.from_pretrained(tiny, device="cpu")([load_picture(root / "camera/07.jpg")])
    assert row["image"]["bytes"] == equalise(made, History(), np.random.default_rng(0))
    # They change nothing for the pictures that were found.
    build(recipe(), root, tmp_path / "without", workers=1)
    without = rows(tmp_path / "without")
    assert {path: row for path, row in found.items() if row["generator"] != MADE} == without


def test_what_is_rejected_is_not_reconstructed_either(root, tmp_path, tiny):
    build(recipe(tiny), root, tmp_path / "out", workers=1)
    rejects = pq.read_table(tmp_path / "out/rejects.parquet").to_pylist()
    assert sorted((row["picture"], row["reason"]) for row in rejects) == [
        ("camera/00.jpg", "not-a-picture"),
        ("camera/01.jpg", "contradiction"),
        ("gan/same.jpg", "contradiction"),
        (f"{MADE}/camera/01.jpg", "original-rejected"),
    ]
    assert f"Pictures of the generator `{MADE}` are photographs" in (tmp_path / "out/README.md").read_text()


def test_an_interrupted_build_goes_on_to_the_same_bytes_for_any_number_of_workers(root, tmp_path, tiny, monkeypatch):
    build(recipe(tiny), root, tmp_path / "whole", workers=1)
    real, calls = Autoencoder.__call__, []

    def interrupted(self, pictures):
        calls.append(len(pictures))
        if len(calls) == 12:
            raise KeyboardInterrupt
        return real(self, pictures)

    monkeypatch.setattr(Autoencoder, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build(recipe(tiny), root, tmp_path / "out", workers=2)
    build(recipe(tiny), root, tmp_path / "out", workers=2)
    # Seven photographs of the first unit were kept, four of the second done again, and the one that was interrupted.
    assert len(calls) == 12 + 12
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_the_autoencoder_is_known_by_its_weights_not_by_its_place(root, tmp_path, tiny):
    assert build(recipe(tiny), root, tmp_path / "out", workers=1).fresh
    record = json.loads((tmp_path / "out/build.json").read_text())
    assert record["recipe"]["reconstruct"] == "tiny"
    assert record["autoencoder"]["name"] == "tiny"
    assert {"torch", "diffusers"} <= set(record["versions"])
    shutil.copytree(tiny, tmp_path / "moved/tiny")
    assert not build(recipe(tmp_path / "moved/tiny"), root, tmp_path / "out", workers=1).fresh
    other = save_tiny_autoencoder(tmp_path / "other/tiny", seed=1)
    with pytest.raises(BuildError, match="holds another dataset"):
        build(recipe(other), root, tmp_path / "out", workers=1)


def test_a_share_is_drawn_by_path(root, tmp_path, tiny):
    half = recipe(tiny, reconstruct_share=0.5)
    build(half, root, tmp_path / "few", workers=1)
    few = {path for path in rows(tmp_path / "few") if path.startswith(MADE)}
    assert 4 <= len(few) <= 14
    write_files(root / "camera", ["0.jpg", "99.jpg"], first=200)
    build(half, root, tmp_path / "more", workers=1)
    more = {path for path in rows(tmp_path / "more") if path.startswith(MADE)}
    assert more - {f"{MADE}/camera/0.jpg", f"{MADE}/camera/99.jpg"} == few


def test_a_large_photograph_is_reconstructed_small_and_still_has_the_history(tmp_path, tiny):
    buffer = io.BytesIO()
    Image.effect_noise((1500, 1100), 60).convert("RGB").save(buffer, "JPEG")
    (tmp_path / "root/camera").mkdir(parents=True)
    (tmp_path / "root/camera/large.jpg").write_bytes(buffer.getvalue())
    settings = build_recipe({"sources": [REAL], "reconstruct": str(tiny)})
    build(settings, tmp_path / "root", tmp_path / "out", workers=1)
    assert {path: load_picture(row["image"]).size for path, row in rows(tmp_path / "out").items()} == {
        "camera/large.jpg": (280, 280),
        f"{MADE}/camera/large.jpg": (280, 280),
    }


def test_without_diffusers_the_command_says_so_before_it_decodes_anything(root, tmp_path, tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    file = tmp_path / "recipe.yaml"
    file.write_text(json.dumps({"sources": [REAL, GENERATED]}))  # YAML takes JSON
    arguments = ["build", str(file), "--root", str(root), "--out", str(tmp_path / "out"), "--reconstruct", str(tiny)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert result.stderr == 'reconstructions need diffusers: pip install "fakeface[reconstruct]"\n'
    assert not list((tmp_path / "out/.work").glob("units*"))


def test_what_does_not_go_together_is_refused(root, tmp_path, tiny):
    with pytest.raises(RecipeError, match=r"reconstruct makes pictures, and these have to be saved: give a history"):
        recipe(tiny, history="native")
    for share in (0, 1.5):
        with pytest.raises(RecipeError, match="it takes a number above 0, up to 1"):
            recipe(tiny, reconstruct_share=share)
    with pytest.raises(ValueError, match=rf"hold_out names \['{MADE}'\], neither a source nor a generator here"):
        build(recipe(tiny, hold_out=[MADE]), root, tmp_path / "out", workers=1)
