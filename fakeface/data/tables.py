"""Parquet files of pictures, and CSV lists that say what the pictures of a folder or archive are."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

from ..images import Limits, PictureError
from .archives import Zip, is_picture
from .labels import LABELS
from .layouts import UNTOLD, LayoutError, Reference, limited

_TOLD = ("label", "generator", "source")  # columns that are taken over where a table has them


class Parquet:
    """A parquet file with a column `image`: picture files, bare or as the struct that `datasets` writes."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.path = path
        try:
            self._file = pq.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise LayoutError(f"{path}: not readable as parquet ({error}); download it again") from None
        schema = self._file.schema_arrow
        self._columns = [name for name in _TOLD if name in schema.names]
        kind = schema.field("image").type if "image" in schema.names else None
        self._struct = kind is not None and pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0
        # Text in their place would be taken for a path or an address, and opened.
        held = kind.field("bytes").type if kind is not None and self._struct else kind
        if held is None or not (pa.types.is_binary(held) or pa.types.is_large_binary(held)):
            found = ", ".join(f"{name} ({schema.field(name).type})" for name in schema.names)
            raise LayoutError(f"{path}: no column `image` with the bytes of pictures; found {found}")
        if "label" in self._columns and not pa.types.is_integer(schema.field("label").type):
            told = schema.field("label").type
            raise LayoutError(f"{path}: the column `label` must hold 0 (real) and 1 (generated), not {told}")
        for name in ("generator", "source"):
            told = schema.field(name).type if name in self._columns else pa.string()
            told = told.value_type if pa.types.is_dictionary(told) else told
            if not (pa.types.is_string(told) or pa.types.is_large_string(told) or pa.types.is_null(told)):
                raise LayoutError(f"{path}: the column `{name}` must hold names, not {told}; save it as strings")
        self._group = -1
        self._rows: Any = None
        self._starts = [0]
        for i in range(self._file.metadata.num_row_groups):
            self._starts.append(self._starts[-1] + self._file.metadata.row_group(i).num_rows)

    def references(self, container: str) -> Iterator[Reference]:
        row = 0
        for batch in self._file.iter_batches(1024, columns=self._columns) if self._columns else self._empty():
            for told in batch.to_pylist():
                label = told.get("label")
                if label not in (None, UNTOLD, *range(len(LABELS))):
                    raise LayoutError(f"{self.path}: row {row} has the label {label}; it must be 0 or 1")
                facts = {k: told[k] for k in _TOLD if told.get(k) is not None}
                yield Reference(container, f"{row:08d}", at=row, **facts)
                row += 1

    def _empty(self) -> Iterator[Any]:
        """As many rows without columns as the file has."""
        import pyarrow as pa

        for low, high in zip(self._starts, self._starts[1:], strict=False):
            yield pa.table({"row": pa.nulls(high - low)})

    def read(self, reference: Reference, limits: Limits) -> bytes:
        import pyarrow as pa

        row = reference.at
        try:
            if self._group < 0 or not self._starts[self._group] <= row < self._starts[self._group + 1]:
                self._group = next(i for i, start in enumerate(self._starts[1:]) if row < start)
                self._rows = None  # before the next one is read, or both would be in memory
                self._rows = self._file.read_row_group(self._group, columns=["image"]).column("image")
            value = self._rows[row - self._starts[self._group]].as_py()
        except (pa.ArrowException, OSError, StopIteration) as error:
            self._group = -1
            raise PictureError(reference.path, "broken", f"{self.path} is broken there ({error})") from None
        data = value["bytes"] if self._struct and value else value
        if data is None:
            raise PictureError(reference.path, "missing", "the row has no bytes, only a path; embed the bytes")
        return limited(data, reference.path, limits)

    def close(self) -> None:
        self._file.close()


class _Listing(NamedTuple):
    """An open list: the file it lies in, and folder and archive that its paths start from, seen from the root."""

    file: IO[bytes]
    path: Path
    folder: str
    container: str


@dataclass(frozen=True)
class CsvList:
    """A CSV file that lists pictures.

    Attributes:
        file: its name.
        path: names of the column with the pictures' paths; the first that is there is used.
        folder: where those paths begin, seen from the CSV file.
        generator: column with the generator; empty if there is none.
        generators: the publisher's names for generators, and ours.
        label: column with the label; empty if there is none.
        labels: the publisher's words for labels, and ours.
    """

    file: str
    path: tuple[str, ...]
    folder: str = ""
    generator: str = ""
    generators: dict[str, str] = field(default_factory=dict)
    label: str = ""
    labels: dict[str, int] = field(
        default_factory=lambda: {"real": 0, "generated": 1, "fake": 1, "0": 0, "1": 1}  # 0 and 1 as everywhere here
    )

    def references(self, root: Path, problems: list[str]) -> Iterator[Reference]:
        """The pictures it lists, in its order, whether it lies in a folder or in a zip.

        Args:
            root: the folder below which the list is looked for.
            problems: gets a line for a list that cannot be used, and one for pictures that are not there.
        """
        plain = sorted(root.rglob(self.file))
        for path in plain:
            with open(path, "rb") as file:
                listing = _Listing(file, path, path.parent.relative_to(root).as_posix(), "")
                yield from self._listed(listing, lambda member: os.path.isfile(root / member), problems)
        for path in [] if plain else sorted(root.rglob("*.zip")):
            try:
                archive = Zip(path)
            except LayoutError:
                continue  # `walk` reports it
            for name in archive.names(self.file):
                with archive.open(name) as file:
                    listing = _Listing(file, path, str(Path(name).parent), path.relative_to(root).as_posix())
                    yield from self._listed(listing, archive.has, problems)
            archive.close()

    def _listed(self, listing: _Listing, has: Callable[[str], bool], problems: list[str]) -> Iterator[Reference]:
        path, missing = listing.path, 0
        try:
            with io.TextIOWrapper(listing.file, "utf-8-sig", newline="") as text:
                rows = csv.DictReader(text)
                column = next((name for name in self.path if name in (rows.fieldnames or [])), None)
                if column is None:
                    raise LayoutError(f"{path}: no column {' or '.join(self.path)}; found {rows.fieldnames}")
                for row in rows:
                    member = self._member(listing, row[column] or "", rows.line_num)
                    facts = self._facts(row, path, rows.line_num)
                    if has(member):
                        yield Reference(listing.container, member, **facts)
                    else:
                        missing += 1
        except LayoutError as error:
            problems.append(str(error))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            problems.append(f"{path}: not readable as CSV ({error}); save it as UTF-8")
        if missing:
            problems.append(f"{path}: {missing:,} of the pictures it lists are not there; download them too")

    def _member(self, listing: _Listing, named: str, line: int) -> str:
        member = Path(listing.folder, self.folder, named).as_posix()
        if not is_picture(member) or ".." in member.split("/"):
            raise LayoutError(f"{listing.path}: line {line} names {named!r}, which is no picture in here")
        return member

    def _facts(self, row: dict[str, str], path: Path, line: int) -> dict[str, Any]:
        facts: dict[str, Any] = {}
        if self.generator and row.get(self.generator):
            told = row[self.generator]
            facts["generator"] = self.generators.get(told, told)
        if self.label and self.label in row:
            word = (row[self.label] or "").strip().lower()
            if word not in self.labels:
                raise LayoutError(f"{path}: line {line} has the label {word!r}; it must be real or generated")
            facts["label"] = self.labels[word]
        return facts
