"""The step of a build between units and shards: photographs passed through an autoencoder, as generated pictures.

It runs in the build's own process, one picture at a time, whatever the number of workers: the autoencoder uses all
cores, or the GPU, by itself, need not fit into memory more than once, and gives a picture the same bytes whichever
others are reconstructed. As with units, the reconstructions of a unit are a file that is there, whole, or not at all.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ..images import PictureError
from .plan import Picture, Plan, read_unit
from .reconstruct import Autoencoder, negative_row
from .table_writer import TableWriter
from .unit import SCHEMA, Settings, Worker, unit_file


class Reconstructor:
    """Reconstructs the photographs of units that are done.

    Args:
        plan: of the build.
        settings: those that the units were done with, so that a picture is read, cut and saved as its original was.
        autoencoder: the model.
        share: of the photographs that are reconstructed; which ones depends on the seed and their paths alone.
        folder: to write into.
    """

    def __init__(self, plan: Plan, settings: Settings, autoencoder: Autoencoder, share: float, folder: Path) -> None:
        self._plan, self._settings, self._autoencoder, self._folder = plan, settings, autoencoder, folder
        self._drawn_below = round(share * 2**64)
        self._worker = Worker(settings)

    def do_all(self, progress: bool) -> list[Path]:
        """Write the files that are not there yet. Returns all files, a unit each, in order."""
        from tqdm import tqdm

        first = 0
        files = []
        with tqdm(total=self._plan.total, unit=" pictures", desc="reconstructing", disable=not progress) as bar:
            for unit, size in enumerate(self._plan.sizes):
                files.append(unit_file(self._folder, unit))
                if not files[-1].exists():
                    self._do(unit, first, files[-1])
                first += size
                bar.update(size)
        return files

    def _do(self, unit: int, first: int, file: Path) -> None:
        """Reconstruct the photographs of a unit whose first picture has the number `first` in the plan."""
        fresh = file.with_name(f".{file.name}.{os.getpid()}.writing")
        with TableWriter(fresh, SCHEMA) as writer:
            for number, (picture, original) in enumerate(zip(*self._read(unit), strict=True), first):
                if original["label"] == 0 and not original["reason"] and self._is_drawn(original["image"]["path"]):
                    writer.add({**self._row(picture, original), "original": number})
        os.replace(fresh, file)

    def _read(self, unit: int) -> tuple[list[Picture], list[dict[str, Any]]]:
        """Where the pictures of a unit are, and what became of them, without their files."""
        columns = ["image.path", *(name for name in SCHEMA.names if name != "image")]
        with pq.ParquetFile(unit_file(self._settings.units, unit)) as done:
            return read_unit(self._plan.file, unit), done.read(columns=columns).to_pylist()

    def _is_drawn(self, path: str) -> bool:
        key = f"{self._settings.seed}:reconstruct:{path}".encode()
        return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little") < self._drawn_below

    def _row(self, picture: Picture, original: dict[str, Any]) -> dict[str, Any]:
        row = negative_row(original, self._autoencoder.name)
        path = f"{row['generator']}/{original['image']['path']}"
        try:
            pixels, _, data = self._worker.open(picture)
            (made,) = self._autoencoder([pixels])
        except PictureError as error:  # it could be read a while ago
            return {**row, "image": {"path": path}, "reason": error.reason, "problem": error.problem}
        stored = self._worker.store(made, data)
        return {**row, "image": {"bytes": stored, "path": path}, "sha256": hashlib.sha256(stored).hexdigest()}
