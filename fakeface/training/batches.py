"""The batches that one rank trains on: drawn from a dataset at hand, or as a stream brings them."""

import hashlib
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from accelerate import Accelerator
from datasets import IterableDataset
from datasets.distributed import split_dataset_by_node
from torch.utils.data import DataLoader, default_collate

from ..data.loading import DataError
from ..data.views import BalancedSampler, Pictures, View
from ..delivery.augment import sample_rng
from ..images.load import PictureError, load_picture
from ..recipe import Recipe
from .stopping import outlive_first_sigterm

SHUFFLE_BUFFER = 1000  # rows of a stream, undecoded, among which the next one is drawn; some 100 kB each
ROWS_AHEAD = 64  # read while the device computes: two batches of the usual size

Row = TypeVar("Row")


class Batches(Protocol):
    """What the loop asks for; a batch has `pixel_values`, `labels` and `index`."""

    def __len__(self) -> int:
        """How many batches this rank has in an epoch."""
        ...

    def of(self, epoch: int, done: int = 0) -> Iterator[dict[str, torch.Tensor]]:
        """Those of an epoch, less the first `done`, which an earlier run had."""
        ...

    def name(self, index: int) -> str:
        """What to call a picture in a message."""
        ...

    def close(self) -> None:
        """End the data workers."""
        ...


class DrawnBatches:
    """Draws from a dataset, in an order that depends on seed and epoch alone.

    Args:
        loader: over the sampler; it is prepared here, so that each rank has batches of its own.
        sampler, pictures: the loader's.
        accelerator: of the run.
    """

    def __init__(self, loader: DataLoader, sampler: BalancedSampler, pictures: Pictures, accelerator: Accelerator):
        self._loader: Any = accelerator.prepare_data_loader(loader, device_placement=False)  # the loop moves pictures
        self._sampler, self._pictures, self._accelerator = sampler, pictures, accelerator

    def __len__(self) -> int:
        return len(self._loader)

    def of(self, epoch: int, done: int = 0) -> Iterator[dict[str, torch.Tensor]]:
        loader: Any = self._accelerator.skip_first_batches(self._loader, done) if done else self._loader
        # A loader of accelerate's counts its own rounds, from 0 in a resumed run, and tells the sampler; so tell both.
        loader.set_epoch(epoch)
        self._sampler.set_epoch(epoch)
        return iter(loader)

    def name(self, index: int) -> str:
        return self._pictures.name(index)

    def close(self) -> None:
        """Nothing to do: its loader ends them when it goes."""


class StreamedPictures(torch.utils.data.Dataset):
    """Decodes in data workers what one thread reads.

    An item is asked for by epoch, pass and row; it is what the view makes of it, or why the picture is refused.
    """

    def __init__(self, view: View):
        self.view = view

    def __getitem__(self, key: tuple[int, int, dict[str, Any]]) -> dict[str, Any] | str:
        epoch, number, row = key
        if not row["image"] or row["image"]["bytes"] is None:
            return "a row of the stream has no picture in it"
        if row["label"] not in (0, 1):
            raise DataError(
                f"a row of the stream has the label {row['label']!r}: labels are 0 (real) and 1 (generated)"
            )
        index = row_number(row)
        try:
            picture = load_picture({"bytes": row["image"]["bytes"]}, name=f"row {index:015x} of the stream")
        except PictureError as error:
            return str(error)
        return self.view.show(picture, row, epoch, index, draw=number)


def collate(items: list[dict[str, Any] | str]) -> dict[str, torch.Tensor]:
    """A batch of those that were not refused; the others' reasons are printed. Raises DataError if all were."""
    for reason in items:
        if isinstance(reason, str):
            print(f"refused: {reason}", file=sys.stderr, flush=True)
    usable = [item for item in items if not isinstance(item, str)]
    if not usable:
        raise DataError(f"a whole batch of the stream was refused; one of its pictures: {items[0]}")
    return default_collate(usable)


