"""Opening data of every form, refusing what is wrong with it, and splitting the rest."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, config, disable_progress_bars
from PIL import Image

from fakeface.data import loading
from fakeface.data.loading import DataError, checked, fingerprint, open_dataset, prepare_splits, training_only
from fakeface.data.splits import near_duplicate_groups


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Keeps what `datasets` converts out of the user's cache, and progress bars out of the report."""
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))
    disable_progress_bars()


def picture(seed: int, side: int = 32) -> Image.Image:
    """Coarse noise: perceptual hashes of different seeds are far apart."""
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC)


def encoded(seed: int, format_: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    picture(seed).save(buffer, format_, **options)
    return buffer.getvalue()


def write_parquet(file: Path, images: list, **columns) -> str:
    """A parquet file of encoded pictures; labels alternate unless given."""
    rows = [{"bytes": data, "path": None} if isinstance(data, bytes) else data for data in images]
    columns.setdefault("label", [i % 2 for i in range(len(rows))])
    Dataset.from_dict({"image": rows, **columns}).to_parquet(str(file))
    return str(file)


def write_folder(folder: Path, *names: str) -> str:
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encoded(seed))
    return str(folder)


def refusal(data) -> str:
    with pytest.raises(DataError) as error:
        open_dataset(data)
    return str(error.value)


@pytest.fixture
def hundred(tmp_path):
    """A hundred pictures of two sources."""
    sources = ["camera"] * 50 + ["stylegan2"] * 50
    labels = [0] * 50 + [1] * 50
    return write_parquet(tmp_path / "hundred.parquet", [encoded(i) for i in range(100)], label=labels, source=sources)


# ---- opening


def test_parquet_by_name_by_glob_and_by_folder(tmp_path):
    first = write_parquet(tmp_path / "a-0.parquet", [encoded(0), encoded(1)])
    second = write_parquet(tmp_path / "a-1.parquet", [encoded(2), encoded(3), encoded(4)])
    for data in ([first, second], str(tmp_path / "a-*.parquet"), str(tmp_path)):
        dataset = open_dataset(data)
        assert [row["bytes"] for row in dataset["image"]] == [encoded(i) for i in range(5)]
        assert dataset["label"] == [0, 1, 0, 1, 0]
        assert dataset.features["label"] == ClassLabel(names=["real", "generated"])
    assert len(open_dataset(first)) == 2


def test_a_file_name_with_brackets_is_no_pattern(tmp_path):
    assert len(open_dataset(write_parquet(tmp_path / "faces[1].parquet", [encoded(0), encoded(1)]))) == 2


def test_missing_columns_get_plain_words(tmp_path):
    dataset = open_dataset(write_parquet(tmp_path / "faces.parquet", [encoded(0), encoded(1)]))
    assert dataset["source"] == ["faces.parquet"] * 2
    assert dataset["generator"] == ["unknown"] * 2


def test_columns_without_a_use_are_left_out(tmp_path):
    file = write_parquet(tmp_path / "a.parquet", [encoded(0)], generator=["none"], quality=[88], split_hint=["train"])
    assert open_dataset(file).column_names == ["image", "label", "source", "generator", "split_hint"]


def test_an_image_folder(tmp_path):
    write_folder(tmp_path / "set", "real/a.png", "real/ffhq/b.png", "generated/c.png", "generated/stylegan2/deep/d.png")
    (tmp_path / "set/real/notes.txt").write_text("not a picture, by its name")
    dataset = open_dataset(str(tmp_path / "set"))
    names = [Path(image["path"]).name for image in dataset["image"]]
    columns = zip(dataset["label"], dataset["source"], dataset["generator"], strict=True)
    found = dict(zip(names, columns, strict=True))
    assert found == {
        "a.png": (0, "set-real", "none"),
        "b.png": (0, "ffhq", "none"),
        "c.png": (1, "set-generated", "unknown"),
        "d.png": (1, "stylegan2", "stylegan2"),
    }


