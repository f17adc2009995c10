"""Files and folders that are there whole or not at all, and work that one process at a time does."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import FakefaceError, OutputError


@contextmanager
def replace_file(file: Path) -> Iterator[Path]:
    """A path to write to in the block; what is there at its end takes the place of `file`, and its mode.

    A reader, or a run after a kill or a power cut, finds the old file or the new one, whole. If the block raises, the
    old one stays, and a full disk gets back what the new one had taken.
    """
    # Named after its process: a worker whose run was killed may still write while the next run's does.
    fresh = file.with_name(f".{file.name}.{os.getpid()}.writing")
    try:
        yield fresh
        with fresh.open("r+b") as written:
            os.fsync(written.fileno())
        if file.exists():
            shutil.copymode(file, fresh)
        os.replace(fresh, file)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def replace_text(file: Path, text: str) -> None:
    """Write a text file in UTF-8, as `replace_file` does."""
    with replace_file(file) as fresh:
        fresh.write_text(text, encoding="utf-8")


@contextmanager
def replace_folder(folder: Path) -> Iterator[Path]:
    """An empty folder to fill in the block, which takes the place of `folder` at its end, or is gone if that raises.

    A reader sees the old folder, for an instant none, or the new one, never half of either.
    """
    fresh, retired = (folder.with_name(f".{folder.name}.{state}") for state in ("writing", "old"))
    shutil.rmtree(fresh, ignore_errors=True)  # of a run that was killed
    try:
        fresh.mkdir(parents=True)
        yield fresh
    except BaseException:  # a full disk above all: give back what was taken
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    shutil.rmtree(retired, ignore_errors=True)
    if folder.exists():
        os.replace(folder, retired)
    os.replace(fresh, folder)
    shutil.rmtree(retired, ignore_errors=True)


@contextmanager
def lock(file: Path, refusal: FakefaceError, **options: Any) -> Iterator[None]:
    """Hold a lock file in the block. A lock ends with the process that holds it, also when that is killed.

    Args:
        file: of the lock; made if it is not there, and left there.
        refusal: raised where another holds it.
        options: of `filelock.FileLock`.
    """
    from filelock import FileLock, Timeout

    try:
        held = FileLock(file, **options).acquire(timeout=0)
    except Timeout:
        raise refusal from None
    with held:
        yield


def refuse_unwritable(out: Path, *, parents: bool = True) -> None:
    """Raise OutputError where `out`, a file or a folder, plainly cannot be written: before the work, not after it.

    Args:
        out: made, changed and opened by nobody here; so a disk that is full is not noticed.
        parents: folders above it that are missing will be made.
    """
    path = Path(os.path.abspath(out))
    nearest = next(place for place in (path, *path.parents) if os.path.lexists(place))
    if nearest != path and not nearest.is_dir():
        problem = errno.ENOTDIR
    elif nearest not in (path, path.parent) and not parents:
        problem = errno.ENOENT
    elif not os.access(nearest, os.W_OK | (os.X_OK if nearest.is_dir() else 0)):
        problem = errno.EACCES
    else:
        return
    raise OutputError(f"{out}: cannot be written ({os.strerror(problem)}); name another place")


@contextmanager
def clear_write_errors(out: Path, cure: str = "") -> Iterator[None]:
    """What the system says when it cannot write `out`, or a file of it, as an OutputError with a cure."""
    try:
        yield
    except OSError as error:
        problem = f"{error.filename or out}: cannot be written ({error.strerror or error})"
        raise OutputError(f"{problem}; {cure}" if cure else problem) from None


__all__ = ["clear_write_errors", "lock", "refuse_unwritable", "replace_file", "replace_folder", "replace_text"]
