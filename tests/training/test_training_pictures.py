"""Which rank sees which pictures."""

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.data_loader import prepare_data_loader, skip_first_batches
from datasets import Dataset as Hub
from torch.utils.data import DataLoader, Dataset

from fakeface.data.pictures import BalancedSampler
from fakeface.recipe import RecipeError
from fakeface.training.pictures import named_pictures, origins


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


def test_pictures_are_named_one_in_a_line_with_comments(tmp_path: Path):
    file = tmp_path / "names.txt"
    file.write_text(f"# why\n\n{'a' * 64}\n  {'B' * 64}  # this one too\n", encoding="utf-8")
    assert named_pictures(file) == {"a" * 64, "b" * 64}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"photo.jpg\n", "leave_out: line 1 of .*names.txt is 'photo.jpg'; it takes 64 hexadecimal digits"),
        (b"# fine\n" + b"a" * 63 + b"\n", "line 2 of .* it takes 64 hexadecimal digits"),
        (b"\xff\xfe\x00", "names.txt cannot be read as text"),
        (None, "names.txt cannot be read as text"),
    ],
)
def test_a_list_of_other_things_is_refused(content: bytes | None, message: str, tmp_path: Path):
    file = tmp_path / "names.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(RecipeError, match=message):
        named_pictures(file)