def test_parquet_and_folder_together(tmp_path):
    file = write_parquet(tmp_path / "a.parquet", [encoded(8), encoded(9)], split_hint=["train", "unseen-source"])
    folder = write_folder(tmp_path / "set", "real/a.png", "generated/b.png")
    dataset = open_dataset([file, folder])
    assert dataset["label"] == [0, 1, 0, 1]
    assert dataset["split_hint"] == ["train", "unseen-source", None, None]
    splits, refused = prepare_splits(dataset, fractions=(0.0, 0.0))
    assert ({name: len(part) for name, part in splits.items()}, refused) == ({"train": 3, "unseen": 1}, [])


# ---- refusing


def test_what_is_not_there_is_refused(tmp_path):
    assert refusal(str(tmp_path / "none.parquet")) == f"{tmp_path}/none.parquet: no such file or folder"
    assert refusal(f"{tmp_path}/none-*.parquet") == f"{tmp_path}/none-*.parquet: no such file or folder"
    assert refusal([]) == "no data given: name parquet files, an image folder or a Hub dataset"


def test_a_hub_dataset_is_refused_without_the_hub():
    # HF_HUB_OFFLINE is set for all tests
    message = refusal("someone/faces")
    assert message.startswith("someone/faces: neither a local path nor a Hub dataset that can be opened (")


def test_other_files_are_refused(tmp_path):
    (tmp_path / "faces.csv").write_text("image,label\n")
    assert refusal(str(tmp_path / "faces.csv")).endswith(
        "faces.csv: give parquet files, a folder, or the name of a Hub dataset"
    )


def test_a_broken_parquet_file_is_refused(tmp_path):
    (tmp_path / "broken.parquet").write_bytes(b"not parquet")
    assert "broken.parquet: not readable as parquet (" in refusal(str(tmp_path / "broken.parquet"))


def test_an_empty_folder_is_refused(tmp_path):
    assert refusal(str(tmp_path)) == f"{tmp_path}: no folder 'real' in it; lay pictures out as real/… and generated/…"
    for label in ("real", "generated"):
        (tmp_path / label).mkdir()
    assert refusal(str(tmp_path)) == f"{tmp_path}: no pictures in it"


@pytest.mark.parametrize("column", ["image", "label"])
def test_a_missing_column_is_refused(column, tmp_path):
    dataset = Dataset.from_dict({"image": [{"bytes": encoded(0), "path": None}], "label": [0], "source": ["a"]})
    dataset.remove_columns(column).to_parquet(str(tmp_path / "a.parquet"))
    assert f"a.parquet: no column {column!r}; found " in refusal(str(tmp_path / "a.parquet"))


@pytest.mark.parametrize(
    ("labels", "found"),
    [([0, 2], "0, 2"), ([-1, 1], "-1, 1"), (["real", "fake"], "fake, real"), ([0, None], "0, None")],
)
def test_other_labels_are_refused(labels, found, tmp_path):
    file = write_parquet(tmp_path / "a.parquet", [encoded(0), encoded(1)], label=labels)
    assert refusal(file) == f"{file}: labels must be 0 (real) and 1 (generated), not {found}"


@pytest.mark.parametrize("names", [["fake", "real"], ["generated", "real"]])
def test_label_names_in_another_order_are_refused(names, tmp_path):
    dataset = Dataset.from_dict({"image": [{"bytes": encoded(0), "path": None}], "label": [0]})
    dataset.cast_column("label", ClassLabel(names=names)).to_parquet(str(tmp_path / "a.parquet"))
    message = refusal(str(tmp_path / "a.parquet"))
    assert message.endswith(f"labels are {names}; they must be ['real', 'generated'], in this order")


# ---- Hub datasets: what the client gives back is made here, since no test reaches the Hub


def hub_answer(monkeypatch, **splits):
    answer = DatasetDict()
    for name, seeds in splits.items():
        images = [{"bytes": encoded(seed), "path": None} for seed in seeds]
        answer[name] = Dataset.from_dict({"image": images, "label": [0] * len(images)})
    monkeypatch.setattr(loading, "load_dataset", lambda name: answer)


