"""Parquet files of pictures, and CSV lists that say what the pictures of a folder or archive are."""

from __future__ import annotations

import csv
import io
import os
import stat
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import IO, Any, NamedTuple

from ..images import Limits, PictureError
from .archives import BROKEN, Zip, is_picture
from .labels import LABELS
from .layouts import UNTOLD, LayoutError, Reference, limited

_TOLD = ("label", "generator", "source")  # columns that are taken over where a table has them
_ROWS = 16  # pictures that are read from a table at a time
_BUFFER = 2**20  # bytes; without one, or with `pre_buffer`, parquet reads all pictures of a row group at once
# Characters of a CSV list, enough for some five million pictures, and of one of its lines: what is packed in a zip may
# be a thousand times as large as the zip.
_LONGEST_LIST, _LONGEST_LINE = 2**29, 2**20


class Parquet:
    """A parquet file with a column `image`: picture files, bare or as the struct that `datasets` writes."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.path, self._broken = path, (pa.ArrowException, OSError, UnicodeDecodeError)
        try:
            self._file = pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False)
            schema, parts = self._file.schema_arrow, self._file.metadata
            groups = [parts.row_group(i) for i in range(parts.num_row_groups)]
        except self._broken as error:
            raise LayoutError(f"{path}: not readable as parquet ({_short(error)}); download it again") from None
        self._check(schema)
        self._columns = [name for name in _TOLD if name in schema.names]
        self._struct = pa.types.is_struct(schema.field("image").type)
        self._starts = [0, *accumulate(group.num_rows for group in groups)]  # first row of each row group
        if self._starts[-1] > (size := path.stat().st_size):  # every picture takes more than a byte
            raise LayoutError(f"{path}: speaks of {self._starts[-1]:,} rows in {size:,} bytes; download it again")
        self._sizes = [sum(_picture_bytes(group)) for group in groups]
        # The rows that were read last, of one row group, and the number of the first.
        self._group, self._first = -1, 0
        self._rows: Any = ()
        self._batches: Iterator[Any] = iter(())

    def _check(self, schema: Any) -> None:
        """Raise LayoutError unless the columns are as they must be."""
        import pyarrow as pa

        kind = schema.field("image").type if "image" in schema.names else pa.null()
        held = kind
        if pa.types.is_struct(kind):
            held = kind.field("bytes").type if kind.get_field_index("bytes") >= 0 else pa.null()
        # Text in their place would be taken for a path or an address, and opened.
        if not (pa.types.is_binary(held) or pa.types.is_large_binary(held)):
            found = ", ".join(f"{name} ({schema.field(name).type})" for name in schema.names)
            raise LayoutError(f"{self.path}: no column `image` with the bytes of pictures; found {found}")
        if "label" in schema.names and not pa.types.is_integer(told := schema.field("label").type):
            raise LayoutError(f"{self.path}: the column `label` must hold 0 (real) and 1 (generated), not {told}")
        for name in ("generator", "source"):
            told = schema.field(name).type if name in schema.names else pa.string()
            told = told.value_type if pa.types.is_dictionary(told) else told
            if not (pa.types.is_string(told) or pa.types.is_large_string(told) or pa.types.is_null(told)):
                raise LayoutError(f"{self.path}: the column `{name}` must hold names, not {told}; save it as strings")

    def references(self, container: str) -> Iterator[Reference]:
        try:
            for group, size in enumerate(self._sizes):
                for row, told in enumerate(self._told(group), self._starts[group]):
                    label = told.get("label")
                    if label not in (None, UNTOLD, *range(len(LABELS))):
                        raise LayoutError(f"{self.path}: row {row} has the label {label}; it must be 0 or 1")
                    facts = {name: value for name, value in told.items() if value is not None}
                    # Rows do not tell how large their pictures are; the sum changes when one of them does.
                    yield Reference(container, f"{row:08d}", at=row, size=size, **facts)
        except self._broken as error:
            raise LayoutError(f"{self.path}: is broken ({_short(error)}); download it again") from None

    def _told(self, group: int) -> Iterator[dict[str, Any]]:
        """What each row of a row group tells of its picture."""
        if not self._columns:
            yield from ({} for _ in range(self._starts[group], self._starts[group + 1]))
            return
        for batch in self._file.iter_batches(1024, row_groups=[group], columns=self._columns):
            yield from batch.to_pylist()

    def read(self, reference: Reference, limits: Limits) -> bytes:
        if not 0 <= reference.at < self._starts[-1]:
            raise PictureError(reference.path, "missing", f"{self.path} has no such row any more; put it back")
        try:
            value = self._image(reference.at)
        except (*self._broken, StopIteration) as error:  # the latter where rows are fewer than was promised
            problem = f"{self.path} is broken there ({_short(error)}); download it again"
            raise PictureError(reference.path, "broken", problem) from None
        data = value["bytes"] if self._struct and value else value
        if data is None:
            raise PictureError(reference.path, "missing", "the row has no bytes, only a path; embed the bytes")
        return limited(data, reference.path, limits)

    def _image(self, row: int) -> Any:
        """A row of the column `image`. Rows are mostly asked for in order, so those before are passed over once."""
        group = bisect_right(self._starts, row) - 1
        if group != self._group or row < self._first:
            self._group, self._first, self._rows = group, self._starts[group], ()
            self._batches = self._file.iter_batches(_ROWS, row_groups=[group], columns=["image"])
        while row >= self._first + len(self._rows):
            self._first += len(self._rows)
            self._rows = ()  # before the next ones are read, or both would be in memory
            self._rows = next(self._batches).column("image")
        return self._rows[row - self._first].as_py()

    def close(self) -> None:
        self._file.close()


def _picture_bytes(group: Any) -> Iterator[int]:
    """Bytes of the columns with pictures in a row group, as they are stored."""
    for column in map(group.column, range(group.num_columns)):
        if column.path_in_schema in ("image", "image.bytes"):
            yield column.total_compressed_size


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


class _Listing(NamedTuple):
    """An open list: the file it lies in, where its paths start, and what finds a picture by its path (None: none)."""

    file: IO[bytes]
    path: Path
    folder: str
    find: Callable[[str], Reference | None]


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
            problems: gets a line for a list or zip that cannot be used, and one for pictures that are not there.
        """
        plain = sorted(root.rglob(self.file))
        for path in plain or sorted(root.rglob("*.zip")):
            try:
                yield from self._in_folder(path, root, problems) if plain else self._in_zip(path, root, problems)
            except LayoutError as error:
                problems.append(str(error))
            except (csv.Error, UnicodeDecodeError) as error:
                problems.append(f"{path}: not readable as CSV ({_short(error)}); save it as UTF-8")
            except BROKEN as error:
                problems.append(f"{path}: {self.file} cannot be read ({_short(error)}); download it again")

    def _in_folder(self, path: Path, root: Path, problems: list[str]) -> Iterator[Reference]:
        if not path.is_file() or not path.resolve().is_relative_to(root.resolve()):
            raise LayoutError(f"{path}: no ordinary file, or a link that leads out of {root}; copy the list itself")

        def find(member: str) -> Reference | None:
            try:
                status = os.stat(root / member)
            except (OSError, ValueError):  # ValueError for a zero byte in the name
                return None
            return Reference("", member, size=status.st_size) if stat.S_ISREG(status.st_mode) else None

        with open(path, "rb") as file:
            folder = path.parent.relative_to(root).as_posix()
            yield from self._listed(_Listing(file, path, folder, find), problems)

    def _in_zip(self, path: Path, root: Path, problems: list[str]) -> Iterator[Reference]:
        archive, container = Zip(path), path.relative_to(root).as_posix()
        try:
            for name in archive.names(self.file):
                with archive.open(name) as file:
                    folder = Path(name).parent.as_posix()
                    listing = _Listing(file, path, folder, lambda member: archive.find(container, member))
                    yield from self._listed(listing, problems)
        finally:
            archive.close()

    def _listed(self, listing: _Listing, problems: list[str]) -> Iterator[Reference]:
        path, missing = listing.path, 0
        with io.TextIOWrapper(listing.file, "utf-8-sig", newline="") as text:
            rows = csv.DictReader(_lines(text, path))
            column = next((name for name in self.path if name in (rows.fieldnames or [])), None)
            if column is None:
                raise LayoutError(f"{path}: no column {' or '.join(self.path)}; found {_shown(rows.fieldnames)}")
            for row in rows:
                found = listing.find(self._member(listing, row[column] or "", rows.line_num))
                facts = self._facts(row, path, rows.line_num)
                if found:
                    yield found._replace(**facts)
                else:
                    missing += 1
        if missing:
            problems.append(f"{path}: {missing:,} of the pictures it lists are not there; download them too")

    def _member(self, listing: _Listing, named: str, line: int) -> str:
        member = Path(listing.folder, self.folder, named).as_posix()
        if not is_picture(member) or ".." in member.split("/"):
            raise LayoutError(f"{listing.path}: line {line} names {_shown(named)}, which is no picture in here")
        return member

    def _facts(self, row: dict[str, str], path: Path, line: int) -> dict[str, Any]:
        facts: dict[str, Any] = {}
        if self.generator and row.get(self.generator):
            told = row[self.generator]
            facts["generator"] = self.generators.get(told, told)
        if self.label and self.label in row:
            word = (row[self.label] or "").strip().lower()
            if word not in self.labels:
                raise LayoutError(f"{path}: line {line} has the label {_shown(word)}; it must be real or generated")
            facts["label"] = self.labels[word]
        return facts


def _lines(text: io.TextIOWrapper, path: Path) -> Iterator[str]:
    """The lines of a list, as long as they stay within the limits."""
    total = 0
    while line := text.readline(_LONGEST_LINE + 1):
        total += len(line)
        if len(line) > _LONGEST_LINE:
            raise LayoutError(f"{path}: a line of the list is longer than {_LONGEST_LINE:,} characters; save it as CSV")
        if total > _LONGEST_LIST:
            raise LayoutError(f"{path}: the list is longer than {_LONGEST_LIST:,} characters; split it")
        yield line


def _shown(value: Any) -> str:
    """What a list says, not at any length."""
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "…"
