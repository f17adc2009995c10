"""Opening data of every form, refusing what is wrong with it, and splitting the rest."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, config, disable_progress_bars, load_dataset
from datasets.table import embed_table_storage
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
    dataset = Dataset.from_dict({"image": rows, **columns})
    if set(columns["label"]) <= {0, 1}:
        dataset = dataset.cast_column("label", ClassLabel(names=["real", "generated"]))
    dataset.to_parquet(str(file))
    return str(file)


def write_labels(file: Path, labels: list, feature=None) -> str:
    """A parquet file of one picture for each label, of the type that `feature` says."""
    images = [{"bytes": encoded(i), "path": None} for i in range(len(labels))]
    dataset = Dataset.from_dict({"image": images, "label": labels})
    (dataset.cast_column("label", feature) if feature else dataset).to_parquet(str(file))
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
    assert refusal(str(tmp_path / "none.parquet")) == f"{tmp_path}/none.parquet: no such file or folder; check the path"
    assert refusal(f"{tmp_path}/none-*.parquet") == f"{tmp_path}/none-*.parquet: no such file or folder; check the path"
    assert refusal([]) == "no data given: name parquet files, an image folder or a Hub dataset"


def test_a_hub_dataset_is_refused_without_the_hub():
    # HF_HUB_OFFLINE is set for all tests
    message = refusal("someone/faces")
    assert message.startswith("someone/faces: neither a local path nor a Hub dataset that can be opened (")


def test_other_files_are_refused(tmp_path):
    (tmp_path / "faces.txt").write_text("image,label\n")
    assert refusal(str(tmp_path / "faces.txt")).endswith(
        "faces.txt: give parquet files, a CSV or JSONL list, a folder, or the name of a Hub dataset"
    )


def test_a_broken_parquet_file_is_refused(tmp_path):
    (tmp_path / "broken.parquet").write_bytes(b"not parquet")
    assert "broken.parquet: not readable as parquet (" in refusal(str(tmp_path / "broken.parquet"))


def test_an_empty_folder_is_refused(tmp_path):
    empty = f"{tmp_path}: no pictures in it; lay them out as real/… and generated/…"
    assert refusal(str(tmp_path)) == empty
    for label in ("real", "generated"):
        (tmp_path / label).mkdir()
    assert refusal(str(tmp_path)) == empty


@pytest.mark.parametrize("column", ["image", "label"])
def test_a_missing_column_is_refused(column, tmp_path):
    dataset = Dataset.from_dict({"image": [{"bytes": encoded(0), "path": None}], "label": ["real"], "source": ["a"]})
    dataset.remove_columns(column).to_parquet(str(tmp_path / "a.parquet"))
    assert f"a.parquet: no column {column!r}; found " in refusal(str(tmp_path / "a.parquet"))


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ([0, 2], "labels must be whole numbers below 2, not 2"),
        ([0, None], "there are rows without a label; leave them out"),
        (["real", "cat"], "the label 'cat' says neither real nor generated; name them, or state their order"),
        ([True, False], "the column 'label' must hold names or whole numbers, not bool; save it as names"),
        ([0.0, 1.0], "the column 'label' must hold names or whole numbers, not float64; save it as names"),
    ],
)
def test_other_labels_are_refused(labels, found, tmp_path):
    file = write_labels(tmp_path / "a.parquet", labels)
    with pytest.raises(DataError) as error:
        open_dataset(file, labels=("real", "generated"))
    assert str(error.value).startswith(f"{file}: {found}")


# ---- labels by their names


@pytest.mark.parametrize(
    "names", [["fake", "real"], ["generated", "real"], ["0_ai", "1_human"], ["sdxl", "real", "gan"]]
)
def test_names_of_the_numbers_decide(names, tmp_path):
    """`datasets` numbers the folders of an image folder by the alphabet; every label was inverted or refused."""
    ours = [int("real" not in name and "human" not in name) for name in names]
    file = write_labels(tmp_path / "a.parquet", list(range(len(names))), ClassLabel(names=names))
    for stated in ((), ("real", "generated")):
        dataset = open_dataset(file, labels=stated)
        assert dataset["label"][:] == ours
        assert dataset.features["label"] == ClassLabel(names=["real", "generated"])


def test_names_in_the_rows_decide(tmp_path):
    file = write_labels(tmp_path / "a.parquet", ["fake", "Real", "AI-generated", "human"])
    assert open_dataset(file)["label"][:] == [1, 0, 1, 0]


@pytest.mark.parametrize("feature", [None, ClassLabel(names=["0", "1"]), ClassLabel(names=["cat", "dog"])])
def test_numbers_without_meaning_take_a_stated_order(feature, tmp_path):
    file = write_labels(tmp_path / "a.parquet", [0, 1, 1], feature)
    assert "--labels real,generated" in refusal(file)
    assert open_dataset(file, labels=("real", "generated"))["label"][:] == [0, 1, 1]
    assert open_dataset(file, labels=("generated", "real"))["label"][:] == [1, 0, 0]
    with pytest.raises(DataError, match="labels is 'real', 'fake': it takes real and generated, in the order"):
        open_dataset(file, labels=("real", "fake"))


def test_an_image_folder_of_datasets_opens_alike_from_files_and_from_its_parquet(tmp_path):
    folder = write_folder(tmp_path / "set", "fake/a.png", "real/b.png", "real/c.png")
    loaded = load_dataset("imagefolder", data_dir=folder, split="train")
    assert isinstance(loaded, Dataset)
    loaded.with_format("arrow").map(embed_table_storage, batched=True).to_parquet(str(tmp_path / "a.parquet"))
    opened = [checked(open_dataset(data))[0] for data in (folder, str(tmp_path / "a.parquet"))]
    labels = [dict(zip(one["sha256"], one["label"], strict=True)) for one in opened]
    assert labels[0] == labels[1]
    assert sorted(labels[0].values()) == [0, 0, 1]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("fake/a.png", "real/b.png"), {"a": (1, "unknown", None), "b": (0, "none", None)}),
        (
            ("train/real/a.png", "train/fake/sdxl/b.png", "val/real/c.png", "test/fake/d.png"),
            {
                "a": (0, "none", "train"),
                "b": (1, "sdxl", "train"),
                "c": (0, "none", "validation"),
                "d": (1, "unknown", "test"),
            },
        ),
        (("0_real/a.png", "1_fake/b.png"), {"a": (0, "none", None), "b": (1, "unknown", None)}),
        (("human/a.png", "stable-diffusion/b.png"), {"a": (0, "none", None), "b": (1, "stable-diffusion", None)}),
        (("ai-set/real/a.png", "ai-set/fake/b.png"), {"a": (0, "none", None), "b": (1, "unknown", None)}),
        (("generated/human/a.png", "real/b.png"), {"a": (1, "human", None), "b": (0, "none", None)}),
    ],
)
def test_folders_under_other_names(names, found, tmp_path):
    dataset = open_dataset(write_folder(tmp_path / "set", *names))
    splits = dataset["split"] if "split" in dataset.column_names else [None] * len(dataset)
    columns = zip(dataset["label"], dataset["generator"], splits, strict=True)
    assert dict(zip([Path(image["path"]).stem for image in dataset["image"]], columns, strict=True)) == found


def test_folders_that_contradict_each_other_are_refused(tmp_path):
    folder = write_folder(tmp_path / "set", "deepfake/real/a.png", "deepfake/fake/b.png")
    assert "the folders deepfake/real say real and generated; rename one" in refusal(folder)


def test_pictures_that_nothing_tells_of_are_left_out_aloud_or_refused(tmp_path, caplog):
    folder = write_folder(tmp_path / "set", "real/a.png", "generated/b.png", "masks/c.png", "d.png")
    assert len(open_dataset(folder)) == 2
    assert "2 pictures are left out that no folder calls real or generated, such as d.png" in caplog.text
    folder = write_folder(tmp_path / "other", "real/a.png", "progan/b.png")
    assert "other: nothing says whether progan/b.png is real; lay pictures out as" in refusal(folder)


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_a_folder_with_lists(name, tmp_path):
    for part, labels in (("train", ["fake", "real"]), ("test", ["real", "fake"])):
        write_folder(tmp_path / "set", f"{part}/0.png", f"{part}/1.png")
        rows = [{"file_name": f"{i}.png", "label": label} for i, label in enumerate(labels)]
        lines = [json.dumps(row) for row in rows]
        if name.endswith(".csv"):
            lines = ["file_name,label", *(f"{row['file_name']},{row['label']}" for row in rows)]
        (tmp_path / "set" / part / name).write_text("\n".join(lines) + "\n")
    for data in (tmp_path / "set", tmp_path / "set/train" / name):
        dataset = open_dataset(str(data))
        paths = [Path(image["path"]).relative_to(tmp_path) for image in dataset["image"]]
        told = dict(zip(paths, dataset["label"], strict=True))
        wanted = {"train/0.png": 1, "train/1.png": 0, "test/0.png": 0, "test/1.png": 1}
        assert told == {
            Path("set", picture): label for picture, label in wanted.items() if data.is_dir() or "train" in picture
        }


def test_lists_about_something_else_do_not_decide(tmp_path):
    folder = write_folder(tmp_path / "set", "real/a.png", "fake/b.png")
    (tmp_path / "set/metadata.csv").write_text("licence,year\nCC0,2026\n")
    assert sorted(open_dataset(folder)["label"]) == [0, 1]
    (tmp_path / "set/metadata.csv").write_text("file_name,label\nreal/a.png,1\nfake/b.png,0\n")
    assert "metadata.csv: line 2: the label '1' says neither real nor generated" in refusal(folder)
    assert open_dataset(folder, labels=("real", "generated"))["label"][:] == [1, 0]


def test_splits_without_validation_take_it_from_training(tmp_path):
    names = [f"train/{label}/{i}.png" for i in range(20) for label in ("real", "fake")]
    folder = write_folder(tmp_path / "set", *names, "test/real/a.png", "test/fake/b.png")
    splits, _ = prepare_splits(open_dataset(folder))
    assert {name: len(part) for name, part in splits.items()} == {"train": 36, "validation": 4, "test": 2}


# ---- Hub datasets: what the client gives back is made here, since no test reaches the Hub


def hub_answer(monkeypatch, **splits):
    answer = DatasetDict()
    for name, seeds in splits.items():
        images = [{"bytes": encoded(seed), "path": None} for seed in seeds]
        answer[name] = Dataset.from_dict({"image": images, "label": ["real"] * len(images)})
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
    (message,) = refused
    assert message.startswith("row 1 of a.parquet: the row has neither bytes nor the path of a local file; embed ")


@pytest.mark.parametrize("column", ["struct", "string"])
def test_a_table_cannot_name_pictures_of_this_machine(column, tmp_path):
    """It could: the row's path was opened, a picture of the user's own."""
    private = tmp_path / "private.png"
    private.write_bytes(encoded(1))
    file = tmp_path / "a.parquet"
    if column == "struct":
        write_parquet(file, [encoded(0), {"bytes": None, "path": str(private)}])
    else:
        pq.write_table(pa.table({"image": [str(private)] * 2, "label": ["real", "fake"]}), file)
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


def test_who_learns_all_keeps_the_validation_pictures_and_a_share_of_the_unseen_ones(tmp_path):
    file = write_parquet(
        tmp_path / "a.parquet",
        [encoded(seed) for seed in range(120)] + [encoded(0, "JPEG")],
        label=[seed % 2 for seed in range(121)],
        source=["new"] * 20 + ["old"] * 101,
        split_hint=["unseen-source"] * 20 + ["train"] * 101,
    )
    before = sides(prepare_splits(open_dataset(file))[0])
    after = sides(prepare_splits(open_dataset(file), learn_all=True)[0])
    assert {name: len(part) for name, part in before.items()} == {
        "dropped": 1, "test": 20, "train": 70, "unseen": 20, "validation": 10
    }  # fmt: skip
    assert after["dropped"] == before["dropped"]  # its near duplicate may stand on either side
    new = after["validation"] - before["validation"]
    assert (len(new), new < before["unseen"]) == (2, True)
    assert before["validation"] < after["validation"]
    assert after["train"] == before["train"] | before["test"] | before["unseen"] - new


def test_who_learns_all_learns_what_a_split_column_holds_out(tmp_path):
    names = ["train", "test", "train", "validation", "unseen", "train"]
    file = write_parquet(tmp_path / "a.parquet", [encoded(seed) for seed in range(6)], split=names)
    splits, _ = prepare_splits(open_dataset(file), learn_all=True)
    assert {name: len(part) for name, part in splits.items()} == {"train": 5, "validation": 1}


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
