"""Alone, without an `accelerate launch`; two ranks are tried in tests/test_score.py."""

import os

import pytest

from fakeface.scoring.ranks import Ranks


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
