"""Worker processes that work on pictures, in order, and in spite of pictures that kill the process that opens them."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from PIL import Image

from ...images.load import PictureError
from ...utils.processes import Processes, end_with_parent
from ..sources.reader import Reader
from ..sources.reference import Reference

CHUNK = 16  # pictures that a worker takes at once
CHUNK_BYTES = 16 * 2**20  # of their files, as far as their sizes are known: few large ones make a chunk, too
_CRASHED = "the decoder crashed on it, or was killed for want of memory; save it again, or smaller"


class WorkersError(RuntimeError):
    """No worker can be started."""


class Entry(NamedTuple):
    """One picture of a list, or something that stands in its place and cannot be read.

    Attributes:
        name: what it is called in results and errors.
        root: the folder that it must not leave; empty for one that was named itself, which may be anywhere.
        reference: where it is below the root; without a root its `member` is an absolute path or an address.
        reason, problem: why it is refused already; empty if it is not.
    """

    name: str
    root: str
    reference: Reference
    reason: str = ""
    problem: str = ""


Item = tuple[Entry, Any]  # with what it holds, where that was read already: bytes, pixels, or a PictureError


class Work(Protocol):
    """What workers do with a picture; each process gets a copy, by pickle.

    `make` is given the bytes of its file or bare pixels; of an entry without a root, the path or address. It may raise
    PictureError. `refuse` returns what stands in the place of a picture that cannot be read.
    """

    def make(self, entry: Entry, content: Any) -> Any: ...
    def refuse(self, entry: Entry, error: PictureError) -> Any: ...


class Workers:
    """Worker processes. A context manager: leaving it ends them.

    Args:
        work: what they do.
        count: how many, from 1.
        niceness: above 0 they use the processor time that others, such as this process, leave over.
    """

    def __init__(self, work: Work, count: int, niceness: int = 0) -> None:
        self._work, self._count = work, count
        self._processes = Processes(count, _start_worker, (work, niceness))

    def work_on(self, chunks: Iterable[tuple[int, list[Item]]]) -> Iterator[tuple[int, list[Any]]]:
        """What is made of numbered chunks, in their order, with their numbers. Only a few wait at a time."""
        waiting: deque[tuple[int, list[Item], Future[list[Any]]]] = deque()
        for number, items in chunks:
            waiting.append((number, items, self._submit(items)))
            if len(waiting) > 2 * self._count + 2:
                yield self._first(waiting)
        while waiting:
            yield self._first(waiting)

    def _submit(self, items: list[Item]) -> Future[list[Any]]:
        try:
            return self._processes.submit(_do, items)
        except BrokenProcessPool:
            raise WorkersError("no worker process stays alive") from None

    def _first(self, waiting: deque[tuple[int, list[Item], Future[list[Any]]]]) -> tuple[int, list[Any]]:
        number, items, future = waiting.popleft()
        try:
            return number, future.result()
        except BrokenProcessPool:
            # Its worker died, of this chunk or of one before it. Which picture did it shows when each is tried alone,
            # and nothing else is under way that could kill a worker.
            wait([later for _, _, later in waiting])
            return number, [self._alone(item) for item in items]

    def _alone(self, item: Item) -> Any:
        try:
            return self._submit([item]).result()[0]
        except BrokenProcessPool:
            entry, _ = item
            return self._work.refuse(entry, PictureError(entry.name, "crashed", _CRASHED))

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.__exit__()


class Readers:
    """Reads what entries hold; keeps the reader of the last root, with its open archives."""

    def __init__(self) -> None:
        self._root, self._reader = "", Reader(Path())

    def try_read(self, entry: Entry) -> Any:
        """Bytes or pixels; a PictureError where it cannot be read."""
        if entry.root != self._root:
            self._reader.close()
            self._root, self._reader = entry.root, Reader(Path(entry.root))
        try:
            return self._reader.read(entry.reference)
        except PictureError as error:
            return PictureError(entry.name, error.reason, error.problem)


def chunks(units: Iterable[int], read_unit: Callable[[int], list[Entry]]) -> Iterator[tuple[int, list[Item]]]:
    """The pictures of units in chunks, each with its unit's number.

    What lies in archives and tables is read here, in order: they are opened once, and a compressed tar is unpacked
    once. Files of their own are left to the workers.
    """
    readers = Readers()
    for unit in units:
        items: list[Item] = []
        held = 0
        for entry in read_unit(unit):
            content = readers.try_read(entry) if entry.reference.container else None
            items.append((entry, content))
            held += entry.reference.size if content is None else _size(content)
            if len(items) == CHUNK or held >= CHUNK_BYTES:
                yield unit, items
                items, held = [], 0
        if items:
            yield unit, items


def _size(content: Any) -> int:
    return len(content) if isinstance(content, bytes) else getattr(content, "nbytes", 0)


_work: Work | None = None
_readers = Readers()


def _start_worker(work: Work, niceness: int) -> None:
    """Initialise a worker process. It ends with its parent, also when that is killed and can tell nobody."""
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of them; the parent sees to the end
    Image.MAX_IMAGE_PIXELS = None  # `fakeface.images.decode` has limits of its own, and warnings would go to stderr
    os.environ["OPENCV_FOR_THREADS_NUM"] = "1"  # there are as many workers as processors
    if niceness and hasattr(os, "nice"):
        os.nice(niceness)
    _work = work
    end_with_parent()


def _do(items: list[Item]) -> list[Any]:
    assert _work is not None
    made = []
    for entry, content in items:
        if entry.reason:
            content = PictureError(entry.name, entry.reason, entry.problem)
        elif content is None:
            content = _readers.try_read(entry) if entry.root else entry.reference.member
        try:
            if isinstance(content, PictureError):
                raise content
            made.append(_work.make(entry, content))
        except PictureError as error:
            made.append(_work.refuse(entry, error))
    return made


__all__ = ["Entry", "Item", "Readers", "Work", "Workers", "WorkersError", "chunks"]
