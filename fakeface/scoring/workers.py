"""Pictures prepared in worker processes, in order, and in spite of pictures that kill the process that opens them."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ..data.layouts import Reader
from ..images import PictureError
from ..long_runs import end_with_parent
from ..preparation import Case, Preparer
from .inputs import Entry

CHUNK = 16  # pictures that a worker takes at once
CHUNK_BYTES = 16 * 2**20  # of files that were read from archives: few large ones make a chunk, too
_NICENESS = 10  # workers use what the model leaves over; where they run short, the model waits and they get it all


class WorkersError(RuntimeError):
    """No worker can be started."""


class Item(NamedTuple):
    """A picture on its way to a worker: its entry, and its content where that was read already."""

    entry: Entry
    content: Any = None  # bytes, pixels, or a PictureError


Prepared = tuple[Case, list[np.ndarray]]
_Waiting = tuple[int, list[Item], Future[list[Prepared]]]


class Workers:
    """Worker processes that prepare pictures. A context manager: leaving it ends them.

    Args:
        preparer: what they do.
        count: how many, from 1.
    """

    def __init__(self, preparer: Preparer, count: int) -> None:
        self._preparer, self._count = preparer, count
        self._pool = self._start()

    def prepare(self, chunks: Iterable[tuple[int, list[Item]]]) -> Iterator[tuple[int, list[Prepared]]]:
        """Prepare numbered chunks; they come back in their order, with their numbers. Only a few wait at a time."""
        waiting: deque[_Waiting] = deque()
        for number, items in chunks:
            waiting.append((number, items, self._submit(items)))
            if len(waiting) > 2 * self._count + 2:
                yield self._first(waiting)
        while waiting:
            yield self._first(waiting)

    def _submit(self, items: list[Item]) -> Future[list[Prepared]]:
        try:
            return self._pool.submit(_prepare, items)
        except BrokenProcessPool as error:
            future: Future[list[Prepared]] = Future()
            future.set_exception(error)  # `_first` mends the pool when it comes to this chunk
            return future

    def _first(self, waiting: deque[_Waiting]) -> tuple[int, list[Prepared]]:
        number, items, future = waiting.popleft()
        try:
            return number, future.result()
        except BrokenProcessPool:
            # A worker died, and took the pool with it. Which picture did it shows when each is tried alone.
            self._restart()
            prepared = [self._alone(item) for item in items]
            later = [(number, items, self._submit(items)) for number, items, _ in waiting]
            waiting.clear()
            waiting.extend(later)
            return number, prepared

    def _alone(self, item: Item) -> Prepared:
        try:
            return self._pool.submit(_prepare, [item]).result()[0]
        except BrokenProcessPool:
            self._restart()
            problem = "the decoder crashed on it, or was killed for want of memory; save it again, or smaller"
            return refused(item.entry, "crashed", problem), []

    def _restart(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = self._start()
        try:
            self._pool.submit(os.getpid).result()
        except BrokenProcessPool:
            raise WorkersError("no worker process stays alive") from None

    def _start(self) -> ProcessPoolExecutor:
        # Not forked: the model's process has threads, and its memory would be copied with it.
        return ProcessPoolExecutor(
            self._count, get_context("spawn"), initializer=_start_worker, initargs=(self._preparer,)
        )

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


class Readers:
    """Reads the content of entries; keeps the reader of the last root, with its open archives."""

    def __init__(self) -> None:
        self._root, self._reader = "", Reader(Path())

    def read(self, entry: Entry) -> Any:
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
            content = readers.read(entry) if entry.reference.container else None
            items.append(Item(entry, content))
            held += getattr(content, "nbytes", 0) or (len(content) if isinstance(content, bytes) else 0)
            if len(items) == CHUNK or held >= CHUNK_BYTES:
                yield unit, items
                items, held = [], 0
        if items:
            yield unit, items


def refused(entry: Entry, reason: str, problem: str) -> Case:
    return Case(entry.name, error=PictureError(entry.name, reason, problem))


_preparer: Preparer | None = None
_readers = Readers()


def _start_worker(preparer: Preparer) -> None:
    """Initialise a worker process. It ends with its parent, also when that is killed and can tell nobody."""
    global _preparer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of them; the parent sees to the end
    Image.MAX_IMAGE_PIXELS = None  # `fakeface.decoding` has limits of its own, and warnings would go to stderr
    _preparer = preparer
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    if preparer.finder is not None:
        import cv2

        cv2.setNumThreads(1)  # there are as many workers as processors
    end_with_parent()


def _prepare(items: list[Item]) -> list[Prepared]:
    return [_prepare_one(*item) for item in items]


def _prepare_one(entry: Entry, content: Any) -> Prepared:
    assert _preparer is not None
    if entry.reason:
        return refused(entry, entry.reason, entry.problem), []
    if content is None:
        content = _readers.read(entry) if entry.root else entry.reference.member
    if isinstance(content, PictureError):
        return Case(entry.name, error=content), []
    case, inputs = _preparer.try_open(entry.name, content)
    return case, list(inputs)


__all__ = ["Item", "Prepared", "Workers", "WorkersError", "chunks"]
