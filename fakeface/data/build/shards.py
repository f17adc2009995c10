"""The last step of a build: from the units' files to groups, splits, parquet shards and the table of rejects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...recipe import RecipeError
from ...results import LABELS
from ...utils.errors import FakefaceError
from ..duplicates import contradictions, find_duplicates, group_numbers
from ..parquet import TableWriter
from ..splits import assign_splits
from .recipe import BuildRecipe
from .row import NATIVE

SPLITS = ("train", "validation", "test", "unseen")
REJECTS = pa.schema([(name, pa.string()) for name in ("source", "label", "generator", "picture", "reason", "problem")])


class ContradictionError(FakefaceError):
    """Pictures stand in the set under both labels, and the recipe says to refuse that; the message names some."""


@dataclass
class Index:
    """What grouping and splitting need of each picture that was not rejected, in order: some 40 bytes.

    Attributes:
        phashes: perceptual hashes.
        contents: first 64 bits of each stored file's sha256.
        labels: 0 or 1.
        sources, generators: numbers of names.
        names: sources and generators, by number.
        originals: place of the photograph that each reconstruction was made from; reconstructions stand last.
    """

    phashes: np.ndarray
    contents: np.ndarray
    labels: np.ndarray
    sources: np.ndarray
    generators: np.ndarray
    names: list[str]
    originals: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def found(self) -> int:
        """How many pictures were found, not made."""
        return len(self.labels) - len(self.originals)

    def source(self, row: int) -> str:
        return self.names[self.sources[row]]


@dataclass
class Fate:
    """What becomes of each picture of an index.

    Attributes:
        groups: number of its group of near duplicates.
        splits: place in `SPLITS`; -1 if it is rejected after all.
        contradicting: of pictures that are set aside, the picture that contradicts each.
    """

    groups: np.ndarray
    splits: np.ndarray
    contradicting: dict[int, int] = field(default_factory=dict)


def read_index(units: list[Path]) -> Index:
    """Read the small columns of all units, and of reconstructions, which come last."""
    numbers: dict[str, int] = {}
    columns: dict[str, list[np.ndarray]] = {name: [] for name in ("phash", "sha256", "label", "source", "generator")}
    rows: list[np.ndarray] = []  # each picture's number, rejected ones counted
    originals: list[np.ndarray] = []
    total = 0
    for file in units:
        table = pq.read_table(file, columns=[*columns, "reason", "original"])
        rows.append(total + np.flatnonzero(table["reason"].to_numpy() == ""))
        total += len(table)
        table = table.filter(pc.field("reason") == "")
        originals.append(table["original"].drop_null().to_numpy())
        for name in ("phash", "sha256"):
            values = [int(value[:16], 16) for value in table[name].to_pylist()]
            columns[name].append(np.array(values, np.uint64))
        columns["label"].append(table["label"].to_numpy().astype(np.int8))
        for name in ("source", "generator"):
            values = [numbers.setdefault(value, len(numbers)) for value in table[name].to_pylist()]
            columns[name].append(np.array(values, np.int32))
    phashes, contents, labels, sources, generators = (np.concatenate(parts) for parts in columns.values())
    places = np.searchsorted(np.concatenate(rows), np.concatenate(originals))
    return Index(phashes, contents, labels, sources, generators, list(numbers), places)


def decide(index: Index, recipe: BuildRecipe, derived: dict[str, tuple[str, ...]]) -> Fate:
    """Find near duplicates and contradictions among the pictures that were found, and split.

    A reconstruction goes where its original goes, so that a build with them has the splits of one without.

    Args:
        index: of all pictures.
        recipe: the recipe.
        derived: for each source, those its generated pictures were made from.

    Raises:
        ContradictionError: see there.
        RecipeError: a name to hold out stands nowhere.
    """
    found = index.found
    labels, sources, generators, contents = (
        column[:found] for column in (index.labels, index.sources, index.generators, index.contents)
    )
    known = {index.names[number] for number in np.union1d(sources, generators)}
    if unknown := sorted(set(recipe.hold_out) - known):
        there = ", ".join(sorted(known))
        raise RecipeError(f"hold_out names {unknown}, neither a source nor a generator here; there are {there}")
    duplicates = find_duplicates(index.phashes[:found], recipe.distance)
    groups = group_numbers(duplicates)
    places = {name: number for number, name in enumerate(index.names)}
    made_from = {places[s]: [places[o] for o in others if o in places] for s, others in derived.items() if s in places}
    contrary = contradictions(duplicates, labels, sources, contents, made_from)
    splits = np.full(found, -1, np.int8)
    kept = np.setdiff1d(np.arange(found), np.fromiter(contrary, np.int64, len(contrary)))
    held_out = [places[name] for name in recipe.hold_out]
    held = np.isin(sources, held_out) | np.isin(generators, held_out)
    names = assign_splits(
        [index.source(row) for row in kept],
        groups[kept].tolist(),
        [f"{content:016x}" for content in contents[kept].tolist()],
        held[kept].tolist(),
        (recipe.split_fractions[0], recipe.split_fractions[1]),
        recipe.seed,
    )
    splits[kept] = [SPLITS.index(name) if name in SPLITS else -1 for name in names]
    follow = np.append(np.arange(found), index.originals)
    return Fate(groups[follow], splits[follow], contrary)


def shard_schema() -> pa.Schema:
    """Columns of the dataset, with the types that `datasets` reads off the file's metadata."""
    from datasets import ClassLabel, Features, Image, Value

    plain = {"generator": "string", "source": "string", "family": "string", "group": "int64", "split": "string"}
    native = {name: "bool" if kind == pa.bool_() else str(kind) for name, kind in NATIVE}
    kinds = {**plain, **native, "phash": "string", "sha256": "string"}
    columns = {name: Value(kind) for name, kind in kinds.items()}
    return Features({"image": Image(), "label": ClassLabel(names=list(LABELS)), **columns}).arrow_schema


