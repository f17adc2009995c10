"""The processes of an `accelerate launch`, each with its share of the work; alone without one."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from ..cores import usable_cores
from ..long_runs import leave_at_exit

Value = TypeVar("Value")


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
        """Have the first rank do something while the others wait. All get what it returns, or raise what it raises."""
        outcome: list[Any] = [None, None]
        if self.rank == 0:
            try:
                outcome[0] = work()
            except Exception as error:
                outcome[1] = error
        if self.size > 1:
            from accelerate.utils import broadcast_object_list

            broadcast_object_list(outcome)
        if outcome[1] is not None:
            raise outcome[1]
        return outcome[0]

    def wait(self) -> None:
        """Wait until all ranks are here."""
        if self.size > 1:
            from accelerate import PartialState

            PartialState().wait_for_everyone()


__all__ = ["Ranks"]
