"""What there is to score: folders, globs, archives, tables, lists and datasets of the Hub as one stream of pictures.

Memory does not grow with their number: names are sorted in runs on the disk. What stays is what an archive needs: the
table of contents of a zip takes about 50 MB for 100,000 members.
"""

from __future__ import annotations

import glob
import heapq
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ..data.engine.workers import Entry
from ..data.sources.reader import container_class, is_hidden
from ..data.sources.reference import LayoutError, Reference
from ..images.load import OtherFiles, is_picture_file

STDIN = "-"
HUB = "hf://datasets/"
_HUB_NAME = re.compile(rf"{HUB}(?P<repo>[^/@]+/[^/@]+)(@(?P<revision>.+))?/?")
_RUN = 100_000  # names of one folder that are sorted in memory


@dataclass(frozen=True)
class Inputs:
    """Expands inputs, always in the same order.

    Attributes:
        scratch: folder for what does not fit into memory.
        listed: file of the list that `-` stands for: a path or an address a line.
        skip: absolute paths that are passed over, such as those of the results.
        others: counts what folders hold beside files that are named like pictures.
    """

    scratch: Path
    listed: Path | None = None
    skip: frozenset[str] = field(default_factory=frozenset)
    others: OtherFiles = field(default_factory=OtherFiles)

    def entries(self, inputs: Iterable[str]) -> Iterator[Entry]:
        """All pictures of all inputs. What is missing or cannot be read is an entry with a reason."""
        for given in inputs:
            if given == STDIN:
                yield from self._list()
            elif given.startswith(HUB):
                yield from self._hub(given)
            elif glob.has_magic(given) and not os.path.lexists(given):
                yield from self._glob(given)
            else:
                yield from self._path(given)

    def _list(self) -> Iterator[Entry]:
        assert self.listed is not None
        with open(self.listed, "rb") as lines:
            for line in lines:
                if name := os.fsdecode(line.rstrip(b"\r\n")):
                    yield _single(name)

    def _glob(self, pattern: str) -> Iterator[Entry]:
        names = SortedNames(self.scratch)
        for name in glob.iglob(pattern, recursive=True):
            names.add(name)
        found = False
        for name in names:
            found = True
            yield from self._path(name)
        if not found:
            yield _refused(pattern, "missing", "no file matches; check the path")

    def _path(self, given: str) -> Iterator[Entry]:
        if container_class(Path(given)) and os.path.exists(given):
            path = os.path.abspath(given)
            # It may be a link, since it was named itself; those that are found in folders may not lead out of them.
            root = os.path.commonpath([os.path.dirname(path), os.path.dirname(os.path.realpath(path))])
            yield from self._inside(path, root, given)
        elif os.path.isdir(given):
            yield from self._walk(os.path.abspath(given), os.path.abspath(given), given)
        else:
            yield _single(given)

    def _hub(self, given: str) -> Iterator[Entry]:
        from ..hub.dataset_repo import HubError, fetch_snapshot

        match = _HUB_NAME.fullmatch(given)
        if match is None:
            raise HubError(f"{given}: no name of a dataset; it takes the form {HUB}OWNER/NAME or …@REVISION")
        snapshot = fetch_snapshot(match["repo"], match["revision"])
        # Files of a snapshot are links into the cache of their repository, two folders up.
        yield from self._walk(str(snapshot), str(snapshot.parents[1]), HUB + match["repo"])

    def _walk(self, folder: str, root: str, shown: str) -> Iterator[Entry]:
        """A folder, recursively: its files in the order of their names, then its folders, but no links to folders.

        Args:
            folder: its absolute path.
            root: the folder that no picture may leave.
            shown: what the folder is called in the results.
        """
        waiting: list[Iterator[str]] = [iter([""])]
        while waiting:
            inner = next(waiting[-1], None)
            if inner is None:
                waiting.pop()
                continue
            files, folders = SortedNames(self.scratch), SortedNames(self.scratch)
            try:
                with os.scandir(os.path.join(folder, inner)) as found:
                    for item in found:
                        self._sort_in(item, os.path.join(inner, item.name), files, folders)
            except OSError as error:
                problem = f"cannot be listed ({error.strerror}); check its mode and owner"
                yield _refused(os.path.join(shown, inner) if inner else shown, "unreadable", problem)
            for name in files:
                path, told = os.path.join(folder, name), os.path.join(shown, name)
                if container_class(Path(path)):
                    yield from self._inside(path, root, told)
                else:
                    yield Entry(told, root, Reference("", os.path.relpath(path, root)))
            waiting.append(iter(folders))

    def _sort_in(self, item: os.DirEntry[str], name: str, files: SortedNames, folders: SortedNames) -> None:
        """Put what a folder holds with the files to read or the folders to enter, or leave it out."""
        path = os.path.abspath(item.path)
        if path in self.skip:
            return
        is_container = container_class(Path(path)) is not None
        if item.is_dir(follow_symlinks=False) and not is_container:
            folders.add(name)
        elif is_container or is_picture_file(path, self.others):
            files.add(name)

    def _inside(self, path: str, root: str, shown: str) -> Iterator[Entry]:
        """The pictures of an archive or a table; one that is broken ends with an entry that says so."""
        kind = container_class(Path(path))
        assert kind is not None
        try:
            container = kind(Path(path))
            try:
                for reference in container.references(os.path.relpath(path, root)):
                    if not any(is_hidden(part) for part in reference.member.split("/")):
                        yield Entry(f"{shown}/{reference.member}", root, reference)
            finally:
                container.close()
        except LayoutError as error:
            yield _refused(shown, "unreadable", str(error).removeprefix(f"{path}: "))


class SortedNames:
    """Names in sorted order, only so many of them in memory."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._names: list[str] = []
        self._runs: list[IO[str]] = []

    def add(self, name: str) -> None:
        self._names.append(name)
        if len(self._names) == _RUN:
            run = tempfile.TemporaryFile("w+", dir=self._scratch, encoding="ascii")  # noqa: SIM115 (it has no name)
            run.writelines(json.dumps(name) + "\n" for name in sorted(self._names))
            self._runs.append(run)
            self._names = []

    def __iter__(self) -> Iterator[str]:
        for run in self._runs:
            run.seek(0)
        yield from heapq.merge(*(map(json.loads, run) for run in self._runs), sorted(self._names))
        for run in self._runs:
            run.close()  # and with that it is gone from the disk


def _single(name: str) -> Entry:
    """A picture that was named itself: a path, or an address where there is no such path."""
    is_address = "://" in name and not os.path.lexists(name)
    return Entry(name, "", Reference("", name if is_address else os.path.abspath(name)))


def _refused(name: str, reason: str, problem: str) -> Entry:
    return Entry(name, "", Reference("", ""), reason, problem)


__all__ = ["HUB", "STDIN", "Inputs", "SortedNames"]
