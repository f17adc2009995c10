"""Whole builds: what is in them, that nothing disturbs them, and what is said about bad input."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import config, disable_progress_bars
from PIL import Image
from raw import encoded, write_files, write_tar, write_zip
from raw_pool import unpack

from fakeface.data.build import run as build_module
from fakeface.data.build.plan import PlanError
from fakeface.data.build.recipe import build_recipe, read_build_recipe
from fakeface.data.build.run import BuildError, build
from fakeface.data.build.shards import ContradictionError
from fakeface.data.equalise import History, equalise
from fakeface.data.loading import open_dataset, prepare_splits
from fakeface.faces import FaceFinder, cut_face, face_square
from fakeface.images.load import load_picture

PACKAGE = Path(build_module.__file__).parents[3]
REAL = {"source": "pictures", "name": "camera", "label": "real"}
GENERATED = {"source": "pictures", "name": "gan", "label": "generated", "generator": "stylegan2"}


def recipe(*sources, **settings):
    return build_recipe({"sources": list(sources) or [REAL, GENERATED], **settings})


@pytest.fixture
def root(tmp_path):
    """Forty pictures each of a folder and of a compressed tar, three of them broken."""
    root = tmp_path / "root"
    write_files(root / "camera", [f"{i // 10}/{i:03d}.jpg" for i in range(40)])
    members = {f"gan/{i:03d}.png": encoded(1000 + i, "PNG") for i in range(40)}
    write_tar(root / "gan/samples.tgz", members)
    (root / "camera/0/000.jpg").write_bytes(b"")
    (root / "camera/0/001.jpg").write_text("I am no picture.")
    (root / "camera/0/002.jpg").write_bytes(encoded(2)[:400])
    return root


@pytest.fixture(autouse=True)
def small_units(monkeypatch):
    monkeypatch.setattr("fakeface.data.engine.units.UNIT_ROWS", 8)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a dataset; the folder must hold nothing else."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def rejects(folder: Path) -> list[dict]:
    return pq.read_table(folder / "rejects.parquet").to_pylist()


def test_a_dataset_with_all_its_columns(root, tmp_path, monkeypatch):
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    disable_progress_bars()
    built = build(recipe(hold_out=["stylegan2"]), root, tmp_path / "out", workers=1)
    assert built.fresh
    assert {(row["picture"], row["reason"]) for row in rejects(tmp_path / "out")} == {
        ("camera/0/000.jpg", "empty"),
        ("camera/0/001.jpg", "not-a-picture"),
        ("camera/0/002.jpg", "truncated"),
    }
    dataset = open_dataset(str(tmp_path / "out"))
    assert Counter(zip(dataset["label"], dataset["generator"], dataset["split"], strict=True)) == {
        (0, "none", "train"): 26,
        (0, "none", "validation"): 4,
        (0, "none", "test"): 7,
        (1, "stylegan2", "unseen"): 40,
    }
    splits, refused = prepare_splits(dataset)
    assert refused == []
    assert {name: len(split) for name, split in splits.items()} == {
        "test": 7,
        "train": 26,
        "unseen": 40,
        "validation": 4,
    }
    row = pq.read_table(tmp_path / "out/data/unseen-00000-of-00001.parquet").to_pylist()[0]
    assert (row["native_width"], row["native_format"], row["native_jpeg_quality"]) == (32, "PNG", -1)
    assert row["image"]["path"] == "gan/samples.tgz/gan/000.png"
    assert row["image"]["bytes"].startswith(b"\xff\xd8\xff")  # the one history: JPEG
    record = json.loads((tmp_path / "out/build.json").read_text())
    assert record["counts"]["rejected"] == {"empty": 1, "not-a-picture": 1, "truncated": 1}
    assert record["history"]["quality"] == [88, 88]


def test_the_same_bytes_for_any_number_of_workers_and_again(root, tmp_path):
    for number, workers in enumerate((1, 3)):
        build(recipe(rows_per_shard=20), root, tmp_path / str(number), workers=workers)
    first = contents(tmp_path / "0")
    assert contents(tmp_path / "1") == first
    assert "data/train-00002-of-00003.parquet" in first
    again = build(recipe(rows_per_shard=20), root, tmp_path / "0", workers=1)
    assert not again.fresh
    assert contents(tmp_path / "0") == first


def start_build(recipe_file: Path, root: Path, out: Path, **options) -> subprocess.Popen:
    code = (
        "import sys; from fakeface.data.engine import units; units.UNIT_ROWS = 8\n"
        "from fakeface.cli.data import app\n"
        "if __name__ == '__main__': app(sys.argv[1:])\n"
    )
    script = recipe_file.with_name("start.py")
    script.write_text(code)
    command = [sys.executable, str(script), "build", str(recipe_file), "--root", str(root), "--out", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE), "PYTHONDONTWRITEBYTECODE": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*command, "--workers", "2"], env=environment, stdout=pipe, stderr=pipe, text=True, **options
    )


def write_recipe(folder: Path) -> Path:
    file = folder / "recipe.yaml"
    file.write_text(json.dumps({"sources": [REAL, GENERATED]}))  # YAML takes JSON
    return file


def test_ten_kills_at_random_change_nothing(root, tmp_path):
    file = write_recipe(tmp_path)
    began = time.monotonic()
    whole = start_build(file, root, tmp_path / "whole")
    assert whole.communicate(timeout=300)[1] == ""
    span = time.monotonic() - began
    moments = random.Random(0)
    killed = 0
    for _ in range(40):
        process = start_build(file, root, tmp_path / "killed")
        time.sleep(moments.uniform(0.1, 0.95) * span)
        finished = process.poll() is not None
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)  # its workers hold the pipes: they must have ended, too
        if finished:
            shutil.rmtree(tmp_path / "killed")  # too late: the next one starts afresh
            span *= 0.8  # the first run was slower: its files were not in the cache yet
        killed += not finished
        if killed == 10:
            break
    assert killed == 10
    last = start_build(file, root, tmp_path / "killed")
    last.communicate(timeout=300)
    assert last.returncode == 0
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_a_full_disk_keeps_what_is_done(root, tmp_path):
    # A real disk cannot be filled here; a limit on the size of files fails the same writes at the same places.
    file = write_recipe(tmp_path)
    words = "no room left on the disk, or beyond a quota; make room: what is done is kept, and the same command goes on"
    for limit, done in ((17_000, range(10)), (20_000, [10])):  # within a unit, and within a shard when all are done
        process = start_build(
            file,
            root,
            tmp_path / "out",
            preexec_fn=lambda limit=limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        )
        errors = process.communicate(timeout=300)[1]
        assert (process.returncode, errors) == (2, f"{tmp_path}/out: {words} from there\n")
        assert not list((tmp_path / "out").rglob(".*.writing"))
        assert len(list((tmp_path / "out/.work/units").glob("*"))) in done
    resumed = start_build(file, root, tmp_path / "out")
    assert "77 pictures" in resumed.communicate(timeout=300)[0]
    undisturbed = start_build(file, root, tmp_path / "whole")
    undisturbed.communicate(timeout=300)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def contradicting(tmp_path) -> Path:
    root = tmp_path / "root"
    write_files(root / "camera", [f"{i}.jpg" for i in range(12)])
    write_files(root / "gan", [f"{i}.jpg" for i in range(12)], first=100)
    (root / "gan/same.jpg").write_bytes(encoded(3))
    (root / "gan/again.jpg").write_bytes(encoded(4, quality=60))
    return root


def test_contradicting_sources_are_set_aside(tmp_path):
    build(recipe(), contradicting(tmp_path), tmp_path / "out", workers=1)
    found = {row["picture"]: row["problem"].split(";")[0] for row in rejects(tmp_path / "out")}
    assert found == {
        "camera/3.jpg": "real here, but generated as gan/same.jpg",
        "camera/4.jpg": "real here, but generated as gan/again.jpg",
        "gan/again.jpg": "generated here, but real as camera/4.jpg",
        "gan/same.jpg": "generated here, but real as camera/3.jpg",
    }


def test_contradicting_sources_are_refused_on_request(tmp_path):
    with pytest.raises(ContradictionError, match=r"4 pictures stand in the set under both labels") as error:
        build(recipe(contradictions="refuse"), contradicting(tmp_path), tmp_path / "out", workers=1)
    assert "camera/3.jpg is real, but gan/same.jpg is the same picture and generated" in str(error.value)


def test_pictures_made_from_photographs_contradict_only_as_the_same_file(tmp_path):
    derived = {**GENERATED, "derived_from": ["camera"]}
    build(recipe(REAL, derived), contradicting(tmp_path), tmp_path / "out", workers=1)
    assert [row["picture"] for row in rejects(tmp_path / "out")] == ["camera/3.jpg", "gan/same.jpg"]
    files = sorted((tmp_path / "out/data").iterdir())
    groups = {r["image"]["path"]: r["group"] for f in files for r in pq.read_table(f).to_pylist()}
    assert groups["camera/4.jpg"] == groups["gan/again.jpg"]


def test_caps_choose_by_path_not_by_order(root, tmp_path):
    build(recipe({**GENERATED, "cap": 10}, history="native"), root, tmp_path / "a", workers=1)
    write_files(root / "camera", ["more.jpg"])
    build(recipe(REAL, GENERATED, cap=10, history="native"), root, tmp_path / "b", workers=1)
    chosen = [
        {r["image"]["path"] for f in (tmp_path / name / "data").iterdir() for r in pq.read_table(f).to_pylist()}
        for name in "ab"
    ]
    assert len(chosen[0]) == 10
    assert chosen[0] == {path for path in chosen[1] if path.startswith("gan/")}


def test_balance_takes_from_each_source_of_the_larger_label_its_share_under_its_own_cap(tmp_path):
    root = tmp_path / "root"
    for first, (name, count) in enumerate((("camera", 30), ("archive", 10), ("crawl", 40), ("gan", 12))):
        write_files(root / name, [f"{i}.jpg" for i in range(count)], first=100 * first)
    others = [{**REAL, "name": "archive"}, {**REAL, "name": "crawl", "cap": 20}]
    built = build(recipe(REAL, *others, GENERATED, balance=True), root, tmp_path / "out", workers=1)
    taken = {name: source["taken"] for name, source in built.record["sources"].items()}
    assert taken == {  # 12 of 30 + 10 + 20
        "camera": {"real": 6, "generated": 0},
        "archive": {"real": 2, "generated": 0},
        "crawl": {"real": 4, "generated": 0},
        "gan": {"real": 0, "generated": 12},
    }
    assert sum(row["n"] for row in built.record["counts"]["pictures"]) == 24


def test_faces_are_cut_as_the_models_want_them(shared, tmp_path):
    face_model = shared / "weights/face_detection_yunet_2023mar.onnx"
    table = pq.read_table(shared / "faces/pool-00000-of-00008.parquet", columns=["image"]).slice(2, 2)
    faces = [load_picture(row["image"]) for row in table.to_pylist()]
    wide = Image.new("RGB", (700, 500), (90, 120, 90))
    wide.paste(faces[0], (400, 200))
    root = tmp_path / "root"
    write_files(root / "camera", ["none.png"])
    wide.save(root / "camera/wide.png")
    faces[1].save(root / "camera/near.png")
    faces[1].transpose(Image.Transpose.ROTATE_90).save(root / "camera/turned.png")
    built = build(recipe(REAL, faces=True), root, tmp_path / "out", workers=1, face_model=str(face_model))
    assert [(row["picture"], row["reason"]) for row in rejects(built.folder)] == [("camera/none.png", "no-face")]
    rows = {
        row["image"]["path"]: row
        for file in (tmp_path / "out/data").iterdir()
        for row in pq.read_table(file).to_pylist()
    }
    assert set(rows) == {"camera/wide.png", "camera/near.png", "camera/turned.png"}
    near, turned = (np.asarray(load_picture(rows[f"camera/{name}.png"]["image"]), int) for name in ("near", "turned"))
    assert near.shape == turned.shape
    apart = [np.abs(near - np.rot90(turned, turns)).mean() for turns in range(4)]
    assert apart[0] < 0.5 * min(apart[1:]), apart  # set upright, as the Detector does; the two boxes differ a little
    assert (rows["camera/wide.png"]["native_width"], rows["camera/wide.png"]["native_height"]) == (700, 500)
    largest = FaceFinder.from_pretrained(face_model)(wide)[0]
    crop = cut_face(wide, face_square(largest, 1.4))
    assert 100 < crop.width < 280  # the face, not the picture around it
    stored = equalise(crop, History(), np.random.default_rng(0))
    assert rows["camera/wide.png"]["image"]["bytes"] == stored


def test_bad_input_is_refused_in_plain_words(root, tmp_path):
    def refusal(*sources, **settings) -> str:
        with pytest.raises((PlanError, BuildError)) as error:
            build(recipe(*sources, **settings), root, tmp_path / "out", workers=1)
        return str(error.value).splitlines()[0]

    assert refusal({**REAL, "root": "nowhere"}) == f"{root}/nowhere: no such folder; check the path"
    write_files(root / "celeba-hq", ["CelebA-HQ-img/0.jpg"])
    assert refusal({"source": "celeba-hq"}).startswith(
        f"{root}/celeba-hq: 1 of 30,000 pictures of CelebAMask-HQ; 29,999"
    )
    assert refusal(REAL, history={"size": 280, "sise": 1}).startswith("history in the recipe does not fit")
    write_zip(root / "zips/a.zip", {"1.jpg": encoded(1)})
    os.truncate(root / "zips/a.zip", 200)
    assert refusal({**REAL, "root": "zips"}).startswith(f"{root}/zips/a.zip: a truncated zip")


def test_a_folder_of_something_else_is_left_alone(root, tmp_path):
    write_files(tmp_path / "mine", ["precious.jpg"])
    with pytest.raises(BuildError, match="is not empty, and no build of fakeface's; name a new folder"):
        build(recipe(), root, tmp_path / "mine", workers=1)
    build(recipe(), root, tmp_path / "out", workers=1)
    with pytest.raises(BuildError, match="holds another dataset, or its sources have changed; name another folder"):
        build(recipe(seed=1), root, tmp_path / "out", workers=1)


def test_the_pool_is_rebuilt_from_raw_folders(shared, repo, tmp_path):
    """Eighty pictures of each of its files; `tests/helpers/raw_pool.py` unpacks all."""
    total = unpack(shared / "faces", tmp_path / "root", limit=80)
    settings = read_build_recipe(repo / "configs/data/pool.yaml")
    build(settings, tmp_path / "root", tmp_path / "out", workers=1)
    rows = [r for f in (tmp_path / "out/data").iterdir() for r in pq.read_table(f).to_pylist()]
    assert len(rows) + len(rejects(tmp_path / "out")) == total
    known: Counter = Counter()
    for file in sorted((shared / "faces").glob("pool-*.parquet")):
        for r in pq.read_table(file).slice(0, 80).to_pylist():
            known[r["image"]["bytes"], r["label"], r["source"], r["generator"]] += 1
    found = Counter((r["image"]["bytes"], r["label"], r["source"], r["generator"]) for r in rows)
    assert found <= known
    assert sum((known - found).values()) == len(rejects(tmp_path / "out"))
