"""Ranks that do something together and all hear of it when one fails; else the others would wait for it forever."""

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from accelerate import Accelerator
from safetensors import SafetensorError

from ..utils.errors import FakefaceError
from ..utils.ranks import in_a_line, on_each, on_first
from . import TrainingError

Value = TypeVar("Value")
# What writers and readers raise for a full disk or a broken file; RuntimeError is torch's. A fault of the program goes
# its own way, with its traceback.
FAILURES = (FakefaceError, OSError, RuntimeError, EOFError, pickle.UnpicklingError, SafetensorError)


def everywhere(accelerator: Accelerator, what: str, work: Callable[[], Value]) -> Value:
    """Every rank does something; returns its own result.

    Args:
        accelerator: knows the ranks.
        what: is being done, for the message: "cannot …".
        work: to do. Ranks that talk to one another inside must not fail one by one.

    Raises:
        TrainingError: on every rank, if it failed on one.
    """
    with _named(what):
        return on_each(work)


def on_main(accelerator: Accelerator, what: str, work: Callable[[], Any]) -> None:
    """The main process does something while the others wait; arguments and errors as of `everywhere`."""
    with _named(what):
        on_first(work)


@contextmanager
def _named(what: str) -> Iterator[None]:
    try:
        yield
    except FAILURES as error:
        raise TrainingError(f"cannot {what} ({in_a_line(error)})") from error


__all__ = ["everywhere", "on_main"]
