"""From units to groups, splits, shards and rejects, on units made by hand."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from fakeface.data.build.recipe import BuildRecipe, build_recipe
from fakeface.data.build.row import SCHEMA
from fakeface.data.build.shards import decide, picture_names, read_index, write_shards
from fakeface.data.engine.units import unit_file, write_rows


def row(number: int, source: str = "camera", label: int = 0, phash: int | None = None, reason: str = "") -> dict:
    """A picture of a unit; hashes of different numbers are far apart."""
    filled = dict.fromkeys(SCHEMA.names)
    filled.update(label=label, source=source, generator=("none", "stylegan")[label], reason=reason, problem=reason)
    filled["image"] = {"bytes": None if reason else bytes([number]), "path": f"{source}/{number}.jpg"}
    if not reason:
        hash_ = int(np.random.default_rng(number).integers(2**63)) if phash is None else phash
        filled.update(phash=f"{hash_:016x}", sha256=f"{number + 1:064x}"[::-1])
    return filled


def write_units(folder: Path, *units: list[dict]) -> list[Path]:
    files = [unit_file(folder, number) for number in range(len(units))]
    for file, rows in zip(files, units, strict=True):
        write_rows(file, SCHEMA, rows)
    return files


def recipe(**settings) -> BuildRecipe:
    return build_recipe({"sources": ["ffhq"], **settings})


def finish(files: list[Path], folder: Path, rows_per_shard: int = 100, **settings):
    index = read_index(files)
    fate = decide(index, recipe(**settings), {})
    counts = write_shards(files, index, fate, rows_per_shard, folder)
    return fate, counts


def test_the_index_leaves_rejects_out(tmp_path):
    files = write_units(tmp_path, [row(1), row(2, reason="empty")], [row(3, "gan", 1, phash=2**63)])
    index = read_index(files)
    assert index.labels.tolist() == [0, 1]
    assert [index.source(i) for i in range(2)] == ["camera", "gan"]
    assert [index.names[i] for i in index.generators] == ["none", "stylegan"]
    assert int(index.phashes[1]) == 2**63
    assert index.contents.tolist() == [0x2000000000000000, 0x4000000000000000]


def test_names_by_place(tmp_path):
    files = write_units(tmp_path, [row(0, reason="empty"), row(1)], [row(2, reason="empty")], [row(3), row(4)])
    assert picture_names(files, {0, 2}) == {0: "camera/1.jpg", 2: "camera/4.jpg"}
    assert picture_names(files, ()) == {}


def test_held_out_pictures_are_unseen_and_their_near_duplicates_rejected(tmp_path):
    rows = [row(i) for i in range(10)] + [row(20, "gan", 1), row(21, "gan", 1, phash=0b1111), row(22, phash=0)]
    fate, counts = finish(write_units(tmp_path, rows), tmp_path / "whole", hold_out=["stylegan"])
    assert fate.splits[10:].tolist() == [3, 3, -1]
    assert fate.groups[11] == fate.groups[12]
    assert {key: n for key, n in counts.items() if key[0] in ("unseen", "rejected")} == {
        ("unseen", "gan", "stylegan", "generated"): 2,
        ("rejected", "near-unseen"): 1,
    }
    (reject,) = pq.read_table(tmp_path / "whole/rejects.parquet").to_pylist()
    assert (reject["picture"], reject["reason"], reject["label"]) == ("camera/22.jpg", "near-unseen", "real")


def test_sources_can_be_held_out_too(tmp_path):
    files = write_units(tmp_path, [row(1), row(2, "phone")])
    splits = decide(read_index(files), recipe(hold_out=["phone"], split_fractions=[0, 0]), {}).splits
    assert splits.tolist() == [0, 3]


def test_a_name_that_is_nowhere_cannot_be_held_out(tmp_path):
    index = read_index(write_units(tmp_path, [row(1)]))
    with pytest.raises(ValueError, match=r"hold_out names \['phone'\], neither .*; there are camera, none"):
        decide(index, recipe(hold_out=["phone"]), {})


def test_shares_of_each_source(tmp_path):
    files = write_units(tmp_path, [row(i) for i in range(20)], [row(100 + i, "gan", 1) for i in range(10)])
    _, counts = finish(files, tmp_path / "whole", split_fractions=[0.1, 0.2])
    assert {key[:2]: n for key, n in counts.items()} == {
        ("train", "camera"): 14,
        ("validation", "camera"): 2,
        ("test", "camera"): 4,
        ("train", "gan"): 7,
        ("validation", "gan"): 1,
        ("test", "gan"): 2,
    }


def test_contradictions_are_set_aside_and_told(tmp_path):
    files = write_units(tmp_path, [row(1), row(2, phash=9)], [row(3, "gan", 1, phash=9), row(4, "gan", 1)])
    fate, _ = finish(files, tmp_path / "whole", split_fractions=[0, 0])
    assert fate.contradicting == {1: 2, 2: 1}
    assert fate.splits.tolist() == [0, -1, -1, 0]
    rejects = pq.read_table(tmp_path / "whole/rejects.parquet").to_pylist()
    cure = "find out which is right and leave the other out"
    assert [(r["picture"], r["reason"], r["problem"]) for r in rejects] == [
        ("camera/2.jpg", "contradiction", f"real here, but generated as gan/3.jpg; {cure}"),
        ("gan/3.jpg", "contradiction", f"generated here, but real as camera/2.jpg; {cure}"),
    ]


def test_pictures_made_from_others_are_kept(tmp_path):
    index = read_index(write_units(tmp_path, [row(1, phash=9), row(2, "gan", 1, phash=9)]))
    assert decide(index, recipe(), {"gan": ("camera", "elsewhere"), "absent": ("gan",)}).contradicting == {}


def test_the_distance_of_the_recipe_decides_on_groups(tmp_path):
    index = read_index(write_units(tmp_path, [row(1, phash=0), row(2, phash=0b11111)]))
    assert decide(index, recipe(), {}).groups.tolist() == [0, 1]
    assert decide(index, recipe(distance=5), {}).groups.tolist() == [0, 0]


def test_shards_are_named_by_their_number_and_hold_all_columns(tmp_path):
    files = write_units(tmp_path, [row(i) for i in range(5)], [row(9, reason="empty")])
    finish(files, tmp_path / "whole", 2, split_fractions=[0, 0])
    names = [f"train-0000{i}-of-00003.parquet" for i in range(3)]
    assert sorted(path.name for path in (tmp_path / "whole/data").iterdir()) == names
    rows = [r for name in names for r in pq.read_table(tmp_path / "whole/data" / name).to_pylist()]
    assert [r["image"] for r in rows] == [{"bytes": bytes([i]), "path": f"camera/{i}.jpg"} for i in range(5)]
    assert [r["group"] for r in rows] == [0, 1, 2, 3, 4]
    assert {r["split"] for r in rows} == {"train"}
    assert {"native_width", "phash", "sha256", "label", "generator", "source"} <= set(rows[0])
    assert "reason" not in rows[0]
    (reject,) = pq.read_table(tmp_path / "whole/rejects.parquet").to_pylist()
    assert reject["reason"] == "empty"


def test_as_many_pictures_as_shards_hold_leave_no_empty_one(tmp_path):
    finish(write_units(tmp_path, [row(i) for i in range(4)]), tmp_path / "whole", 2, split_fractions=[0, 0])
    assert [pq.read_metadata(path).num_rows for path in (tmp_path / "whole/data").iterdir()] == [2, 2]