def test_the_splits_of_a_hub_dataset_are_obeyed(monkeypatch):
    hub_answer(monkeypatch, train=[0, 1], validation=[2])
    splits, _ = prepare_splits(open_dataset("someone/faces"))
    assert {name: len(part) for name, part in splits.items()} == {"train": 2, "validation": 1}


def test_a_hub_dataset_with_one_split_is_split_here(monkeypatch):
    hub_answer(monkeypatch, train=range(20))
    splits, _ = prepare_splits(open_dataset("someone/faces"))
    assert {name: len(part) for name, part in splits.items()} == {"train": 14, "validation": 2, "test": 4}


# ---- broken pictures


def test_broken_pictures_are_refused_by_name_and_the_rest_kept(tmp_path):
    folder = Path(write_folder(tmp_path / "set", *[f"real/{i}.png" for i in range(3)], "generated/3.png"))
    (folder / "real/text.jpg").write_text("not a picture")
    (folder / "real/empty.jpg").write_bytes(b"")
    (folder / "generated/cut.png").write_bytes(encoded(5)[:-40])
    splits, refused = prepare_splits(open_dataset(str(folder)), fractions=(0.0, 0.0))
    kept = [Path(row["path"]).name for row in splits["train"]["image"]]
    assert sorted(kept) == ["0.png", "1.png", "2.png", "3.png"]
    assert [Path(message.split(": ")[0]).name for message in refused] == ["empty.jpg", "text.jpg", "cut.png"]
    assert "refused" not in splits["train"].column_names


def test_rows_without_a_picture_are_refused_by_number(tmp_path):
    images = [encoded(0), None, {"bytes": None, "path": None}, b"text", encoded(4)]
    file = write_parquet(tmp_path / "a.parquet", images, source=["ffhq"] * 5)
    splits, refused = prepare_splits(open_dataset(file), fractions=(0.0, 0.0))
    assert len(splits["train"]) == 2
    assert [message.split(": ")[0] for message in refused] == ["row 1 of ffhq", "row 2 of ffhq", "row 3 of ffhq"]


@pytest.mark.parametrize(
    "path", ["/dev/zero", "https://example.com/a.png", "zip://a.png::b.zip", "missing.png", "/dev"]
)
def test_paths_of_strangers_are_not_followed(path, tmp_path):
    images = [encoded(0), {"bytes": None, "path": path}]
    splits, refused = prepare_splits(open_dataset(write_parquet(tmp_path / "a.parquet", images)), fractions=(0, 0))
    assert len(splits["train"]) == 1
    assert refused == ["row 1 of a.parquet: the row has neither bytes nor the path of a local file; embed the bytes"]


@pytest.mark.parametrize("column", ["struct", "string"])
def test_a_table_cannot_name_pictures_of_this_machine(column, tmp_path):
    """It could: the row's path was opened, a picture of the user's own."""
    private = tmp_path / "private.png"
    private.write_bytes(encoded(1))
    file = tmp_path / "a.parquet"
    if column == "struct":
        write_parquet(file, [encoded(0), {"bytes": None, "path": str(private)}])
    else:
        pq.write_table(pa.table({"image": [str(private)] * 2, "label": [0, 1]}), file)
    refused = checked(open_dataset(str(file)))[1]
    assert len(refused) == (1 if column == "struct" else 2)
    assert "embed the bytes" in refused[0]


def test_nothing_but_broken_pictures_is_refused(tmp_path):
    file = write_parquet(tmp_path / "a.parquet", [b"text", b""])
    with pytest.raises(DataError, match="no pictures to train on"):
        prepare_splits(open_dataset(file))


# ---- splitting


def sides(splits) -> dict[str, set[str]]:
    return {name: set(part["sha256"]) for name, part in splits.items()}


def test_each_source_gives_its_share(hundred):
    splits, refused = prepare_splits(open_dataset(hundred))
    assert refused == []
    for name, n in (("train", 35), ("validation", 5), ("test", 10)):
        assert sorted(splits[name]["source"]) == ["camera"] * n + ["stylegan2"] * n
        assert splits[name]["label"] == [int(source == "stylegan2") for source in splits[name]["source"]]


