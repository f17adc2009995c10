"""Ranks that do something together and all hear of it when one fails; else the others would wait for it forever."""

import pickle
from collections.abc import Callable
from typing import Any, TypeVar, cast

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from safetensors import SafetensorError

from . import TrainingError

Value = TypeVar("Value")
# What writers and readers raise for a full disk or a broken file; RuntimeError is torch's. A fault of the program goes
# its own way, with its traceback.
FAILURES = (OSError, RuntimeError, EOFError, pickle.UnpicklingError, SafetensorError)


def everywhere(accelerator: Accelerator, what: str, work: Callable[[], Value]) -> Value:
    """Every rank does something; returns its own result.

    Args:
        accelerator: knows the ranks.
        what: is being done, for the message: "cannot …".
        work: to do. Ranks that talk to one another inside must not fail one by one.

    Raises:
        TrainingError: on every rank, if it failed on one.
    """
    result, mine = None, None
    try:
        result = work()
    except Exception as error:  # whatever it is: the other ranks wait for a word
        mine = error
    told = gather_object(["" if mine is None else words(mine)])
    failures = [f"rank {rank}: {text}" for rank, text in enumerate(told) if text]
    if failures:
        raise TrainingError(f"cannot {what} ({'; '.join(failures)})") from mine
    return cast(Value, result)


def on_main(
    accelerator: Accelerator, what: str, work: Callable[[], Any], more: tuple[type[Exception], ...] = ()
) -> None:
    """The main process does something while the others wait.

    Args:
        accelerator, what, work: as for `everywhere`.
        more: errors that are no fault of the program either.

    Raises:
        TrainingError: on every rank, if it failed.
    """
    failure = [""]
    if accelerator.is_main_process:
        try:
            work()
        except (*FAILURES, *more) as error:
            failure = [words(error)]
    broadcast_object_list(failure)
    if failure[0]:
        raise TrainingError(f"cannot {what} ({failure[0]})")


def words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


__all__ = ["everywhere", "on_main", "words"]
