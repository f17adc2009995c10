"""The step of a build between units and shards: photographs passed through an autoencoder, as generated pictures.

It runs in the build's own process, one picture at a time, whatever the number of workers: the autoencoder uses all
cores, or the GPU, by itself, need not fit into memory more than once, and gives a picture the same bytes whichever
others are reconstructed. As with units, the reconstructions of a unit are a file that is there, whole, or not at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ...images.load import PictureError
from ..engine.units import UNIT_ROWS, PictureList, unit_file, write_rows
from ..engine.workers import Entry, Readers
from ..reconstruct import Autoencoder, negative_row
from .row import SCHEMA, RowMaker


class Reconstructor:
    """Reconstructs the photographs of units that are done.

    Args:
        pictures: the plan of the build.
        units: folder of the units that are done.
        maker: what made them, so that a picture is cut and saved as its original was.
        autoencoder: the model.
        share: of the photographs that are reconstructed; which ones depends on the seed and their paths alone.
    """

    def __init__(
        self, pictures: PictureList, units: Path, maker: RowMaker, autoencoder: Autoencoder, share: float
    ) -> None:
        self._pictures, self._units, self._maker, self._autoencoder = pictures, units, maker, autoencoder
        self._drawn_below = round(share * 2**64)
        self._readers = Readers()

    def do_all(self, folder: Path, progress: bool) -> list[Path]:
        """Write the files that are not there yet into a folder. Returns all files, a unit each, in order."""
        from tqdm import tqdm

        files = [unit_file(folder, unit) for unit in range(self._pictures.units)]
        with tqdm(total=self._pictures.total, unit=" pictures", desc="reconstructing", disable=not progress) as bar:
            for unit, file in enumerate(files):
                if not file.exists():
                    write_rows(file, SCHEMA, self._rows(unit))
                bar.update(self._pictures.size(unit))
        return files

    def _rows(self, unit: int) -> Iterator[dict[str, Any]]:
        columns = ["image.path", *(name for name in SCHEMA.names if name != "image")]  # without the pictures' files
        with pq.ParquetFile(unit_file(self._units, unit)) as done:
            originals = done.read(columns=columns).to_pylist()
        pairs = zip(self._pictures.read(unit), originals, strict=True)
        for number, (picture, original) in enumerate(pairs, unit * UNIT_ROWS):
            if original["label"] == 0 and not original["reason"] and self._is_drawn(picture.name):
                yield {**self._row(picture, original), "original": number}

    def _is_drawn(self, path: str) -> bool:
        key = f"{self._maker.seed}:reconstruct:{path}".encode()
        return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little") < self._drawn_below

    def _row(self, picture: Entry, original: dict[str, Any]) -> dict[str, Any]:
        row = negative_row(original, self._autoencoder.name)
        path = f"{row['generator']}/{picture.name}"
        try:
            if isinstance(content := self._readers.try_read(picture), PictureError):
                raise content
            (made,) = self._autoencoder([self._maker.open(picture, content).pixels])
        except PictureError as error:  # it could be read a while ago
            return {**row, "image": {"path": path}, "reason": error.reason, "problem": error.problem}
        stored = self._maker.store(made, content)
        return {**row, "image": {"bytes": stored, "path": path}, "sha256": hashlib.sha256(stored).hexdigest()}