def test_the_seed_decides(hundred):
    dataset = open_dataset(hundred)
    first, again, other = (prepare_splits(dataset, seed=seed)[0] for seed in (0, 0, 1))
    assert sides(first) == sides(again) != sides(other)


def test_near_duplicates_stay_together(tmp_path):
    # Given every picture three times: as PNG, and as two JPEGs
    forms = [("PNG", {}), ("JPEG", {"quality": 80}), ("JPEG", {"quality": 60})]
    images = [encoded(seed, kind, **options) for kind, options in forms for seed in range(30)]
    file = write_parquet(tmp_path / "a.parquet", images, label=[0] * 90)
    # When they are split
    splits, _ = prepare_splits(open_dataset(file))
    # Then every picture's three forms are on one side
    assert {name: len(part) for name, part in splits.items()} == {"train": 63, "validation": 9, "test": 18}
    seed_of = {data: i % 30 for i, data in enumerate(images)}
    seen = [{seed_of[row["bytes"]] for row in part["image"]} for part in splits.values()]
    assert sum(len(seeds) for seeds in seen) == 30


def test_held_out_names_and_hints_are_unseen(tmp_path):
    file = write_parquet(
        tmp_path / "a.parquet",
        [encoded(seed) for seed in range(6)] + [encoded(0, "JPEG")],
        label=[0, 0, 1, 1, 1, 0, 0],
        source=["ffhq", "lfw", "tpdne", "tpdne", "sfhq", "faceshape", "lfw"],
        generator=["none", "none", "stylegan2", "stylegan2", "stylegan2-e4e", "none", "none"],
        split_hint=["train"] * 5 + ["unseen-source", "train"],
    )
    splits, _ = prepare_splits(open_dataset(file), hold_out=["ffhq", "stylegan2"], fractions=(0.0, 0.0))
    assert sorted(splits["unseen"]["source"]) == ["faceshape", "ffhq", "tpdne", "tpdne"]
    assert splits["dropped"]["source"] == ["lfw"]  # the same picture as the held-out one of ffhq
    assert sorted(splits["train"]["source"]) == ["lfw", "sfhq"]


def test_a_held_out_name_that_stands_nowhere_is_refused(hundred):
    with pytest.raises(DataError, match=r"hold_out names \['stylegan'\], which is neither a source nor a generator"):
        prepare_splits(open_dataset(hundred), hold_out=["stylegan", "camera"])


def test_a_split_column_is_obeyed(tmp_path):
    wanted = ["train", "test", "train", "validation", "unseen", "train"]
    file = write_parquet(tmp_path / "a.parquet", [encoded(seed) for seed in range(6)], split=wanted)
    splits, _ = prepare_splits(open_dataset(file))
    found = {row["bytes"]: name for name, part in splits.items() for row in part["image"]}
    assert [found[encoded(seed)] for seed in range(6)] == wanted


def test_a_split_column_for_half_of_the_data_is_refused(tmp_path):
    first = write_parquet(tmp_path / "a.parquet", [encoded(0), encoded(1)], split=["train", "test"])
    second = write_parquet(tmp_path / "b.parquet", [encoded(2), encoded(3)])
    with pytest.raises(DataError, match="some pictures name their split and some do not"):
        prepare_splits(open_dataset([first, second]))


def test_pictures_for_training_alone_leave_the_held_out_ones_out(hundred, tmp_path):
    splits, _ = prepare_splits(open_dataset(hundred))
    training = splits.pop("train")
    seed_of = {encoded(i): i for i in range(100)}
    trained = {seed_of[row["bytes"]] for row in training["image"]}
    # Re-encodings of all pictures, as an autoencoder would make them, a broken one, and one of a new content
    images = [encoded(i, "JPEG", quality=70) for i in range(100)] + [b"no picture", encoded(200)]
    sources = [str(i) for i in range(102)]
    file = write_parquet(tmp_path / "more.parquet", images, label=[1] * 102, source=sources, extra=[0] * 102)
    more, refused = training_only(open_dataset(file), training, splits)
    assert {int(source) for source in more["source"]} == trained | {101}
    assert len(trained) == 70
    assert len(refused) == 1
    assert more.features == training.features


