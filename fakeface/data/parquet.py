"""Parquet files of pictures, written row by row in bounded memory, and the same to the byte for the same rows."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

# Rows become a row group once they hold this much, so that memory does not depend on how large pictures are.
ROW_GROUP_BYTES = 16 * 2**20
ROW_GROUP_ROWS = 4096
_FEW_VALUES = ("label", "generator", "source", "family", "split", "native_format", "native_subsampling", "reason")


class TableWriter:
    """Writes one parquet file. As a context manager it removes what it wrote if the block fails.

    Args:
        file: to write.
        schema: of the rows; their `image.bytes`, if there is such a column, decide on row groups.
    """

    def __init__(self, file: Path, schema: pa.Schema) -> None:
        self.file, self.schema = file, schema
        self._rows: list[dict[str, Any]] = []
        self._size = 0
        self._stream = open(file, "wb")  # noqa: SIM115 (closed by `close`)
        # Picture files do not compress, and a dictionary of them would be as large as they are.
        codecs: Any = {name: "none" if name == "image.bytes" else "zstd" for name in _leaves(schema)}
        few: Any = [name for name in _FEW_VALUES if name in schema.names]
        self._writer = pq.ParquetWriter(self._stream, schema, compression=codecs, use_dictionary=few)

    def add(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        self._size += len((row.get("image") or {}).get("bytes") or b"")
        if self._size >= ROW_GROUP_BYTES or len(self._rows) >= ROW_GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, self.schema))
            self._rows, self._size = [], 0

    def close(self) -> None:
        """Finish the file, down to the disk: a power cut must not leave a whole name with half a file."""
        self._flush()
        self._writer.close()
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()

    def abandon(self) -> None:
        """Remove the file; a full disk gets its room back."""
        with contextlib.suppress(Exception):  # it fails for what made us come here, and has nothing new to say
            self._writer.close()
        self._writer.is_open = False  # or it would try again when it is collected
        with contextlib.suppress(OSError):
            self._stream.close()
        self.file.unlink(missing_ok=True)

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            try:
                self.close()
            except BaseException:
                self.abandon()
                raise
        else:
            self.abandon()


def _leaves(schema: pa.Schema) -> Iterator[str]:
    for field in schema:
        if pa.types.is_struct(field.type):
            yield from (f"{field.name}.{inner.name}" for inner in field.type)
        else:
            yield field.name
