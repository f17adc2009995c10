"""What is chosen before any picture is decoded."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from raw import encoded, write_csv, write_files, write_zip

from fakeface.data.build import plan as plan_module
from fakeface.data.build.plan import PlanError, balanced, make_plan
from fakeface.data.build.recipe import build_recipe
from fakeface.data.engine.units import PictureList
from fakeface.data.engine.workers import Entry
from fakeface.data.sources.reference import Reference

REAL = {"source": "pictures", "name": "camera", "label": "real"}
GENERATED = {"source": "pictures", "name": "gan", "label": "generated", "generator": "StyleGAN2"}


@pytest.fixture(autouse=True)
def small_units(monkeypatch):
    monkeypatch.setattr("fakeface.data.engine.units.UNIT_ROWS", 4)


@pytest.fixture
def root(tmp_path):
    write_files(tmp_path / "camera", [f"{i}.jpg" for i in range(6)])
    write_files(tmp_path / "gan", [f"{i}.jpg" for i in range(3)])
    return tmp_path


def planned(root, *sources, **settings):
    return make_plan(build_recipe({"sources": list(sources) or [REAL, GENERATED], **settings}), root, root / "work")


def units(plan) -> list[list[Entry]]:
    pictures = PictureList(plan.file)
    return [pictures.read(unit) for unit in range(pictures.units)]


def paths(plan) -> list[str]:
    return [picture.name for unit in units(plan) for picture in unit]


def test_pictures_in_units_in_order(root):
    plan = planned(root)
    assert paths(plan) == [f"camera/{i}.jpg" for i in range(6)] + [f"gan/{i}.jpg" for i in range(3)]
    first, middle, last = units(plan)
    assert (len(first), len(middle)) == (4, 4)
    reference = Reference("", "2.jpg", 0, len(encoded(2)), 1, "stylegan2", "gan")
    assert last == [Entry("gan/2.jpg", str(root / "gan"), reference)]
    assert first[0].reference.generator == "none"
    assert plan.taken == {("camera", "real"): 6, ("gan", "generated"): 3}
    assert [path.name for path in (root / "work").iterdir()] == ["plan.parquet"]


def test_a_cap_takes_the_same_pictures_whatever_else_is_there(root):
    few = paths(planned(root, REAL, cap=3))
    assert len(few) == 3
    assert [path for path in paths(planned(root, REAL, GENERATED, cap=3)) if path.startswith("camera")] == few
    assert paths(planned(root, {**REAL, "cap": 3}, GENERATED))[:3] == few
    assert {tuple(paths(planned(root, REAL, cap=3, seed=seed))) for seed in range(5)} != {tuple(few)}


def test_balance_takes_as_many_of_both(root):
    plan = planned(root, balance=True)
    assert plan.taken == {("camera", "real"): 3, ("gan", "generated"): 3}


def test_balanced_sizes_keep_the_shares():
    assert balanced({(0, 0): 60, (1, 0): 30, (2, 1): 30}) == {(0, 0): 20, (1, 0): 10, (2, 1): 30}
    # What rounding leaves goes to the largest remainders: shares are 3.5, 1.75 and 1.75.
    assert balanced({(0, 0): 4, (1, 0): 2, (2, 0): 2, (3, 1): 7}) == {(0, 0): 3, (1, 0): 2, (2, 0): 2, (3, 1): 7}
    assert balanced({(0, 0): 10, (1, 0): 6, (2, 1): 11}) == {(0, 0): 7, (1, 0): 4, (2, 1): 11}  # 6.875 and 4.125
    with pytest.raises(PlanError, match="nothing to balance: no pictures are generated"):
        balanced({(0, 0): 4})


def test_a_missing_source_is_named_with_the_cure(root):
    with pytest.raises(PlanError) as error:
        planned(root, REAL, {**GENERATED, "root": "nowhere"})
    assert str(error.value).splitlines() == [
        f"{root}/nowhere: no such folder; check the path",
        "To build from what is there, set `partial: true` at the source, or give --partial.",
    ]


def test_an_incomplete_source_needs_consent(root):
    (root / "gan/9.jpg.part").write_bytes(b"half")
    with pytest.raises(PlanError, match="is half downloaded"):
        planned(root)
    plan = planned(root, REAL, {**GENERATED, "partial": True})
    assert plan.taken.total() == 9
    assert plan.found["gan"].problems == [
        f"{root}/gan/9.jpg.part: is half downloaded; let the download end, or start it again"
    ]


def test_nothing_left_is_an_error(root):
    write_files(root / "mixed", ["real/1.jpg"])
    write_csv(root / "mixed/list.csv", [{"path": "gone.jpg", "label": "real"}])
    listed = {"source": "pictures", "name": "mixed", "csv": "list.csv", "partial": True}
    with pytest.raises(PlanError, match=r"list\.csv: 1 of the pictures it lists are not there"):
        planned(root, listed)


def write_table(file, images):
    file.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table({"image": images, "source": ["inner"] * len(images)}), file)


def test_a_table_names_its_own_sources(root):
    write_table(root / "gan/x.parquet", [encoded(7)])
    assert paths(planned(root))[-1] == "inner/x.parquet/00000000"


def test_the_digest_is_of_what_is_there(root):
    """Pictures of a table or a list were once known by their places alone: others in their stead went unnoticed."""
    write_table(root / "gan/x.parquet", [encoded(7), encoded(8)])
    write_zip(root / "gan/x.zip", {"a.bmp": encoded(9, "BMP")})
    write_csv(root / "camera/list.csv", [{"path": f"{i}.jpg"} for i in range(6)])
    sources = {**REAL, "csv": "list.csv"}, GENERATED
    digests = [planned(root, *sources).digest for _ in range(2)]
    (root / "camera/3.jpg").write_bytes(encoded(3, quality=30))
    digests.append(planned(root, *sources).digest)
    write_table(root / "gan/x.parquet", [encoded(7), encoded(8, quality=30)])
    digests.append(planned(root, *sources).digest)
    write_zip(root / "gan/x.zip", {"a.bmp": encoded(10, "BMP")})  # of the same size
    digests.append(planned(root, *sources).digest)
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4


def test_draws_do_not_depend_on_the_order_of_listing(root, monkeypatch):
    first = paths(planned(root, REAL, cap=2))
    monkeypatch.setattr(plan_module, "_BATCH", 1)
    assert paths(planned(root, REAL, cap=2)) == first
    assert np.unique(first).size == 2
