"""SIGTERM, by which schedulers and launchers ask a run to stop: it is remembered until the step is done."""

import signal
from types import FrameType, TracebackType


class StopRequest:
    """While entered, SIGTERM sets `asked` and does nothing else.

    The same signal may come several times, from a scheduler to all processes and from the launcher to its ranks, so a
    second one is no more urgent than the first. `kill -9` ends it at once, and loses the steps since the last
    checkpoint; `accelerate launch` itself waits 30 seconds before it does that.

    Attributes:
        asked: whether this process was asked to stop. Ranks hear of it at different times: agree before acting on it.
    """

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> "StopRequest":
        self._before = signal.signal(signal.SIGTERM, self._remember)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        signal.signal(signal.SIGTERM, self._before)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


def outlive_first_sigterm(worker: int = 0) -> None:
    """Have a data worker ignore one SIGTERM, the one to all processes of a run: the last step needs its pictures.

    The second ends it, since that is how the loader ends a worker that does not answer.

    Args:
        worker: its number; a DataLoader's `worker_init_fn` gets one.
    """
    signal.signal(signal.SIGTERM, lambda number, frame: signal.signal(signal.SIGTERM, signal.SIG_DFL) and None)


__all__ = ["StopRequest", "outlive_first_sigterm"]