def test_a_set_without_training_pictures_is_refused(tmp_path):
    file = write_parquet(tmp_path / "a.parquet", [encoded(0), encoded(1)], split=["test", "validation"])
    with pytest.raises(DataError, match=r"no pictures to train on; the splits found are \['test', 'validation'\]"):
        prepare_splits(open_dataset(file))


def test_hashes_in_the_data_are_kept_and_of_another_kind_made_anew(tmp_path):
    kept = "0123456789abcdef"
    file = write_parquet(tmp_path / "a.parquet", [encoded(0), encoded(1), encoded(2)], phash=[kept, "zz", None])
    splits, _ = prepare_splits(open_dataset(file), fractions=(0.0, 0.0))
    hashes = dict(zip([row["bytes"] for row in splits["train"]["image"]], splits["train"]["phash"], strict=True))
    assert hashes == {
        encoded(0): kept,
        encoded(1): loading.phash(picture(1)),
        encoded(2): loading.phash(picture(2)),
    }


# ---- fingerprints


def prepared(file: Path, seeds, **columns):
    return prepare_splits(open_dataset(write_parquet(file, [encoded(s) for s in seeds], **columns)), fractions=(0, 0))[
        0
    ]


def test_the_same_data_has_the_same_fingerprint(tmp_path):
    columns = {"source": ["a"] * 4}
    first = fingerprint(prepared(tmp_path / "a.parquet", range(4), **columns)["train"])
    assert fingerprint(prepared(tmp_path / "b.parquet", range(4), **columns)["train"]) == first
    assert len(first) == 64


def test_changed_data_has_another_fingerprint(tmp_path):
    labels, sources, generators = [0, 1, 0, 1], ["a"] * 4, ["none", "x", "none", "x"]
    variants = [
        (range(4), labels, sources, generators),
        (range(1, 5), labels, sources, generators),
        ([1, 0, 2, 3], labels, sources, generators),
        (range(3), labels[:3], sources[:3], generators[:3]),
        (range(4), [0, 1, 0, 0], sources, generators),
        (range(4), labels, ["b", "a", "a", "a"], generators),
        (range(4), labels, sources, ["none", "y", "none", "x"]),
    ]
    found = [
        fingerprint(
            prepared(tmp_path / f"{i}.parquet", seeds, label=label, source=source, generator=generator)["train"]
        )
        for i, (seeds, label, source, generator) in enumerate(variants)
    ]
    assert len(set(found)) == len(variants)


# ---- the pool


def test_the_pool_is_split_cleanly(shared):
    # Given the development data, whose pictures are checked to decode elsewhere: here only its columns matter
    dataset = open_dataset(str(shared / "faces/pool-*.parquet"))
    hints, sources = list(dataset["split_hint"]), list(dataset["source"])
    keys = [f"{i:05d}" for i in range(len(dataset))]
    groups = near_duplicate_groups(dataset["phash"])
    # When it is split as training splits it
    unseen = [hint in loading.UNSEEN_HINTS for hint in hints]
    splits = np.array(loading.assign_splits(sources, groups, keys, unseen))
    # Then no hash on one side is within 4 bits of one on another, by comparing all with all
    hashes = np.array([int(value, 16) for value in dataset["phash"]], np.uint64)
    seen = ["train", "validation", "test", "unseen"]
    for i, first in enumerate(seen):
        theirs = hashes[np.isin(splits, seen[i + 1 :])]
        for value in hashes[splits == first]:
            assert not (np.bitwise_count(theirs ^ value) <= 4).any()
    # And no picture of an unseen source is in training, validation or test
    held_out = {source for source, hint in zip(sources, hints, strict=True) if hint == "unseen-source"}
    assert held_out == {"faceshape", "stylegan2-nvlabs", "sfhq-e4e"}
    assert not {source for source, split in zip(sources, splits, strict=True) if split in seen[:3]} & held_out
    counts = {split: int((splits == split).sum()) for split in seen}
    assert counts["unseen"] == 1145
    assert counts["validation"] == pytest.approx(798, abs=15)
    assert counts["test"] == pytest.approx(1596, abs=30)