def shuffled(rows: Iterable[Row], rng: np.random.Generator, size: int) -> Iterator[Row]:
    """All rows, each drawn from among `size`. (The shuffling of datasets waits for seconds at the end of a pass.)"""
    buffer: list[Row] = []
    for row in rows:
        if len(buffer) < size:
            buffer.append(row)
            continue
        place = int(rng.integers(size))
        yield buffer[place]
        buffer[place] = row
    for place in rng.permutation(len(buffer)):
        yield buffer[place]


def row_number(row: dict[str, Any]) -> int:
    """A number for a row that is the same in whatever order rows come: the start of its bytes' sha256, 60 bits."""
    return int(hashlib.sha256(row["image"]["bytes"]).hexdigest()[:15], 16)


def ahead(rows: Iterator[Row], number: int) -> Iterator[Row]:
    """The same rows; so many are read in advance, by a thread, so that training does not wait for the network."""
    with ThreadPoolExecutor(1) as reader:
        waiting = deque(reader.submit(next, rows, None) for _ in range(number))
        while (row := waiting.popleft().result()) is not None:
            waiting.append(reader.submit(next, rows, None))
            yield row


class StreamedBatches:
    """Batches of a stream, one after the other over all epochs.

    A rank goes through its share of the rows in passes, each in an order of its own; in a pass each row comes once.

    Args:
        rows: the stream, undecoded.
        view: how pictures are shown.
        recipe: of the run.
        accelerator: tells the rank.
        length: batches of an epoch, on each rank.
    """

    def __init__(self, rows: IterableDataset, view: View, recipe: Recipe, accelerator: Accelerator, length: int):
        self._rows = split_dataset_by_node(rows, accelerator.process_index, accelerator.num_processes)
        self._view, self._recipe, self._length = view, recipe, length
        self._pinned = accelerator.device.type == "cuda"
        self._open: Iterator[dict[str, torch.Tensor]] | None = None
        self._position = 0

    def __len__(self) -> int:
        return self._length

    def of(self, epoch: int, done: int = 0) -> Iterator[dict[str, torch.Tensor]]:
        begin = epoch * self._length + done
        if self._open is None or self._position != begin:
            self._open, self._position = self._opened(begin), begin
        for batch in islice(self._open, self._length - done):
            self._position += 1
            yield batch

    def _opened(self, begin: int) -> Iterator[dict[str, torch.Tensor]]:
        """From batch number `begin` on; what lies before it is read, but not decoded."""
        rows = islice(self._passes(), begin * self._recipe.batch_size, None)
        loader = DataLoader(
            StreamedPictures(self._view),
            batch_size=self._recipe.batch_size,
            sampler=ahead(rows, ROWS_AHEAD),
            num_workers=self._recipe.workers,
            collate_fn=collate,
            worker_init_fn=outlive_first_sigterm,
            generator=torch.Generator().manual_seed(self._recipe.seed),
            pin_memory=self._pinned,
        )
        return iter(loader)

    def _passes(self) -> Iterator[tuple[int, int, dict[str, Any]]]:
        """Epoch, pass and row, without end."""
        places = count()
        for number in count():
            self._rows.set_epoch(number)  # gives the shards another order
            row = None
            for row in shuffled(self._rows, sample_rng(self._recipe.seed, number, 0), SHUFFLE_BUFFER):
                yield next(places) // (self._length * self._recipe.batch_size), number, row
            if row is None:
                raise DataError(
                    "this rank's share of the stream is empty: store it in as many shards as ranks, or more"
                )

    def name(self, index: int) -> str:
        return f"row {index:015x} of the stream"

    def close(self) -> None:
        self._open = None  # a stream has no end, and Python would wait at its own for workers that outlive SIGTERM


__all__ = ["Batches", "DrawnBatches", "StreamedBatches", "StreamedPictures", "row_number", "shuffled"]
