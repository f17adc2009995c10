"""docs/mistakes.py: which pictures it shows, and the table of doubtful labels."""

from pathlib import Path

import pandas as pd
import pytest

from docs.mistakes import WORST, doubtful_table, worst


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


def test_the_page_is_there_and_says_how_it_was_written(repo: Path):
    page = (repo / "docs" / "mistakes.md").read_text(encoding="utf-8")
    assert "python docs/mistakes.py runs/full/scores.csv" in page
