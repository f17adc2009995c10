"""The list of a run: what goes in comes out, in units."""

import os
from pathlib import Path

import pytest

from fakeface.data.layouts import Reference
from fakeface.scoring import plan as module
from fakeface.scoring.inputs import Entry
from fakeface.scoring.plan import Plan, write_plan


def test_what_goes_in_comes_out_in_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "UNIT_ROWS", 2)
    monkeypatch.setattr(module, "_GROUP_UNITS", 2)
    odd = os.fsdecode(b"\xff.jpg")
    given = [Entry(f"in/{i}{odd}", "/in", Reference("a.zip", odd, at=i, size=10 * i)) for i in range(10)]
    given.append(Entry("in", "", Reference("", ""), "unreadable", f"{odd}: cannot be listed"))
    write_plan(iter(given), tmp_path / "plan.parquet")
    plan = Plan(tmp_path / "plan.parquet")
    assert (plan.total, plan.units, [plan.size(unit) for unit in range(6)]) == (11, 6, [2, 2, 2, 2, 2, 1])
    read = [entry for unit in (0, 1, 2, 3, 4, 5) for entry in plan.read(unit)]
    assert read[:10] == given[:10]
    assert (read[10].name, read[10].reason, read[10].problem) == ("in", "unreadable", "\\udcff.jpg: cannot be listed")
    assert plan.read(1) == given[2:4]  # back to an earlier group
    assert [path.name for path in tmp_path.iterdir()] == ["plan.parquet"]
    plan.close()


def test_a_list_of_nothing_has_no_units(tmp_path: Path):
    write_plan([], tmp_path / "plan.parquet")
    plan = Plan(tmp_path / "plan.parquet")
    assert (plan.total, plan.units) == (0, 0)
    plan.close()


def test_a_list_that_fails_leaves_no_file_that_looks_whole(tmp_path: Path):
    def broken():
        yield Entry("a", "", Reference("", "a"))
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        write_plan(broken(), tmp_path / "plan.parquet")
    assert not (tmp_path / "plan.parquet").exists()
