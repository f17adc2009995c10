"""Batches of a stream: in a pass every row once, whatever the ranks and workers; after a stop those that are left."""

import contextlib
import io
import re
from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from datasets import Dataset, Image, disable_progress_bars, load_dataset
from PIL import Image as Pillow

from fakeface.data.loading import DataError
from fakeface.data.views import View
from fakeface.delivery.augment import Augmentation
from fakeface.image_processing_fakeface import FakeFaceImageProcessor
from fakeface.recipe import Recipe
from fakeface.training.batches import StreamedBatches, row_number

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 has it in for forked workers


def encoded(seed: int) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    Pillow.fromarray(noise).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def shards(tmp_path):
    """Writes pictures into so many parquet files and gives them back as a stream."""
    disable_progress_bars()

    def write(images: list[Any], number: int):
        rows = [{"image": {"bytes": data, "path": None}, "label": i % 2} for i, data in enumerate(images)]
        files = []
        for shard in range(number):
            files.append(str(tmp_path / f"{shard}.parquet"))
            Dataset.from_list(rows[shard::number]).to_parquet(files[-1])
        stream = load_dataset("parquet", data_files=files, split="train", streaming=True)
        return stream.cast_column("image", Image(decode=False))

    return write


@pytest.fixture
def batches():
    """Opens the batches of a stream for a rank, and closes them at the end of the test."""
    with contextlib.ExitStack() as opened:

        def open_batches(
            rows: Any, rank: int, ranks: int, workers: int, size: int, length: int, **how: Any
        ) -> StreamedBatches:
            view = View(FakeFaceImageProcessor(size=8), "augmented", Augmentation(), seed=3, **how)
            accelerator = SimpleNamespace(process_index=rank, num_processes=ranks, device=torch.device("cpu"))
            recipe = Recipe(batch_size=size, workers=workers, seed=3)
            return opened.enter_context(
                contextlib.closing(StreamedBatches(rows, view, recipe, cast(Any, accelerator), length))
            )

        yield open_batches


def seen(found: Any) -> list[int]:
    return [number for batch in found for number in batch["index"].tolist()]


@pytest.mark.parametrize(
    ("ranks", "workers", "number"),
    [(1, 0, 1), (1, 2, 4), (2, 0, 6), (2, 0, 1), (2, 2, 4), (2, 2, 3), (3, 0, 4), (3, 1, 6)],
)
def test_in_a_pass_every_row_comes_once(batches, ranks, workers, number, shards):
    images = [encoded(seed) for seed in range(24)]
    rows = shards(images, number)
    numbers = Counter(row_number({"image": {"bytes": data}}) for data in images)
    assert max(numbers.values()) == 1
    for epoch in range(2):  # an epoch is as long as a pass here
        shares = [seen(batches(rows, rank, ranks, workers, 1, 24 // ranks).of(epoch)) for rank in range(ranks)]
        assert sorted(Counter(number for share in shares for number in share).values()) == [1] * 24
        assert {number for share in shares for number in share} == numbers.keys()


def test_passes_differ_in_order_and_in_augmentation(batches, shards):
    one = batches(shards([encoded(seed) for seed in range(24)], 2), 0, 1, 1, 4, 6)
    first, second = list(one.of(0)), list(one.of(1))
    assert seen(first) != seen(second)
    assert sorted(seen(first)) == sorted(seen(second))
    pixels = [torch.cat([batch["pixel_values"] for batch in found]) for found in (first, second)]
    shown = [dict(zip(seen(found), of, strict=True)) for found, of in zip((first, second), pixels, strict=True)]
    assert not all(torch.equal(shown[0][number], shown[1][number]) for number in shown[0])


@pytest.mark.parametrize("workers", [0, 2])
def test_after_a_stop_the_stream_goes_on_where_it_was(batches, workers, shards):
    rows = shards([encoded(seed) for seed in range(24)] + [b"no picture"] * 3, 3)
    whole = batches(rows, 0, 2, workers, 2, 5)
    epochs = [list(whole.of(epoch)) for epoch in range(3)]  # 30 of the 24 / 2 pictures of a pass: over its end
    for epoch, done in ((0, 3), (1, 0), (2, 4)):
        left = list(batches(rows, 0, 2, workers, 2, 5).of(epoch, done))
        assert len(left) == 5 - done
        for before, after in zip(epochs[epoch][done:], left, strict=True):
            assert torch.equal(before["index"], after["index"])
            assert torch.equal(before["pixel_values"], after["pixel_values"])


def test_epochs_that_end_within_a_pass_change_the_size_at_a_batch(batches, shards):
    rows = shards([encoded(seed) for seed in range(7)], 1)
    small = FakeFaceImageProcessor(size=4)
    one = batches(rows, 0, 1, 1, 2, 5, small=small, small_epochs=1)
    assert [[batch["pixel_values"].shape[-1] for batch in one.of(epoch)] for epoch in range(2)] == [[4] * 5, [8] * 5]


def test_broken_pictures_are_left_out_and_named(batches, shards, capfd):
    rows = shards([encoded(0), b"no picture", None, encoded(1)], 1)
    found = list(batches(rows, 0, 1, 1, 4, 2).of(0))
    assert [sorted(seen([batch])) for batch in found] == [
        sorted(row_number({"image": {"bytes": encoded(seed)}}) for seed in (0, 1))
    ] * 2
    assert [tuple(batch["pixel_values"].shape) for batch in found] == [(2, 3, 8, 8)] * 2
    told = capfd.readouterr().err
    assert "refused: a row of the stream has no picture in it" in told
    assert re.search(r"refused: row \w{15} of the stream", told)


def test_a_stream_that_brings_nothing_says_so(batches, shards):
    with pytest.raises(
        DataError, match=r"a whole batch of the stream was refused; one of its pictures: row \w+ of the"
    ):
        next(batches(shards([b"no picture"] * 4, 2), 0, 1, 0, 2, 3).of(0))
    with pytest.raises(DataError, match="this rank's share of the stream is empty"):
        list(batches(shards([encoded(0)], 1), 1, 2, 0, 1, 1).of(0))


def test_a_picture_is_named_by_its_bytes(batches, shards):
    assert batches(shards([encoded(0)], 1), 0, 1, 0, 1, 1).name(row_number({"image": {"bytes": b"abc"}})) == (
        "row ba7816bf8f01cfe of the stream"
    )
