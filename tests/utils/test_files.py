"""Writing whole or not at all, and the lock, which ends with its process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fakeface.utils.errors import OptionError, OutputError
from fakeface.utils.files import clear_write_errors, lock, replace_file, replace_folder, replace_text

HOLD = """
import sys
from pathlib import Path
from fakeface.utils.files import lock
with lock(Path(sys.argv[1]), ValueError()):
    print("held", flush=True)
    sys.stdin.read()
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_half(file: Path) -> None:
    file.write_text("half")
    raise OSError("full")


def test_a_file_is_replaced_with_its_mode(tmp_path: Path):
    file = tmp_path / "a.txt"
    replace_text(file, "old")
    file.chmod(0o604)
    with replace_file(file) as fresh:
        fresh.write_text("new — ß", encoding="utf-8")
        assert file.read_text(encoding="utf-8") == "old"
    assert (file.read_text(encoding="utf-8"), file.stat().st_mode & 0o777, names(tmp_path)) == (
        "new — ß", 0o604, ["a.txt"]
    )  # fmt: skip


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    replace_text(tmp_path / "a.txt", "old")
    with pytest.raises(OSError, match="full"), replace_file(tmp_path / "a.txt") as fresh:
        write_half(fresh)
    assert ((tmp_path / "a.txt").read_text(), names(tmp_path)) == ("old", ["a.txt"])
    with pytest.raises(FileNotFoundError), replace_file(tmp_path / "a.txt"):
        pass  # nothing was written
    assert ((tmp_path / "a.txt").read_text(), names(tmp_path)) == ("old", ["a.txt"])


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path):
    folder = tmp_path / "one" / "model"
    (tmp_path / "one" / ".model.writing").mkdir(parents=True)  # of a run that was killed
    (tmp_path / "one" / ".model.writing" / "leftover").touch()
    with replace_folder(folder) as fresh:
        (fresh / "a").touch()
    with pytest.raises(OSError, match="full"), replace_folder(folder) as fresh:
        write_half(fresh / "b")
    assert (names(folder), names(folder.parent)) == (["a"], ["model"])
    with replace_folder(folder) as fresh:
        (fresh / "b").touch()
        assert names(folder) == ["a"]
    assert (names(folder), names(folder.parent)) == (["b"], ["model"])


def test_a_lock_is_held_until_its_process_ends(tmp_path: Path):
    file = tmp_path / "lock"
    command = [sys.executable, "-c", HOLD, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(OptionError, match="another run"), lock(file, OptionError("another run")):
            pass
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        with lock(file, OptionError("another run")), pytest.raises(OptionError), lock(file, OptionError("twice")):
            pass
    with lock(file, OptionError("another run")):
        pass


def test_what_the_system_says_gets_a_cure(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError) as told, clear_write_errors(tmp_path, "name another folder"):
        (tmp_path / "file" / "below").mkdir()
    assert str(told.value) == f"{tmp_path / 'file' / 'below'}: cannot be written (Not a directory); name another folder"
    with pytest.raises(OutputError) as told, clear_write_errors(tmp_path):
        raise OSError("the codec gave up")
    assert str(told.value) == f"{tmp_path}: cannot be written (the codec gave up)"
