"""The list of a run: what goes in comes out, in units; and what the machine runs out of is a line."""

import errno
import os
from pathlib import Path

import pytest

from fakeface.data.engine.units import PictureList, clear_failures, write_list
from fakeface.data.engine.workers import Entry, WorkersError
from fakeface.data.sources.reference import Reference
from fakeface.score.work import ScoreError


def test_what_goes_in_comes_out_in_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fakeface.data.engine.units.UNIT_ROWS", 2)
    monkeypatch.setattr("fakeface.data.parquet.ROW_GROUP_ROWS", 4)
    odd = os.fsdecode(b"\xff.jpg")
    given = [Entry(f"in/{i}{odd}", "/in", Reference("a.zip", odd, i, 10 * i, i % 2, "gan", "web")) for i in range(10)]
    given.append(Entry("in", "", Reference("", ""), "unreadable", f"{odd}: cannot be listed"))
    write_list(tmp_path / "plan.parquet", iter(given))
    plan = PictureList(tmp_path / "plan.parquet")
    assert (plan.total, plan.units, [plan.size(unit) for unit in range(6)]) == (11, 6, [2, 2, 2, 2, 2, 1])
    read = [entry for unit in (0, 1, 2, 3, 4, 5) for entry in plan.read(unit)]
    assert read[:10] == given[:10]
    assert (read[10].name, read[10].reason, read[10].problem) == ("in", "unreadable", "\\udcff.jpg: cannot be listed")
    assert plan.read(1) == given[2:4]  # back to an earlier group
    assert [path.name for path in tmp_path.iterdir()] == ["plan.parquet"]
    plan.close()


def test_a_list_of_nothing_has_no_units(tmp_path: Path):
    write_list(tmp_path / "plan.parquet", [])
    plan = PictureList(tmp_path / "plan.parquet")
    assert (plan.total, plan.units) == (0, 0)
    plan.close()


def test_a_list_that_fails_leaves_no_file_that_looks_whole(tmp_path: Path):
    def broken():
        yield Entry("a", "", Reference("", "a"))
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        write_list(tmp_path / "plan.parquet", broken())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError(errno.ENOSPC, "full"),
            "out.csv: no room left on the disk, or beyond a quota; make room: what",
        ),
        (OSError("Arrow failed. Detail: [errno 28] No space left on device"), "out.csv: no room left on the disk"),
        (
            PermissionError(errno.EACCES, "Permission denied", "x"),
            "x: Permission denied; check its mode and owner, or name another output",
        ),
        (
            WorkersError("no worker process stays alive"),
            "no worker process stays alive, most likely for want",
        ),
    ],
)
def test_what_the_machine_runs_out_of_is_a_line(error: Exception, words: str):
    with pytest.raises(ScoreError) as told, clear_failures(Path("out.csv"), ScoreError):
        raise error
    assert str(told.value).startswith(words)
