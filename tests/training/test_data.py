"""Which pictures there are to train on, and which rank sees which."""

from typing import Any

import pytest
import torch
from accelerate.data_loader import prepare_data_loader, skip_first_batches
from datasets import Dataset as Hub
from torch.utils.data import DataLoader, Dataset

from fakeface.data.views import BalancedSampler
from fakeface.training.data import capped, origins


class Keys(Dataset):
    """Gives back what it is asked for, as `Pictures` is asked: epoch and index."""

    def __len__(self) -> int:
        return 50

    def __getitem__(self, key: tuple[int, int]) -> torch.Tensor:
        return torch.tensor(key)


def drawn(ranks: int, batch_size: int, epoch: int, done: int = 0) -> list[Any]:
    """Of each rank its batches, as (epoch, index), after `done` of them in an earlier run."""
    found: list[Any] = []
    for rank in range(ranks):
        sampler = BalancedSampler([0, 1] * 25, ["a"] * 50, 103, seed=3, whole=ranks * batch_size)
        loader: Any = DataLoader(Keys(), batch_size=batch_size, sampler=sampler, drop_last=True)
        loader = prepare_data_loader(loader, num_processes=ranks, process_index=rank, put_on_device=False)
        if done:
            loader = skip_first_batches(loader, done)
        loader.set_epoch(epoch)
        sampler.set_epoch(epoch)
        found.append([batch.tolist() for batch in loader])
    return found


@pytest.mark.parametrize("epoch", [0, 2])
@pytest.mark.parametrize(("ranks", "batch_size"), [(1, 6), (2, 6), (3, 4), (5, 2)])
def test_ranks_share_the_draws_out_and_none_is_lost_or_comes_twice(ranks, batch_size, epoch):
    alone = [key for batch in drawn(1, 1, epoch)[0] for key in batch]
    assert len(alone) == 103
    assert {key[0] for key in alone} == {epoch}
    shares = drawn(ranks, batch_size, epoch)
    together = [key for step in zip(*shares, strict=True) for batch in step for key in batch]
    assert together == alone[: len(together)]
    assert 103 - len(together) < ranks * batch_size


def test_after_a_stop_the_ranks_see_what_is_left():
    whole, left = drawn(2, 6, epoch=1), drawn(2, 6, epoch=1, done=3)
    assert [batches[3:] for batches in whole] == left
    # As many draws are done when three ranks go on with batches of 4
    assert [key for step in zip(*left, strict=True) for batch in step for key in batch][:60] == [
        key for step in zip(*drawn(3, 4, epoch=1, done=3), strict=True) for batch in step for key in batch
    ][:60]


def test_a_reconstruction_counts_for_its_generator_and_not_for_the_source_of_its_photograph():
    part = Hub.from_dict(
        {
            "label": [0, 1, 1, 1],
            "source": ["ffhq", "ffhq", "tpdne", "celeba"],
            "generator": ["none", "autoencoder", "stylegan2", "pggan"],
        }
    )
    assert origins(part) == ["ffhq", "autoencoder", "tpdne", "celeba"]


def test_of_a_large_source_those_with_the_smallest_sha256_stay_in_their_order():
    hashes = ["9", "1", "5", "3", "7", "2", "8"]
    sources = ["large", "large", "small", "large", "large", "small", "large"]
    assert capped(hashes, sources, 2) == [1, 2, 3, 5]  # of the large one 1 and 3
    assert capped(hashes, sources, 5) == list(range(7))


def test_whether_a_picture_stays_does_not_hang_on_the_order_of_the_others():
    hashes = [f"{number * 7919 % 1000:03}" for number in range(100)]
    chosen = {hashes[place] for place in capped(hashes, ["a"] * 100, 10)}
    backwards = hashes[::-1]
    assert {backwards[place] for place in capped(backwards, ["a"] * 100, 10)} == chosen
    assert chosen == set(sorted(hashes)[:10])
