"""What runs of hours share: their cores, their workers and how those end, and words for a full disk."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import chain
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from typing import Any

GOES_ON = "what is done is kept, and the same command goes on from there"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)  # of which nothing is done yet, and waiting helps nobody


class Processes:
    """Worker processes, each in a pool of its own. A context manager: leaving it ends them.

    One pool of several would start them as they are needed, and wait for ever for one that starts while another dies,
    or forget it (seen with CPython 3.11). So, too, one that dies takes no other with it. They are not forked: this
    process may hold a model and have threads, and its memory would be copied with it.

    Args:
        count: how many, from 1.
        initializer, initargs: called in each, first.
    """

    def __init__(self, count: int, initializer: Callable[..., object], initargs: tuple[Any, ...] = ()) -> None:
        self._start = partial(ProcessPoolExecutor, 1, get_context("spawn"), initializer, initargs)
        self._pools = [self._start() for _ in range(count)]
        self._given: list[list[Future[Any]]] = [[] for _ in range(count)]

    def submit(self, work: Callable[..., Any], *args: Any) -> Future[Any]:
        """Give work to the process that has the least; one that died is replaced. BrokenProcessPool if that dies too.

        The future of work in which a process dies, or that waits for it, raises BrokenProcessPool.
        """
        self._given = [[future for future in given if not future.done()] for given in self._given]
        idlest = min(range(len(self._pools)), key=lambda number: len(self._given[number]))
        try:
            future = self._pools[idlest].submit(work, *args)
        except BrokenProcessPool:
            self._pools[idlest].shutdown()
            self._pools[idlest] = self._start()
            self._pools[idlest].submit(os.getpid).result()
            future = self._pools[idlest].submit(work, *args)
        self._given[idlest].append(future)
        return future

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        for future in chain(*self._given):  # before one of them is waited for
            future.cancel()
        for pool in self._pools:
            pool.shutdown()


def end_with_parent() -> None:
    """Let this worker process end with its parent, also when that is killed and can tell nobody."""
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


def out_of_room(error: OSError, out: Path) -> str:
    """A line that says what failed while `out` was written, and the cure."""
    # Arrow's errors have no number, but name it.
    if error.errno in _FULL or any(f"[errno {number}]" in str(error).lower() for number in _FULL):
        return f"{out}: no room left on the disk, or beyond a quota; make room: {GOES_ON}"
    problem = f"{error.filename or out}: {error.strerror or error}"
    if error.errno in _REFUSED:
        return f"{problem}; check its mode and owner, or name another output"
    return f"{problem}; {GOES_ON}"


def usable_cores() -> int:
    """The processors that this process may run on, where the system tells; else all there are; at least 1."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


__all__ = ["Processes", "usable_cores"]