def write_shards(units: list[Path], index: Index, fate: Fate, rows_per_shard: int, folder: Path) -> Counter[tuple]:
    """Write `data/SPLIT-…parquet` and `rejects.parquet`; the units are read once, and held a row group at a time.

    Returns:
        Counts by (split, source, generator, label); of rejects by (`rejected`, reason).
    """
    totals = Counter(SPLITS[split] for split in fate.splits.tolist() if split >= 0)
    counts: Counter[tuple] = Counter()
    (folder / "data").mkdir(parents=True)
    schema, names = shard_schema(), picture_names(units, set(fate.contradicting.values()))
    shards = {name: _Shards(folder / "data", name, total, rows_per_shard, schema) for name, total in totals.items()}
    with TableWriter(folder / "rejects.parquet", REJECTS) as rejects:
        for row, place in _rows(units):
            split = int(fate.splits[place]) if place >= 0 else -1
            if split >= 0:
                row.update(group=int(fate.groups[place]), split=SPLITS[split])
                shards[SPLITS[split]].add(row)
                counts[SPLITS[split], row["source"], row["generator"], LABELS[row["label"]]] += 1
                continue
            if place >= 0:
                row.update(_late_reason(place, index, fate, names))
            rejects.add({**row, "label": LABELS[row["label"]], "picture": row["image"]["path"], "image": None})
            counts["rejected", row["reason"]] += 1
        for writer in shards.values():
            writer.close()
    return counts


def _rows(units: list[Path]) -> Iterator[tuple[dict[str, Any], int]]:
    """All rows in order, each with its place in the index; -1 if it was rejected before."""
    place = 0
    for file in units:
        for batch in pq.ParquetFile(file).iter_batches(16):
            for row in batch.to_pylist():
                if row["reason"]:
                    yield row, -1
                else:
                    yield row, place
                    place += 1


def picture_names(units: list[Path], places: Collection[int]) -> dict[int, str]:
    """Names of the pictures at some places of the index."""
    names: dict[int, str] = {}
    first = 0
    for file in units if places else ():
        # `pq.read_table` would call the column of a struct's field by the field's name alone.
        with pq.ParquetFile(file) as unit:
            table = unit.read(columns=["image.path", "reason"])
        paths = [image["path"] for image in table.filter(pc.field("reason") == "")["image"].to_pylist()]
        names.update((number, path) for number, path in enumerate(paths, first) if number in places)
        first += len(paths)
    return names


def _late_reason(place: int, index: Index, fate: Fate, names: dict[int, str]) -> dict[str, str]:
    if place >= index.found:
        return {"reason": "original-rejected", "problem": "what it was made from is rejected; see there"}
    if place not in fate.contradicting:
        return {"reason": "near-unseen", "problem": "a near duplicate of a picture that is held out; leave it out"}
    witness = fate.contradicting[place]
    mine, other = LABELS[index.labels[place]], LABELS[index.labels[witness]]
    problem = f"{mine} here, but {other} as {names[witness]}; find out which is right and leave the other out"
    return {"reason": "contradiction", "problem": problem}


class _Shards:
    """The files of one split, one open at a time."""

    def __init__(self, folder: Path, split: str, total: int, rows_per_shard: int, schema: pa.Schema) -> None:
        self._name = f"{split}-{{:05d}}-of-{-(-total // rows_per_shard):05d}.parquet"
        self._folder, self._rows_per_shard, self._schema = folder, rows_per_shard, schema
        self._shard = self._rows = 0
        self._writer: TableWriter | None = None

    def add(self, row: dict[str, Any]) -> None:
        if self._writer is None:
            self._writer = TableWriter(self._folder / self._name.format(self._shard), self._schema)
            self._shard, self._rows = self._shard + 1, 0
        self._writer.add(row)
        self._rows += 1
        if self._rows == self._rows_per_shard:
            self.close()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
