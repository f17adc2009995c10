"""Parquet files of pictures, and CSV or JSONL lists that say what the pictures of a folder or archive are."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain
from pathlib import Path
from typing import IO, Any, NamedTuple

from ...images.load import Limits, PictureError
from ...utils.label_names import LabelsError, place_of, places_of
from ..families import told_family
from .archives import BROKEN, Zip, is_picture
from .reference import UNTOLD, LayoutError, Reference, limited

# What is taken over of a table besides its column `label`, and the columns that may hold it, the first that is there:
# ours, and those of Community Forensics (`image_data`, `model_name`, `architecture`) and of OpenFake (`model`).
_COLUMNS = {
    "image": ("image", "image_data"),
    "generator": ("generator", "model_name", "model"),
    "source": ("source",),
    "family": ("family", "architecture"),
}
_ROWS = 16  # pictures that are read from a table at a time
_BUFFER = 2**20  # bytes; without one, or with `pre_buffer`, parquet reads all pictures of a row group at once
# Characters of a CSV list, enough for some five million pictures, and of one of its lines: what is packed in a zip may
# be a thousand times as large as the zip.
_LONGEST_LIST, _LONGEST_LINE = 2**29, 2**20


class Parquet:
    """A parquet file with a column of picture files, bare or as the struct that `datasets` writes: see `_COLUMNS`.

    Args:
        path: of the file.
        stated: what labels mean that are numbers without names; see `fakeface.utils.label_names`. `None` leaves a
            column `label` alone, whatever it holds.
    """

    def __init__(self, path: Path, stated: Sequence[str] | None = None) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.path, self._broken = path, (pa.ArrowException, OSError, UnicodeDecodeError)
        try:
            self._file = pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False)
            schema, parts = self._file.schema_arrow, self._file.metadata
            groups = [parts.row_group(i) for i in range(parts.num_row_groups)]
        except self._broken as error:
            raise LayoutError(f"{path}: not readable as parquet ({_short(error)}); download it again") from None
        self._schema, self._stated = schema, stated
        self._columns = self._found(schema)
        self._image = self._columns.pop("image")
        if stated is not None and "label" in schema.names:
            self._columns["label"] = "label"
        self._struct = pa.types.is_struct(schema.field(self._image).type)
        self._starts = [0, *accumulate(group.num_rows for group in groups)]  # first row of each row group
        if self._starts[-1] > (size := path.stat().st_size):  # every picture takes more than a byte
            raise LayoutError(f"{path}: speaks of {self._starts[-1]:,} rows in {size:,} bytes; download it again")
        self._sizes = [sum(_picture_bytes(group, self._image)) for group in groups]
        # The rows that were read last, of one row group, and the number of the first.
        self._group, self._first = -1, 0
        self._rows: Any = ()
        self._batches: Iterator[Any] = iter(())

    def _found(self, schema: Any) -> dict[str, str]:
        """The column that holds each thing that is told. Raises LayoutError for one that is not as it must be."""
        found = {}
        for told, (own, *others) in _COLUMNS.items():
            if own in schema.names:
                self._check(told, schema, own)
                found[told] = own
            # A column of another name is only taken for this one if it could be.
            elif theirs := [name for name in others if name in schema.names and _fits(told, schema.field(name).type)]:
                found[told] = theirs[0]
        if "image" not in found:
            self._check("image", schema, "")
        return found

    def _check(self, told: str, schema: Any, name: str) -> None:
        kind = schema.field(name).type if name else None
        if kind is not None and _fits(told, kind):
            return
        if told == "image":
            found = ", ".join(f"{name} ({schema.field(name).type})" for name in schema.names)
            raise LayoutError(f"{self.path}: no column `image` with the bytes of pictures; found {found}")
        raise LayoutError(f"{self.path}: the column `{name}` must hold names, not {kind}; save it as strings")

    def references(self, container: str) -> Iterator[Reference]:
        label_of = self._labels() if "label" in self._columns else None
        try:
            for group, size in enumerate(self._sizes):
                for row, told in enumerate(self._told(group), self._starts[group]):
                    facts = {name: value for name, value in told.items() if value is not None}
                    if label_of and "label" in facts:
                        facts["label"] = label_of(facts["label"], row)
                    if "family" in facts:
                        facts["family"] = told_family(facts["family"])
                    # Rows do not tell how large their pictures are; the sum changes when one of them does.
                    yield Reference(container, f"{row:08d}", at=row, size=size, **facts)
        except self._broken as error:
            raise LayoutError(f"{self.path}: is broken ({_short(error)}); download it again") from None

    def _labels(self) -> Callable[[Any, int], int]:
        """What makes ours of the label in a row: by its own name, or by the names that `datasets` gave the numbers."""
        import pyarrow as pa

        kind, names, stated = self._schema.field("label").type, _class_names(self._schema), self._stated or ()
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        words = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if not (words or pa.types.is_integer(kind) or pa.types.is_null(kind)):
            raise LayoutError(f"{self.path}: the column `label` must hold names or whole numbers, not {kind}")
        try:
            places = [] if words or pa.types.is_null(kind) else places_of(names, stated)
        except LabelsError as error:
            raise LayoutError(f"{self.path}: {error}") from None

        def label_of(told: Any, row: int) -> int:
            try:
                if words:
                    return place_of(told, stated)
            except LabelsError as error:
                raise LayoutError(f"{self.path}: row {row}: {error}") from None
            if told != UNTOLD and not 0 <= told < len(places):
                numbers = " or ".join(map(str, range(len(places))))
                raise LayoutError(f"{self.path}: row {row} has the label {told}; it must be {numbers}")
            return UNTOLD if told == UNTOLD else places[told]

        return label_of

    def _told(self, group: int) -> Iterator[dict[str, Any]]:
        """What each row of a row group tells of its picture."""
        if not self._columns:
            yield from ({} for _ in range(self._starts[group], self._starts[group + 1]))
            return
        for batch in self._file.iter_batches(1024, row_groups=[group], columns=list(self._columns.values())):
            for row in batch.to_pylist():
                yield {told: row[name] for told, name in self._columns.items()}

    def read(self, reference: Reference, limits: Limits) -> bytes:
        if not 0 <= reference.at < self._starts[-1]:
            raise PictureError(reference.path, "missing", f"{self.path} has no such row any more; put it back")
        try:
            value = self._picture(reference.at)
        except (*self._broken, StopIteration) as error:  # the latter where rows are fewer than was promised
            problem = f"{self.path} is broken there ({_short(error)}); download it again"
            raise PictureError(reference.path, "broken", problem) from None
        data = value["bytes"] if self._struct and value else value
        if data is None:
            raise PictureError(reference.path, "missing", "the row has no bytes, only a path; embed the bytes")
        return limited(data, reference.path, limits)

    def _picture(self, row: int) -> Any:
        """A row of the column of pictures. Rows are mostly asked for in order, so those before are passed over once."""
        group = bisect_right(self._starts, row) - 1
        if group != self._group or row < self._first:
            self._group, self._first, self._rows = group, self._starts[group], ()
            self._batches = self._file.iter_batches(_ROWS, row_groups=[group], columns=[self._image])
        while row >= self._first + len(self._rows):
            self._first += len(self._rows)
            self._rows = ()  # before the next ones are read, or both would be in memory
            self._rows = next(self._batches).column(self._image)
        return self._rows[row - self._first].as_py()

    def close(self) -> None:
        self._file.close()


def _fits(told: str, kind: Any) -> bool:
    """Whether a column of this Arrow type can hold it."""
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if told == "image":
        if pa.types.is_struct(kind):
            kind = kind.field("bytes").type if kind.get_field_index("bytes") >= 0 else pa.null()
        # Text in their place would be taken for a path or an address, and opened.
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
    return bool(is_text or pa.types.is_null(kind))


def _picture_bytes(group: Any, name: str) -> Iterator[int]:
    """Bytes of the column with pictures in a row group, as they are stored."""
    for column in map(group.column, range(group.num_columns)):
        if column.path_in_schema in (name, f"{name}.bytes"):
            yield column.total_compressed_size


def _class_names(schema: Any) -> list[str] | None:
    """Names of the numbers in the column `label`, as `datasets` keeps them beside the columns; `None` without."""
    try:
        label = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]["label"]
        return [str(name) for name in label["names"]] if label.get("_type") == "ClassLabel" else None
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):  # what an untrusted file may hold there
        return None


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
    """A CSV file that lists pictures; or JSON lines, where its name ends in `.jsonl`.

    Attributes:
        file: its name.
        path: names of the column with the pictures' paths; the first that is there is used.
        folder: where those paths begin, seen from the CSV file.
        generator: column with the generator; empty if there is none.
        generators: the publisher's names for generators, and ours.
        label: column with the label; empty if there is none.
        stated: what the numbers among the labels mean; see `fakeface.utils.label_names`.
    """

    file: str
    path: tuple[str, ...]
    folder: str = ""
    generator: str = ""
    generators: dict[str, str] = field(default_factory=dict)
    label: str = ""
    stated: tuple[str, ...] = ()

    def references(self, root: Path, problems: list[str]) -> Iterator[Reference]:
        """The pictures it lists, in its order, whether it lies in a folder or in a zip.

        Args:
            root: the folder below which the list is looked for.
            problems: gets a line for a list or zip that cannot be used, and one for pictures that are not there.
        """
        plain = sorted(root.rglob(self.file))
        for path in plain or sorted(root.rglob("*.zip")):
            yield from self.of_file(path, root, problems)

    def of_file(self, path: Path, root: Path, problems: list[str]) -> Iterator[Reference]:
        """As `references`, of one list, or of those in one zip."""
        kind = self._kind()
        try:
            listed = self._in_folder if path.name == self.file else self._in_zip
            yield from listed(path, root, problems)
        except LayoutError as error:
            problems.append(str(error))
        except (csv.Error, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            problems.append(f"{path}: not readable as {kind} ({_short(error)}); save it as UTF-8")
        except BROKEN as error:
            problems.append(f"{path}: {self.file} cannot be read ({_short(error)}); download it again")

    def tells_labels(self, path: Path) -> bool:
        """Whether a list of this name has both of its columns; True also where it cannot be read, which `of_file` says.

        Folders may hold a file of the same name that is about something else.
        """
        try:
            with open(path, "rb") as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
                _, names = self._rows(text, path)
        except (OSError, ValueError, csv.Error, RecursionError):
            return True
        return self.label in names and any(name in names for name in self.path)

    def _kind(self) -> str:
        return "JSON lines" if self.file.lower().endswith(".jsonl") else "CSV"

    def _rows(self, text: io.TextIOWrapper, path: Path) -> tuple[Iterable[tuple[int, dict[str, Any]]], list[str]]:
        """The rows of a list, each with the number of its line, and the names of the columns."""
        lines = _lines(text, path)
        if self._kind() == "CSV":
            rows = csv.DictReader(lines)
            names = list(rows.fieldnames or [])
            return ((rows.line_num, row) for row in rows), names
        found = _json_rows(lines, path)
        first = next(found, None)
        return (chain([first], found), list(first[1])) if first else ((), [])

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
            rows, names = self._rows(text, path)
            column = next((name for name in self.path if name in names), None)
            if column is None:
                raise LayoutError(f"{path}: no column {' or '.join(self.path)}; found {_shown(names or None)}")
            for line, row in rows:
                found = listing.find(self._member(listing, str(row.get(column) or ""), line))
                facts = self._facts(row, path, line)
                if found:
                    yield found._replace(**facts)
                else:
                    missing += 1
        if missing:
            problems.append(f"{path}: {missing:,} of the pictures it lists are not there; download them too")

    def _member(self, listing: _Listing, named: str, line: int) -> str:
        member = Path(listing.folder, self.folder, named).as_posix()
        if not is_picture(member) or ".." in member.split("/"):
            raise LayoutError(f"{listing.path}: line {line} names {_shown(named)}, which is not a picture in here")
        return member

    def _facts(self, row: dict[str, Any], path: Path, line: int) -> dict[str, Any]:
        facts: dict[str, Any] = {}
        if self.generator and row.get(self.generator):
            told = str(row[self.generator])
            facts["generator"] = self.generators.get(told, told)
        if self.label and self.label in row:
            word = row[self.label]
            try:
                facts["label"] = place_of("" if word is None else str(word), self.stated)
            except LabelsError as error:
                raise LayoutError(f"{path}: line {line}: {error}") from None
        return facts


def _json_rows(lines: Iterator[str], path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            row = json.loads(line)
            if not isinstance(row, dict):
                raise LayoutError(f"{path}: line {number} is not a JSON object; write one picture on each line")
            yield number, row


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
