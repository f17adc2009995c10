"""benchmarks/mistakes.py: which pictures it shows, and the table of doubtful labels."""

import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from datasets import ClassLabel, Dataset
from datasets import Image as ImageFeature
from former_weights import FORMER_FAST
from PIL import Image

from benchmarks.mistakes import LFW_SIDE, WORST, doubtful_table, worst
from fakeface.data.loading import open_dataset
from fakeface.recipe import named_pictures


def rows(split: str, label: int, source: str, width: int, scores: list[float]) -> pd.DataFrame:
    names = [f"{split}-{source}-{width}-{i}" for i in range(len(scores))]
    told = {"split": split, "label": label, "source": source, "native_width": width}
    return pd.DataFrame({"sha256": names, "score": scores}).assign(**told)


@pytest.fixture
def scores() -> pd.DataFrame:
    return pd.concat(
        [
            rows("test", 0, "lfw-crop", 115, [0.01] * 60),
            rows("test", 0, "lfw-crop", 700, [0.6, 0.7, 0.99]),
            rows("validation", 0, "ffhq", 1024, [0.2] * 20),
            rows("test", 1, "interfacegan-ffhq-crop", 700, [0.5, 0.65, 0.9] * 5),
            rows("unseen", 1, "sfhq-e4e", 261, [0.3] * 4),
        ],
        ignore_index=True,
    )


def test_the_worst_come_first_and_only_of_their_splits(scores):
    own, among = worst(scores, 0, ("validation", "test"))
    assert (len(own), len(among)) == (WORST, 83)
    assert own["score"].tolist()[:4] == [0.99, 0.7, 0.6, 0.2]
    own, among = worst(scores, 1, ("unseen",))
    assert own["source"].unique().tolist() == ["sfhq-e4e"]


def test_pictures_too_wide_for_their_source_stand_apart(scores):
    lines = [
        line.strip("| ").split(" | ") for line in doubtful_table(scores[scores["split"] != "unseen"], 0.95).splitlines()
    ]
    narrow, wide, ffhq, everything, rest = lines[2:]
    assert narrow[:4] == ["lfw-crop, up to 250 px", "60", "0", "0.01"]
    assert wide[:4] == ["lfw-crop, over 250 px", "3", "1", "0.70"]
    assert ffhq[0] == "ffhq"
    assert (everything[1:3], rest[1:3]) == (["98", "1"], ["95", "0"])
    assert float(wide[4][:5]) < 0.5 < float(rest[4][:5]) == 1.0


def test_the_page_is_of_the_former_weights_and_says_how_it_was_written(repo: Path):
    page = (repo / "docs" / "mistakes.md").read_text(encoding="utf-8")
    assert "python benchmarks/mistakes.py runs/full/scores.csv" in page
    assert FORMER_FAST in page


def test_a_page_counts_the_worst_and_names_the_pictures_in_doubt(repo: Path, tmp_path: Path):
    data, told = tmp_path / "pool.parquet", []
    for i in range(12):
        pixels = np.random.default_rng(i).integers(0, 256, (24, 24, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        source, width = ("lfw-crop", 300 if i == 0 else 115) if i % 2 == 0 else ("interfacegan-ffhq-crop", 700)
        told.append({"image": {"bytes": buffer.getvalue(), "path": None}, "label": i % 2, "source": source,
                     "generator": "stylegan" if i % 2 else "none", "native_width": width})  # fmt: skip
    dataset = Dataset.from_list(told).cast_column("image", ImageFeature())
    dataset.cast_column("label", ClassLabel(names=["real", "generated"])).to_parquet(str(data))
    names = [hashlib.sha256(row["image"]["bytes"]).hexdigest() for row in told]
    splits = ["unseen" if row["label"] and i > 8 else "test" for i, row in enumerate(told)]
    scores = {"sha256": names, "view": "clean", "split": splits, "label": [row["label"] for row in told]}
    scores |= {"source": [row["source"] for row in told], "score": [0.9, *np.linspace(0.1, 0.8, 11)]}
    pd.DataFrame(scores).to_csv(tmp_path / "scores.csv", index=False)
    report = {"operating_point": {"threshold_generated": 0.85}, "weights_sha256": "ab" * 32}
    (tmp_path / "evaluation.json").write_text(json.dumps(report))
    words = [
        sys.executable,
        "-m",
        "benchmarks.mistakes",
        tmp_path / "scores.csv",
        "--data",
        data,
        "--sheets",
        tmp_path / "s",
    ]
    words += ["--doubtful", tmp_path / "doubtful.txt", "--page", tmp_path / "page.md"]
    done = subprocess.run(words, cwd=repo, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert named_pictures(tmp_path / "doubtful.txt") == {names[0]}
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "1 of the 6 pictures of `lfw-crop`" in page
    assert "ab" * 32 in page
    assert "| lfw-crop | 6 | 100 % |" in page
    assert "| width in pixels | 24 | 24 |" in page
    assert len(list((tmp_path / "s").iterdir())) == 3


def test_the_recipe_can_leave_out_all_pictures_in_doubt(repo: Path, shared: Path):
    data = open_dataset([str(shared / "faces" / "pool-*.parquet")], columns=["native_width"])
    columns = enumerate(zip(data["source"], data["native_width"], strict=True))
    wide = [i for i, (source, width) in columns if source == "lfw-crop" and width > LFW_SIDE]
    doubtful = {hashlib.sha256(image["bytes"]).hexdigest() for image in data.select(wide)["image"]}
    assert named_pictures(repo / "configs" / "doubtful-labels.txt") == doubtful
