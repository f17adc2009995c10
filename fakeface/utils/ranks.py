"""The processes of an `accelerate launch`, or the only one: who does what, and what the first did, for all."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar, cast

from .processes import usable_cores

Value = TypeVar("Value")


class RankError(RuntimeError):
    """A rank failed; the message says which, and what it said."""


class Ranks:
    """Who shares the work.

    Attributes:
        rank: number of this process, from 0.
        size: how many there are.
        cores: processors of this machine for each of its ranks.
    """

    def __init__(self) -> None:
        self.rank, self.size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        there = usable_cores()
        self.cores = max(1, there // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
        if self.size > 1:
            from accelerate import PartialState

            # They only talk, so that gloo on the CPU serves ranks on GPUs too. Ranks wait for the slowest one, and the
            # first for all before it merges: that may take days.
            together = PartialState(cpu=True, timeout=timedelta(days=365)).num_processes
            leave_at_exit()
            if together != self.size:  # and each would do as if it were all of them
                raise RuntimeError(f"{self.size} processes were started, but {together} found each other")

    def first(self, work: Callable[[], Value]) -> Value:
        """As `on_first` does."""
        return on_first(work)

    def wait(self) -> None:
        """Wait until all ranks are here."""
        if self.size > 1:
            from accelerate import PartialState

            PartialState().wait_for_everyone()


def on_first(work: Callable[[], Value]) -> Value:
    """Have the first rank do something while the others wait. All get what it returns, or raise what it raises."""
    outcome: list[Any] = [None, None]
    if int(os.environ.get("RANK", 0)) == 0:
        try:
            outcome[0] = work()
        except Exception as error:
            outcome[1] = error
    if _are_several():
        from accelerate.utils import broadcast_object_list

        broadcast_object_list(outcome)
    if outcome[1] is not None:
        raise outcome[1]
    return outcome[0]


def on_each(work: Callable[[], Value]) -> Value:
    """Have every rank do something; returns its own result.

    Args:
        work: to do. Ranks that talk to one another inside must not fail one by one.

    Raises:
        RankError: on every rank, if it failed on one: else the others would wait for that one forever.
    """
    result, mine = None, None
    try:
        result = work()
    except Exception as error:  # whatever it is: the other ranks wait for a word
        mine = error
    told = ["" if mine is None else in_a_line(mine)]
    if _are_several():
        from accelerate.utils import gather_object

        told = gather_object(told)
    if failures := [f"rank {rank}: {text}" for rank, text in enumerate(told) if text]:
        raise RankError("; ".join(failures)) from mine
    return cast(Value, result)


def in_a_line(error: Exception) -> str:
    """What an error says, or its class."""
    return " ".join(str(error).split()) or type(error).__name__


def _are_several() -> bool:
    return int(os.environ.get("WORLD_SIZE", 1)) > 1


def leave_at_exit() -> None:
    """Have a rank leave its process group before the interpreter ends.

    A group that is still there then takes threads of gloo's with it, and now and then aborts the process ("terminate
    called without an active exception") after all its work is done.
    """
    import atexit

    from accelerate import PartialState

    atexit.register(lambda: PartialState().destroy_process_group())


__all__ = ["RankError", "Ranks", "in_a_line", "leave_at_exit", "on_each", "on_first"]
