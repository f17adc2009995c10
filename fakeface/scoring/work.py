"""The folder of a run beside its output: locked, tied to one command, and gone when the results are in their place."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..long_runs import GOES_ON, out_of_room
from .outputs import WRITERS, merge, part_file
from .plan import Plan
from .workers import WorkersError

_UNCLAIMED = ("lock", ".list.writing", ".command.writing")  # what is there before the folder has a command


class ScoreError(ValueError):
    """Nothing can be scored, or not to the end; the message says why, and the cure."""


class WorkFolder:
    """`OUT.parts`: the list of pictures, and the results of each unit of it.

    What it holds tells how far a run is: `command` (the digest of what is done), `plan.parquet` (all pictures),
    `unit-….parquet` (results), `whole` (the merged tables, on their way to their places).

    Attributes:
        out: the table of results.
        rejects: the table of refused pictures, beside it.
        folder: the folder.
    """

    def __init__(self, out: Path) -> None:
        if out.suffix.lower() not in WRITERS:
            raise ScoreError(f"{out}: results are written as .parquet, .csv or .jsonl; end the name with one of these")
        self.out = Path(os.path.abspath(out))
        self.rejects = self.out.with_name(f"{self.out.stem}.rejects{self.out.suffix}")
        self.folder = self.out.with_name(f"{self.out.name}.parts")
        self.plan_file, self.list_file = self.folder / "plan.parquet", self.folder / "list"
        self._command, self._whole = self.folder / "command", self.folder / "whole"
        self._finished = self.out.with_name(f".{self.out.name}.parts.finished")
        self._lock: IO[str] | None = None

    @property
    def own_paths(self) -> frozenset[str]:
        """What is no input even where it lies in a folder that is one."""
        return frozenset(map(str, (self.out, self.rejects, self.folder, self._finished)))

    def open(self, stdin: IO[bytes] | None) -> str:
        """Make the folder and lock it. Keeps the list that `stdin` gives, and returns its sha256, or nothing."""
        if not self.out.parent.is_dir():
            raise ScoreError(f"{self.out.parent}: no such folder; make it first")
        shutil.rmtree(self._finished, ignore_errors=True)
        self.folder.mkdir(exist_ok=True)
        if not self._command.exists() and any(file.name not in _UNCLAIMED for file in self.folder.iterdir()):
            raise ScoreError(f"{self.folder}: is no folder of a run, but would be this one's; name another output")
        self._lock = open(self.folder / "lock", "w")  # noqa: SIM115 (held to the end)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ScoreError(f"{self.out}: another run is writing there; wait for it, or stop it") from None
        for leftover in self.folder.glob(".*.writing"):
            leftover.unlink()
        return "" if stdin is None else self._keep_list(stdin)

    def claim(self, digest: str, overwrite: bool) -> None:
        """Tie the folder to a command, or find that it is.

        Raises:
            ScoreError: the output is there already, or the folder belongs to another command.
        """
        owner = self._command.read_text() if self._command.exists() else ""
        there = [path for path in (self.out, self.rejects) if os.path.lexists(path)]
        if not overwrite and there and not (owner == digest and self._whole.exists()):
            if not owner:
                self._discard()
            raise ScoreError(f"{there[0]}: is there already; name another file, or give --overwrite")
        if owner not in ("", digest):
            if not overwrite:
                raise ScoreError(
                    f"{self.folder}: holds a run that is not finished, with other inputs, options, versions or another "
                    "model; finish it with its own command, or give --overwrite to start over"
                )
            self._empty()
        if owner != digest:
            self._write(self._command, digest)
        if os.path.lexists(fresh := self.folder / ".list.writing"):
            os.replace(fresh, self.list_file)

    def merged(self) -> bool:
        """Whether all that is left to do is `publish`."""
        return self._whole.exists()

    def merge(self, plan: Plan) -> None:
        """Make the tables of all parts."""
        fresh = self.folder / ".whole"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        parts = (part_file(self.folder, unit) for unit in range(plan.units))
        counts = merge(parts, fresh / self.out.name, fresh / self.rejects.name)
        self._write(fresh / "counts", json.dumps(counts))
        os.replace(fresh, self._whole)

    def publish(self) -> Counter[str]:
        """Move the tables to their places, the results last, and remove the folder. Returns counts as `merge` does."""
        counts = Counter(json.loads((self._whole / "counts").read_text()))
        for target in (self.rejects, self.out):
            if (self._whole / target.name).exists():  # or it was moved before a kill
                os.replace(self._whole / target.name, target)
        self._discard()
        return counts

    def close(self) -> None:
        if self._lock is not None:
            self._lock.close()

    def _keep_list(self, stdin: IO[bytes]) -> str:
        digest = hashlib.sha256()
        with open(self.folder / ".list.writing", "wb") as file:
            while block := stdin.read(2**20):
                digest.update(block)
                file.write(block)
        return digest.hexdigest()

    def _write(self, file: Path, text: str) -> None:
        fresh = file.with_name(f".{file.name}.writing")
        with open(fresh, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(fresh, file)

    def _empty(self) -> None:
        """Remove what is left of another command; the digest first, for without it nothing here counts."""
        self._command.unlink(missing_ok=True)
        shutil.rmtree(self._whole, ignore_errors=True)
        for file in self.folder.iterdir():
            if file.suffix == ".parquet" or file == self.list_file:
                file.unlink()

    def _discard(self) -> None:
        """Remove the folder, all at once as far as another run can see."""
        os.replace(self.folder, self._finished)
        shutil.rmtree(self._finished, ignore_errors=True)


@contextmanager
def clear_failures(out: Path) -> Iterator[None]:
    """Say in a line what the machine ran out of. What was written so far is kept, and another run goes on from it."""
    try:
        yield
    except WorkersError as error:
        raise ScoreError(f"{error}, most likely for want of memory; {GOES_ON} (try fewer --workers)") from None
    except OSError as error:
        raise ScoreError(out_of_room(error, out)) from None


__all__ = ["ScoreError", "WorkFolder", "clear_failures"]
