"""Matching: pairs are alike, and what is done brings them together."""

import errno
import json

import numpy as np
import pytest
from datasets import Dataset
from PIL import Image, ImageEnhance, ImageFilter
from planted import noise, planted

from fakeface.data import matching
from fakeface.data.equalise import History
from fakeface.data.file_facts import jpeg_facts
from fakeface.data.loading import DataError, open_dataset
from fakeface.data.matching import bring_together, match, match_dataset, write_matched
from fakeface.data.measures import centre_square, colour, greyness, light, sharpness
from fakeface.images.load import load_picture
from fakeface.utils.errors import OutputError


def test_the_most_alike_are_matched():
    measures = np.array([[0.0], [10.0], [20.0], [9.0], [21.0], [1.0]])
    labels = np.array([0, 0, 0, 1, 1, 1])
    groups = match(measures, labels, [""] * 6, seed=0)
    assert sorted(sorted(group) for group in groups) == [[0, 5], [1, 3], [2, 4]]


def test_all_pictures_of_the_commoner_label_are_spread_over_the_groups():
    labels = np.array([0] * 10 + [1] * 4)
    groups = match(np.random.default_rng(0).normal(size=(14, 3)), labels, [""] * 14, seed=0)
    assert sorted(row for group in groups for row in group) == list(range(14))
    assert sum(len(group) for group in groups) == 14
    assert max(len(group) for group in groups) == 4
    assert all(labels[group].sum() == 1 for group in groups)


def test_groups_stay_small_where_a_label_is_rare():
    """One photograph among ever so many generated pictures once made a group of all, held in memory at once."""
    labels = np.array([1, 1] + [0] * 300)
    groups = match(np.arange(302.0)[:, None], labels, [""] * 302, seed=0)
    assert [len(group) for group in groups] == [64, 64]
    assert len({row for group in groups for row in group}) == 128


def test_no_group_spans_two_splits_and_a_split_of_one_label_has_none():
    labels = np.array([0, 1, 0, 1, 0, 0])
    splits = np.array(["train", "train", "test", "test", "unseen", "unseen"])
    groups = match(np.arange(6.0)[:, None], labels, splits, seed=0)
    assert sorted(map(sorted, groups)) == [[0, 1], [2, 3]]


def test_groups_come_down_to_what_all_of_them_have():
    sharp = noise(200, 0)
    soft = ImageEnhance.Brightness(noise(120, 1).filter(ImageFilter.GaussianBlur(1.0))).enhance(0.6)
    made, done = bring_together([sharp, soft], History(), 0.875)
    assert [picture.size for picture in made] == [(120, 120)] * 2
    fed = [centre_square(picture, 0.875, 160) for picture in made]
    before = [centre_square(picture, 0.875, 160) for picture in (sharp, soft)]
    assert gap([sharpness(p)["laplacian"] for p in fed]) < 0.1 < gap([sharpness(p)["laplacian"] for p in before])
    for measure, name in ((light, "mean"), (light, "spread"), (colour, "blue"), (colour, "red_spread")):
        assert gap([measure(p)[name] for p in fed]) < max(2.5, 0.35 * gap([measure(p)[name] for p in before])), name
    assert [record["side_before"] for record in done] == [200, 120]
    assert done[0]["detail"] < 0.7 < done[1]["detail"] <= 1


def test_shadows_and_highlights_come_together():
    bright, dark = (gradient(power) for power in (0.7, 1.4))
    made, done = bring_together([bright, dark], History(), 1.0)
    for name in ("dark", "bright", "mean", "spread"):
        assert gap([light(picture)[name] for picture in made]) < 4, name
    assert gap([light(picture)["dark"] for picture in (bright, dark)]) > 20
    assert max(record["contrast"] for record in done) == 1.0  # no picture gains contrast


def test_a_plain_background_does_not_become_noise():
    plain = np.full((96, 96, 3), 200, np.uint8) + np.random.default_rng(0).integers(0, 3, (96, 96, 3), np.uint8)
    made, _ = bring_together([Image.fromarray(plain), gradient(1.0)], History(), 1.0)
    assert light(made[0])["spread"] < 5


def gradient(power):
    ramp = np.linspace(0, 1, 96) ** power * 255
    return Image.fromarray(np.tile(ramp[:, None, None], (1, 96, 3)).astype(np.uint8))


def gap(values):
    return abs(values[0] - values[1])


