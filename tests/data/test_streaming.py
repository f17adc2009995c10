"""Datasets whose training pictures are read as a stream."""

import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset, config, disable_progress_bars
from hub.server import serve
from PIL import Image
from raw import write_files

from fakeface.data import streaming
from fakeface.data.loading import DataError
from fakeface.data.streaming import open_stream

PACKAGE = Path(streaming.__file__).parents[2]


@pytest.fixture(autouse=True)
def quiet(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))
    disable_progress_bars()


def encoded(seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).resize((32, 32), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


def write(folder: Path, name: str, seeds: list[int], **columns) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    images = [{"bytes": encoded(seed), "path": None} for seed in seeds]
    rows = {"image": images, "label": [("real", "generated")[seed % 2] for seed in seeds], **columns}
    Dataset.from_dict(rows).to_parquet(str(folder / f"{name}.parquet"))


def refusal(folder: Path, scratch: Path) -> str:
    with pytest.raises(DataError) as error:
        open_stream(str(folder), scratch)
    return str(error.value)


def test_training_pictures_are_a_stream_and_the_others_at_hand(tmp_path):
    write(tmp_path / "set", "train-00000-of-00002", [0, 1], source=["a"] * 2)
    write(tmp_path / "set", "train-00001-of-00002", [2, 3], source=["a"] * 2)
    write(tmp_path / "set", "validation-00000-of-00001", [4, 5], source=["b"] * 2)
    write(tmp_path / "set", "test-00000-of-00001", [6], source=["c"])
    stream, splits, refused = open_stream(str(tmp_path / "set"), tmp_path / "held-out")
    assert stream.rows.num_shards == 2
    assert [row["image"]["bytes"] for row in stream.rows] == [encoded(seed) for seed in range(4)]
    assert [row["label"] for row in stream.rows] == [0, 1, 0, 1]
    assert {name: part["source"][:] for name, part in splits.items()} == {"validation": ["b", "b"], "test": ["c"]}
    assert all(len(hash_) == 64 for part in splits.values() for hash_ in part["sha256"])
    assert refused == []


OPEN = """
import hashlib, json, sys
from pathlib import Path
from fakeface.data.streaming import open_stream
stream, splits, refused = open_stream("nobody/faces", Path(sys.argv[1]))
hashes = [hashlib.sha256(row["image"]["bytes"]).hexdigest() for row in stream.rows]
print(json.dumps([stream.identity, hashes, {name: len(part) for name, part in splits.items()}]))
"""


def test_a_private_dataset_of_the_hub_is_a_stream_too_and_known_by_its_commit(tmp_path):
    for name, seeds in (("train-0", [0, 1]), ("train-1", [2, 3]), ("validation", [4, 5])):
        write(tmp_path / "set", name, seeds)
    files = {f"data/{file.name}": file.read_bytes() for file in (tmp_path / "set").iterdir()}
    with serve() as hub:
        commit = hub.add("datasets/nobody/faces", files, private=True)
        environment = {**hub.environment(tmp_path / "home"), "PYTHONPATH": str(PACKAGE)}
        command = [sys.executable, "-c", OPEN, str(tmp_path / "held-out")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    identity, hashes, splits = json.loads(done.stdout.splitlines()[-1])
    assert identity == commit
    assert hashes == [hashlib.sha256(encoded(seed)).hexdigest() for seed in range(4)]
    assert splits == {"validation": 2}


def test_what_a_build_makes_is_a_stream_and_its_rejects_are_not_in_it(tmp_path):
    write_files(tmp_path / "camera", [f"{i}.jpg" for i in range(20)])
    write_files(tmp_path / "gan", [f"{i}.png" for i in range(20)], first=100)
    (tmp_path / "camera" / "broken.jpg").write_bytes(b"no picture")
    sources = [
        {"source": "pictures", "name": "camera", "label": "real"},
        {"source": "pictures", "name": "gan", "label": "generated", "generator": "stylegan2"},
    ]
    (tmp_path / "recipe.yaml").write_text(json.dumps({"sources": sources, "history": "native"}))  # YAML takes JSON
    command = [
        sys.executable,
        "-m",
        "fakeface",
        "data",
        "build",
        str(tmp_path / "recipe.yaml"),
        "--root",
        str(tmp_path),
    ]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "built"), "--workers", "1"],
        env={**os.environ, "PYTHONPATH": str(PACKAGE)}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    stream, splits, refused = open_stream(str(tmp_path / "built"), tmp_path / "held-out")
    assert splits.keys() == {"validation", "test"}
    labels = [row["label"] for row in stream.rows] + [label for part in splits.values() for label in part["label"]]
    assert sorted(labels) == [0] * 20 + [1] * 20
    assert refused == []


def test_other_splits_are_read_once(tmp_path):
    for name, seeds in (("train", [0, 1]), ("validation", [4, 5])):
        write(tmp_path / "set", name, seeds)
    found = [open_stream(str(tmp_path / "set"), tmp_path / "held-out")[1]["validation"] for _ in range(2)]
    assert found[0].cache_files == found[1].cache_files
    assert len(list((tmp_path / "held-out").rglob("generator-train.arrow"))) == 1


def test_another_set_has_another_identity(tmp_path):
    for name, seeds in (("one", [0, 1]), ("same", [0, 1]), ("other", [0, 1, 2])):
        write(tmp_path / name, "train", seeds)
        write(tmp_path / name, "validation", [4, 5])
    one, same, other = (
        open_stream(str(tmp_path / name), tmp_path / "held-out" / name)[0].identity for name in ("one", "same", "other")
    )
    assert one == same != other


def test_a_set_without_splits_of_its_own_is_refused(tmp_path):
    write(tmp_path / "set", "train", [0, 1])
    assert "a stream comes with its splits, train and validation" in refusal(tmp_path / "set", tmp_path / "held-out")


def test_what_is_not_there_is_refused(tmp_path):
    assert "neither a folder laid out as a dataset nor a Hub dataset" in refusal(tmp_path / "none", tmp_path)


@pytest.mark.parametrize("column", ["image", "label"])
def test_a_missing_column_is_refused(column, tmp_path):
    for name in ("train", "validation"):
        write(tmp_path / "set", name, [0, 1])
        file = tmp_path / "set" / f"{name}.parquet"
        Dataset.from_parquet(str(file)).remove_columns(column).to_parquet(str(file))
    assert f"no column '{column}'" in refusal(tmp_path / "set", tmp_path / "held-out")
