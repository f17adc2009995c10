"""The folder of a run beside its output: locked, tied to one command, and gone when the results are in their place."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import IO

from ..data.engine.units import remove_leftovers, unit_file
from ..data.engine.workers import Entry
from ..images.load import OtherFiles
from ..utils.errors import FakefaceError
from ..utils.files import lock, refuse_unwritable, replace_folder, replace_text
from .outputs import WRITERS, merge


class ScoreError(FakefaceError):
    """Nothing can be scored, or not to the end; the message says why, and the cure."""


class WorkFolder:
    """`OUT.parts`: the list of pictures, and the results of each unit of it.

    What it holds tells how far a run is: `command` (the digest of what is done), `plan.parquet` (all pictures),
    `others` (how many files were none, or only by their content), `unit-….parquet` (results), `whole` (the merged
    tables, on their way to their places).

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
        self.plan_file, self.list_file = self.folder / "plan.parquet", self.folder / ".list.writing"
        self._command, self._whole = self.folder / "command", self.folder / "whole"
        self._others = self.folder / "others"
        self._finished = self.out.with_name(f".{self.out.name}.parts.finished")
        self._held = ExitStack()

    def refuse_taken(self, overwrite: bool) -> None:
        """Raise ScoreError where the results cannot go to their place, as far as that shows before a run."""
        if not self.out.parent.is_dir():
            raise ScoreError(f"{self.out.parent}: no such folder; make it first")
        refuse_unwritable(self.out)
        there = [path for path in (self.out, self.rejects) if os.path.lexists(path)]
        if there and not overwrite and not self.folder.exists():  # else a run may be about to publish them
            raise ScoreError(f"{there[0]}: is there already; name another file, or give --overwrite")

    @property
    def own_paths(self) -> frozenset[str]:
        """What is not an input even where it lies in a folder that is one."""
        return frozenset(map(str, (self.out, self.rejects, self.folder, self._finished)))

    def open(self, stdin: IO[bytes] | None) -> str:
        """Make the folder and lock it. Keeps the list that `stdin` gives until this run ends; returns its sha256."""
        if not self.out.parent.is_dir():
            raise ScoreError(f"{self.out.parent}: no such folder; make it first")
        shutil.rmtree(self._finished, ignore_errors=True)
        self.folder.mkdir(exist_ok=True)
        own = {self.folder / "lock", *self.folder.glob(".*.writing")}  # what is there before it has a command
        if not self._command.exists() and {*self.folder.iterdir()} - own:
            raise ScoreError(f"{self.folder}: is not a folder of a run, but would be this one's; name another output")
        in_use = ScoreError(f"{self.out}: another run is writing there; wait for it, or stop it")
        self._held.enter_context(lock(self.folder / "lock", in_use))
        remove_leftovers(self.folder)
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
            replace_text(self._command, digest)

    def noting(self, entries: Iterable[Entry], others: OtherFiles) -> Iterator[Entry]:
        """The entries; and once they are all listed, before the list is whole, what else was counted with them."""
        yield from entries
        replace_text(self._others, json.dumps(asdict(others)))

    def others(self) -> OtherFiles:
        """What was counted beside the list."""
        return OtherFiles(**json.loads(self._others.read_text()))

    def merged(self) -> bool:
        """Whether all that is left to do is `publish`."""
        return self._whole.exists()

    def merge(self, units: int) -> None:
        """Make the tables of so many units."""
        files = (unit_file(self.folder, unit) for unit in range(units))
        with replace_folder(self._whole) as whole:
            counts = merge(files, whole / self.out.name, whole / self.rejects.name)
            replace_text(whole / "counts", json.dumps(counts))

    def publish(self) -> Counter[str]:
        """Move the tables to their places, the results last, and remove the folder. Returns counts as `merge` does."""
        counts = Counter(json.loads((self._whole / "counts").read_text()))
        for target in (self.rejects, self.out):
            if (self._whole / target.name).exists():  # or it was moved before a kill
                os.replace(self._whole / target.name, target)
        self._discard()
        return counts

    def close(self) -> None:
        self._held.close()

    def _keep_list(self, stdin: IO[bytes]) -> str:
        digest = hashlib.sha256()
        with open(self.list_file, "wb") as file:
            while block := stdin.read(2**20):
                digest.update(block)
                file.write(block)
        return digest.hexdigest()

    def _empty(self) -> None:
        """Remove what is left of another command; the digest first, for without it nothing here counts."""
        self._command.unlink(missing_ok=True)
        shutil.rmtree(self._whole, ignore_errors=True)
        for file in self.folder.iterdir():
            if file.suffix == ".parquet":
                file.unlink()

    def _discard(self) -> None:
        """Remove the folder, all at once as far as another run can see."""
        os.replace(self.folder, self._finished)
        shutil.rmtree(self._finished, ignore_errors=True)


__all__ = ["ScoreError", "WorkFolder"]
