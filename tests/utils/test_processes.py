"""Processes do what they are given, and one that dies takes no other with it."""

import os
import time
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children

import pytest

from fakeface.utils.processes import Processes


def test_work_is_spread_over_the_processes():
    with Processes(2, int) as processes:
        both = [processes.submit(_own_number) for _ in range(2)]
        assert len({future.result() for future in both}) == 2


def _own_number() -> int:
    time.sleep(0.2)
    return os.getpid()


def test_one_that_dies_is_replaced_and_takes_no_other_with_it():
    before = set(active_children())
    with Processes(2, int) as processes:
        long, deadly = processes.submit(divmod, 7, 3), processes.submit(os._exit, 1)
        with pytest.raises(BrokenProcessPool):
            deadly.result()
        assert long.result() == (2, 1)
        for _ in range(20):  # some while the others start
            deadly, others = processes.submit(os._exit, 1), [processes.submit(divmod, n, 3) for n in range(3)]
            with pytest.raises(BrokenProcessPool):
                deadly.result()
            for future in others:
                future.exception()
        assert [processes.submit(divmod, n, 3).result() for n in range(5)] == [divmod(n, 3) for n in range(5)]
    assert set(active_children()) <= before


def test_a_process_that_dies_at_its_start_is_not_replaced_for_ever():
    with Processes(1, os._exit, (1,)) as processes:
        with pytest.raises(BrokenProcessPool):
            processes.submit(divmod, 7, 3).result()
        with pytest.raises(BrokenProcessPool):
            processes.submit(divmod, 7, 3)
