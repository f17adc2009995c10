"""Alone and as two processes; an `accelerate launch` of two is tried in tests/score/test_run.py."""

import os
import socket
import subprocess
import sys

import pytest

from fakeface.utils.ranks import Ranks


def test_alone_the_first_rank_does_everything(monkeypatch: pytest.MonkeyPatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    ranks = Ranks()
    there = len(os.sched_getaffinity(0))
    assert (ranks.rank, ranks.size, ranks.cores, ranks.first(lambda: 7)) == (0, 1, there, 7)
    ranks.wait()

    def fail() -> None:
        raise ValueError("no luck")

    with pytest.raises(ValueError, match="no luck"):
        ranks.first(fail)


def test_ranks_of_one_machine_share_its_processors(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1000")
    assert Ranks().cores == 1


TWO_RANKS = """
import sys
from fakeface.utils.errors import OptionError
from fakeface.utils.ranks import RankError, Ranks, on_each, on_first

def fail():
    raise OptionError(f"no luck on {ranks.rank}; try again")

ranks = Ranks()
print(on_first(lambda: ranks.rank), on_each(lambda: ranks.rank))
try:
    on_first(fail)
except OptionError as error:
    print(error, error.cure, sep=" | ")
try:
    on_each(lambda: fail() if ranks.rank else None)
except RankError as error:
    print(error, type(error.__cause__).__name__, sep=" | ")
"""


def test_what_one_of_two_ranks_raises_all_raise():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "ACCELERATE_USE_CPU": "true"}
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", TWO_RANKS],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    told = [run.communicate(timeout=400) for run in runs]
    lines = [out.splitlines() for out, _ in told]
    assert lines == [
        [f"0 {rank}", "no luck on 0; try again | try again", f"rank 1: no luck on 1; try again | {cause}"]
        for rank, cause in enumerate(("NoneType", "OptionError"))
    ], told
