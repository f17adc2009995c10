"""Judges the pictures of many clients together.

A picture that is accepted is decoded and its faces are cut at once, in one of a few threads. The one thread that has
the model takes what arrived, waits a moment for more, and judges it in one batch, while the threads prepare the next.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import numpy as np

from ...images import Limits, open_picture
from ...results import Result
from ...utils.errors import OptionError
from ...utils.processes import usable_cores
from ...utils.shipped import shipped
from .refusals import RequestError

if TYPE_CHECKING:
    from ...detector import Case, Detector

MOST_FACES = 50  # of one picture, the largest: one of a crowd must not keep everybody waiting
RETRY_AFTER = 1  # seconds; a queue that is full has places again after the next batch


@dataclass(frozen=True)
class Options:
    """How much is taken in, and how it is judged together.

    Attributes:
        batch_size: pictures to a batch, and faces to a pass of the model, from 1.
        max_wait: seconds that a picture waits for others to share its batch, from 0.
        queue: pictures that were accepted and are not yet judged, at most, from 1.
        max_bytes: of the body of a request, from 1.
        timeout: seconds in which a body must have arrived, and then its pictures be judged, above 0.

    Raises:
        OptionError: one is out of range.
    """

    batch_size: int = 16
    max_wait: float = 0.005
    queue: int = 64
    max_bytes: int = 20 * 2**20  # a phone's largest pictures, and little enough for a queue of them
    timeout: float = 30.0

    def __post_init__(self) -> None:
        for name in ("batch_size", "queue", "max_bytes"):
            if (value := getattr(self, name)) < 1:
                raise OptionError(f"{name} is {value}: it takes a number from 1")
        if self.max_wait < 0 or self.timeout <= 0:
            told = f"max_wait is {self.max_wait:g} and timeout {self.timeout:g}"
            raise OptionError(f"{told}: they take seconds, the first from 0 and the second above it")


@dataclass
class _Asked:
    """A picture on its way: what becomes of it in a thread, and the answer that its client waits for."""

    prepared: Future[tuple[Case, list[np.ndarray]]]
    answer: Future[Result] = field(default_factory=Future)


class Batcher:
    """Judges pictures that come from any thread, in batches.

    Args:
        load: makes the detector, in the thread that will use it, after `start`.
        options: bounds.
        observe: is told of how many pictures each batch was.

    Attributes:
        options: as given.
        loaded: the detector once it is warm; or why there is none.
        model: what answers say of it, once it is loaded: `name`, and `version`, which is that of its weights and
            calibration.
        draining: whether the service is to end, and takes nothing more.
    """

    def __init__(
        self,
        load: Callable[[], Detector],
        options: Options,
        observe: Callable[[int], object] = lambda pictures: None,
    ) -> None:
        self.options = options
        self.loaded: Future[Detector] = Future()
        self.model: dict[str, str] = {}
        self.draining = False
        self._load, self._observe = load, observe
        self._limits = Limits(max_bytes=options.max_bytes)
        self._arrived: SimpleQueue[_Asked | None] = SimpleQueue()  # None ends the worker
        self._pending, self._counting = 0, threading.Lock()
        self._threads = ThreadPoolExecutor(usable_cores(), "fakeface-prepare")
        self._worker = threading.Thread(target=self._work, name="fakeface-judge")

    @property
    def ready(self) -> bool:
        """Whether pictures are taken: the model is warm, and the service is not to end."""
        return self.loaded.done() and self.loaded.exception() is None and not self.draining

    @property
    def pending(self) -> int:
        """How many pictures have a place and are not yet judged."""
        return self._pending

    def start(self) -> None:
        """Load the model and warm it up, then judge until `close`. Returns at once; `loaded` says how it went."""
        self._worker.start()

    def close(self) -> None:
        """End the threads, once what was submitted is judged."""
        self._arrived.put(None)
        self._worker.join()
        self._threads.shutdown()

    def admit(self) -> None:
        """Take the first place for a request.

        Raises:
            RequestError: the service is not ready, is about to end, or has no place left.
        """
        if self.draining:
            raise RequestError(503, "draining", "this server is about to end; ask another one", RETRY_AFTER)
        if not self.ready:
            raise RequestError(503, "not-ready", "the model is being loaded; ask again in a while", RETRY_AFTER)
        self.reserve(1)

    def reserve(self, pictures: int) -> None:
        """Take places for so many pictures more: `submit` them, or `release` the places.

        Raises:
            RequestError: there are not so many left.
        """
        with self._counting:
            if self._pending + pictures > self.options.queue:
                problem = f"more than {self.options.queue} pictures at once; send it again later"
                raise RequestError(429, "queue-full", problem, RETRY_AFTER)
            self._pending += pictures

    def release(self, pictures: int = 1) -> None:
        """Give back places."""
        with self._counting:
            self._pending -= pictures

    def submit(self, pictures: Sequence[tuple[str, bytes]]) -> list[Future[Result]]:
        """Have pictures judged that have their places.

        Args:
            pictures: names, and files.

        Returns:
            A future for each; one that is cancelled in time costs nothing more. It raises PictureError where the
            picture is refused, ModelFolderError where the model gives no number.
        """
        asked = [_Asked(self._threads.submit(self._prepare, name, data)) for name, data in pictures]
        for one in asked:
            self._arrived.put(one)
        return [one.answer for one in asked]

    def _prepare(self, name: str, data: bytes) -> tuple[Case, list[np.ndarray]]:
        preparer = self.loaded.result().preparer
        case, inputs = preparer.open(name, open_picture(data, name=name, limits=self._limits))
        return case, list(inputs)  # now, so that only the crops wait, not the picture

    def _work(self) -> None:
        try:
            detector = self._load()
            self._warm_up(detector)
            self.model = _describe(detector)
        except BaseException as error:
            self.loaded.set_exception(error)
            return
        self.loaded.set_result(detector)
        while batch := self._next_batch():
            self._judge(detector, batch)

    def _warm_up(self, detector: Detector) -> None:
        """What comes first is slow: libraries choose their ways, and memory is taken."""
        for one in filter(None, (detector.first, detector)):
            size = one.preparer.size
            one.scores([np.zeros((size, size, 3), np.uint8)] * self.options.batch_size)
        detector(shipped("app/examples/portrait.jpg", "space/examples/portrait.jpg"))

    def _next_batch(self) -> list[_Asked]:
        """What is there to judge, once there is any; nothing once the service is closed."""
        batch: list[_Asked] = []
        until = None
        while len(batch) < self.options.batch_size:
            try:
                one = self._arrived.get(timeout=until and max(until - time.monotonic(), 0))
            except Empty:
                break
            if one is None:
                self._arrived.put(None)  # for the next call
                break
            batch.append(one)
            until = until or time.monotonic() + self.options.max_wait
        return batch

    def _judge(self, detector: Detector, batch: list[_Asked]) -> None:
        ready: list[tuple[_Asked, tuple[Case, list[np.ndarray]]]] = []
        for asked in batch:
            if not asked.answer.set_running_or_notify_cancel():  # its client waits no longer
                asked.prepared.cancel()
                self.release()
                continue
            try:
                ready.append((asked, asked.prepared.result()))
            except Exception as error:
                self._answer(asked, error)
        if not ready:
            return
        self._observe(len(ready))
        left = iter(ready)
        try:
            for result in detector.judge([prepared for _, prepared in ready], self.options.batch_size):
                self._answer(next(left)[0], result)
        except Exception as error:  # a batch that fails takes no other with it
            for asked, _ in left:
                self._answer(asked, error)

    def _answer(self, asked: _Asked, found: Result | Exception) -> None:
        self.release()  # before its client can know, who may ask again at once
        if isinstance(found, Result):
            asked.answer.set_result(found)
        else:
            asked.answer.set_exception(found)


def _describe(detector: Detector) -> dict[str, str]:
    from ...model_folder.fingerprint import fingerprint  # it imports torch

    models = [one for one in (detector, detector.first) if one]
    path = Path(detector.name)
    return {
        "name": path.resolve().name if path.exists() else detector.name,  # a Hub id is worth stating whole
        "version": "+".join(fingerprint(one.name, one.config) for one in models),
    }


__all__ = ["MOST_FACES", "RETRY_AFTER", "Batcher", "Options"]