def test_a_grey_picture_makes_its_counterpart_grey():
    grey = noise(96, 0).convert("L").convert("RGB")
    made, _ = bring_together([grey, noise(96, 1)], History(), 0.875)
    assert [greyness(picture)["channel_distance"] for picture in made] == [0.0, 0.0]


def test_alike_pictures_are_left_nearly_alone():
    picture = noise(96, 0)
    made, done = bring_together([picture, picture.copy()], History(), 1.0)
    assert np.abs(np.asarray(made[0], int) - np.asarray(picture, int)).max() <= 3  # of the way to YCbCr and back
    assert done[0] == {"side": 96, "side_before": 96, "contrast": 1.0, "detail": 1.0}


@pytest.fixture(scope="module")
def matched():
    data = planted(24, side=lambda label, rng: 64 + 24 * label).map(
        lambda row, i: {"image": {"bytes": b"no picture", "path": None}} if i == 3 else row, with_indices=True
    )
    return match_dataset(data, History(quality=(80, 90)), seed=1)


def test_a_dataset_is_matched_and_says_what_was_done(matched):
    assert len(matched.dataset) == 23
    assert matched.refused == ["row 3: not a picture, whatever its name says; give a JPEG, PNG or WebP file"]
    assert matched.left_out == []
    rows = list(matched.dataset)
    by_pair = {}
    for row in rows:
        by_pair.setdefault(row["pair"], []).append(row)
    assert len(by_pair) == 11
    for members in by_pair.values():
        assert {row["label"] for row in members} == {0, 1}
        assert {load_picture(row["image"]).size for row in members} == {(64, 64)}
        assert len({jpeg_facts(row["image"]["bytes"])["quality"] for row in members}) == 1
    generated = next(row for row in rows if row["label"] == 1)
    assert json.loads(generated["history"])["side_before"] == 88
    assert (generated["source"][:3], generated["generator"]) == ("gan", "stylegan2")


def test_the_number_of_processes_changes_nothing(matched):
    data = planted(24, side=lambda label, rng: 64 + 24 * label).select(range(8))
    runs = [match_dataset(data, seed=1, workers=workers).dataset for workers in (1, 2)]
    assert list(runs[0]) == list(runs[1])


def test_it_is_written_once_and_opens_again(matched, tmp_path):
    write_matched(matched, tmp_path / "out", History(quality=(80, 90)), 1)
    opened = open_dataset(str(tmp_path / "out"), records=True)
    assert opened["pair"] == matched.dataset["pair"]
    record = json.loads((tmp_path / "out" / "history.json").read_text())
    assert (record["pictures"], record["history"]["quality"]) == (23, [80, 90])
    with pytest.raises(DataError, match="holds a dataset already"):
        write_matched(matched, tmp_path / "out", History(), 1)


def test_a_kill_in_the_middle_leaves_no_half_dataset(matched, tmp_path, monkeypatch):
    monkeypatch.setattr(matching, "SHARD", 10)
    to_parquet, written = Dataset.to_parquet, []

    def killed(self, path):
        if len(written) == 1:
            raise KeyboardInterrupt  # no `except` of ours sees it, as with a kill
        written.append(to_parquet(self, path))

    with monkeypatch.context() as patch:
        patch.setattr(Dataset, "to_parquet", killed)
        with pytest.raises(KeyboardInterrupt):
            write_matched(matched, tmp_path / "out", History(), 1)
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()  # an empty folder will do
    write_matched(matched, tmp_path / "out", History(), 1)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    shards = [f"matched-0000{i}-of-00003.parquet" for i in range(3)]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["history.json", *shards]


def test_a_disk_that_fails_is_told_and_gets_its_room_back(matched, tmp_path, monkeypatch):
    def fail(self, path):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Dataset, "to_parquet", fail)
    with pytest.raises(OutputError, match=r"out: cannot be written \(No space left on device\); name another folder"):
        write_matched(matched, tmp_path / "out", History(), 1)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_something_else_is_left_alone(matched, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for folder in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(DataError, match="is not an empty folder; name another one"):
            write_matched(matched, folder, History(), 1)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_one_label_alone_cannot_be_matched():
    data = planted(8)
    with pytest.raises(DataError, match="both labels"):
        match_dataset(data.filter(lambda row: row["label"] == 0))
    with pytest.raises(DataError, match="both labels"):
        match_dataset(data.map(lambda row: {"image": {"bytes": b"no picture", "path": None}}))
