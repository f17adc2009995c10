"""Which pictures go into a dataset, decided before any is decoded: an Arrow file of references, a record batch a unit.

Memory does not grow with the number of pictures, but for one number each while a cap is applied.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .build_recipe import BuildRecipe, Choice
from .labels import LABELS
from .layouts import SEQUENTIAL_SUFFIXES, LayoutError, Reference
from .sources import Found, Source, how_to_get, references, settle

UNIT_ROWS = 128  # pictures that are decoded and written together: what a kill can cost each worker
_BATCH = 4096

_CANDIDATES = pa.schema(
    [
        ("container", pa.string()),
        ("member", pa.string()),
        ("at", pa.int64()),
        ("size", pa.int64()),
        ("told_source", pa.string()),
        ("variant", pa.int8()),
        ("rule", pa.int16()),
        ("label", pa.int8()),
        ("generator", pa.string()),
        ("draw", pa.uint64()),
    ]
)
_PLAN = pa.schema(
    [
        ("choice", pa.int16()),
        ("container", pa.string()),
        ("member", pa.string()),
        ("at", pa.int64()),
        ("size", pa.int64()),
        ("label", pa.int8()),
        ("generator", pa.string()),
        ("source", pa.string()),
    ]
)


class PlanError(ValueError):
    """The sources are not as the recipe needs them; the message names what is missing and the cure."""


@dataclass
class Plan:
    """What was decided.

    Attributes:
        file: the Arrow file of references; a worker finds its unit there without reading what describes the others.
        sizes: pictures in each unit.
        tasks: units that one worker takes one after the other; together all units in order.
        found: what is there of each source, as `inspect` tells.
        taken: pictures by source and label.
        digest: sha256 of the references, in order.
    """

    file: Path
    sizes: list[int] = field(default_factory=list)
    tasks: list[list[int]] = field(default_factory=list)
    found: dict[str, Found] = field(default_factory=dict)
    taken: Counter[tuple[str, str]] = field(default_factory=Counter)
    digest: str = ""

    @property
    def total(self) -> int:
        return sum(self.sizes)


class Picture(NamedTuple):
    """A row of the plan."""

    choice: int
    reference: Reference
    label: int
    generator: str
    source: str


def make_plan(recipe: BuildRecipe, root: Path, work: Path) -> Plan:
    """List all sources, check that they are complete, apply caps and balance, and write `plan.arrow`.

    Args:
        recipe: the recipe.
        root: folder of the sources' folders.
        work: folder to write into.

    Raises:
        PlanError: a source is missing, incomplete or unreadable, and the recipe does not call it `partial`.
    """
    work.mkdir(parents=True, exist_ok=True)
    plan = Plan(work / "plan.arrow")
    problems: list[str] = []
    files = [work / f"candidates-{i}.parquet" for i in range(len(recipe.sources))]
    for choice, file in zip(recipe.sources, files, strict=True):
        found = _list_candidates(choice, recipe.seed, root, file)
        plan.found[choice.title] = found
        if found.variant is None or (found.problems and not choice.partial):
            problems += found.problems
    if problems:
        hint = "\nTo build from what is there, set `partial: true` at the source, or give --partial."
        raise PlanError("\n".join(problems) + hint)
    thresholds = _thresholds(recipe, plan, files)
    _write_plan(recipe, plan, files, thresholds)
    for file in files:
        file.unlink()
    if not plan.total:
        raise PlanError(f"{root}: no pictures to build from")
    return plan


def _list_candidates(choice: Choice, seed: int, root: Path, file: Path) -> Found:
    """Write every picture that any variant of the source takes, and choose the variant."""
    source, folder = choice.resolve(), root / choice.folder
    found = Found()
    if not folder.is_dir():
        found.problems.append(f"{folder}: no such folder; {how_to_get(source)}")
        return found
    counts = [Counter[int]() for _ in source.variants]
    total = 0
    with pq.ParquetWriter(file, _CANDIDATES, compression="zstd") as writer:
        rows: list[dict[str, Any]] = []
        for reference in references(source, folder, found.problems):
            total += 1
            try:
                rows += _candidate(source, reference, counts, f"{seed}:{choice.title}:{reference.path}")
            except LayoutError as error:
                found.problems.append(f"{folder}: {error}")
                return found
            if len(rows) >= _BATCH:
                writer.write_table(pa.Table.from_pylist(rows, _CANDIDATES))
                rows = []
        writer.write_table(pa.Table.from_pylist(rows, _CANDIDATES))
    settle(source, folder, counts, total, found)
    return found


def _candidate(source: Source, reference: Reference, counts: list[Counter[int]], key: str) -> list[dict[str, Any]]:
    for variant, counter in enumerate(counts):
        if fit := source.match(variant, reference):
            rule, label, generator = fit
            counter[rule] += 1
            draw = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little")
            told = {"variant": variant, "rule": rule, "label": label, "generator": generator, "draw": draw}
            where = {"container": reference.container, "member": reference.member}
            return [{**where, "at": reference.at, "size": reference.size, "told_source": reference.source, **told}]
    return []


def _thresholds(recipe: BuildRecipe, plan: Plan, files: list[Path]) -> dict[tuple[int, int], int]:
    """The largest draw that is taken of each source and label, where not all pictures are."""
    there: dict[tuple[int, int], int] = {}
    sizes: dict[tuple[int, int], int] = {}
    for i, (choice, file) in enumerate(zip(recipe.sources, files, strict=True)):
        for label in range(len(LABELS)):
            if count := _draws(file, plan.found[choice.title].variant, label).size:
                there[i, label] = count
                sizes[i, label] = min(count, recipe.cap_of(choice) or count)
    if recipe.balance:
        sizes = balanced(sizes)
    thresholds = {}
    for (i, label), size in sizes.items():
        if size < there[i, label]:
            draws = np.sort(_draws(files[i], plan.found[recipe.sources[i].title].variant, label))
            thresholds[i, label] = int(draws[size - 1]) if size else -1
    return thresholds


def _draws(file: Path, variant: int | None, label: int) -> np.ndarray:
    table = pq.read_table(file, columns=["variant", "label", "draw"])
    mine = (table["variant"].to_numpy() == variant) & (table["label"].to_numpy() == label)
    return table["draw"].to_numpy()[mine]


def balanced(sizes: dict[tuple[int, int], int]) -> dict[tuple[int, int], int]:
    """Sizes by (source, label), with the larger label cut to the smaller; each source keeps its share of its label.

    Raises:
        PlanError: only one label is there.
    """
    totals = [sum(size for (_, label), size in sizes.items() if label == number) for number in range(len(LABELS))]
    if not all(totals):
        raise PlanError(f"nothing to balance: no pictures are {LABELS[totals.index(0)]}")
    kept = dict(sizes)
    larger, target = totals.index(max(totals)), min(totals)
    cells = sorted(cell for cell in sizes if cell[1] == larger)
    shares = [sizes[cell] * target / totals[larger] for cell in cells]
    spare = target - sum(map(int, shares))
    # The largest remainders get the pictures that rounding down left.
    for place in sorted(range(len(cells)), key=lambda i: (int(shares[i]) - shares[i], i)):
        kept[cells[place]] = int(shares[place]) + (spare > 0)
        spare -= 1
    return kept


def _write_plan(recipe: BuildRecipe, plan: Plan, files: list[Path], thresholds: dict[tuple[int, int], int]) -> None:
    digest = hashlib.sha256()
    fresh = plan.file.with_suffix(".writing")
    previous = ""
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.OSFile(str(fresh), "wb") as sink, pa.ipc.new_file(sink, _PLAN, options=options) as writer:
        for number, (rows, held) in enumerate(_units(_chosen(recipe, plan, files, thresholds))):
            writer.write_batch(pa.RecordBatch.from_pylist(rows, _PLAN))
            if held and held == previous:
                plan.tasks[-1].append(number)
            else:
                plan.tasks.append([number])
            previous = held
            plan.sizes.append(len(rows))
            for row in rows:
                digest.update(repr(sorted(row.items())).encode())
                plan.taken[recipe.sources[row["choice"]].title, LABELS[row["label"]]] += 1
    fresh.replace(plan.file)
    plan.digest = digest.hexdigest()


def _units(chosen: Iterator[tuple[dict[str, Any], str]]) -> Iterator[tuple[list[dict[str, Any]], str]]:
    """Rows in units; a unit holds pictures of one container only where that must be read in order."""
    rows: list[dict[str, Any]] = []
    held = ""
    for row, container in chosen:
        if rows and (len(rows) == UNIT_ROWS or container != held):
            yield rows, held
            rows = []
        rows.append(row)
        held = container
    if rows:
        yield rows, held


def _chosen(
    recipe: BuildRecipe, plan: Plan, files: list[Path], thresholds: dict[tuple[int, int], int]
) -> Iterator[tuple[dict[str, Any], str]]:
    """Rows of the plan in order, each with its container if that must be read in order, else an empty string."""
    for i, (choice, file) in enumerate(zip(recipe.sources, files, strict=True)):
        variant = plan.found[choice.title].variant
        for batch in pq.ParquetFile(file).iter_batches(_BATCH):
            for row in batch.to_pylist():
                if row["variant"] != variant or row["draw"] > thresholds.get((i, row["label"]), 2**64):
                    continue
                kept = {name: row[name] for name in ("container", "member", "at", "size", "label", "generator")}
                held = f"{i}/{row['container']}" if row["container"].lower().endswith(SEQUENTIAL_SUFFIXES) else ""
                yield {"choice": i, **kept, "source": row["told_source"] or choice.title}, held


def read_unit(file: Path, unit: int) -> list[Picture]:
    """The pictures of one unit of a plan."""
    with pa.memory_map(str(file)) as stored:
        rows = pa.ipc.open_file(stored).get_batch(unit).to_pylist()
    return [
        Picture(
            row["choice"],
            Reference(row["container"], row["member"], row["at"], row["size"]),
            row["label"],
            row["generator"],
            row["source"],
        )
        for row in rows
    ]
