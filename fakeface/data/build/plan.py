"""Which pictures go into a dataset, decided before any is decoded: a parquet file of references.

Memory does not grow with the number of pictures, but for one number each while a cap is applied.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...results import LABELS
from ...utils.errors import FakefaceError
from ..engine.units import write_list, write_rows
from ..engine.workers import Entry
from ..sources.layout import Found, Source, how_to_get, references, settle
from ..sources.reference import LayoutError, Reference
from .recipe import BuildRecipe, Choice

_BATCH = 4096

_NUMBERS = {"at": pa.int64(), "size": pa.int64(), "variant": pa.int8(), "label": pa.int8(), "draw": pa.uint64()}
_CANDIDATES = pa.schema(
    [*_NUMBERS.items(), *((name, pa.string()) for name in ("container", "member", "generator", "source", "family"))]
)


class PlanError(FakefaceError):
    """The sources are not as the recipe needs them; the message names what is missing and the cure."""


@dataclass
class Plan:
    """What was decided.

    Attributes:
        file: the list of pictures; their references have label, generator and source.
        found: what is there of each source, as `inspect` tells.
        taken: pictures by source and label.
        digest: sha256 of the references, in order.
    """

    file: Path
    found: dict[str, Found] = field(default_factory=dict)
    taken: Counter[tuple[str, str]] = field(default_factory=Counter)
    digest: str = ""


def make_plan(recipe: BuildRecipe, root: Path, work: Path) -> Plan:
    """List all sources, check that they are complete, apply caps and balance, and write `plan.parquet`.

    Args:
        recipe: the recipe.
        root: folder of the sources' folders.
        work: folder to write into.

    Raises:
        PlanError: a source is missing, incomplete or unreadable, and the recipe does not call it `partial`.
    """
    work.mkdir(parents=True, exist_ok=True)
    plan = Plan(work / "plan.parquet")
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
    _write_plan(recipe, root, plan, files, thresholds)
    for file in files:
        file.unlink()
    if not plan.taken:
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

    def candidates() -> Iterator[dict[str, Any]]:
        nonlocal total
        for reference in references(source, folder, found.problems):
            total += 1
            yield from _candidate(source, reference, counts, f"{seed}:{choice.title}:{reference.path}")

    try:
        write_rows(file, _CANDIDATES, candidates())
    except LayoutError as error:
        found.problems.append(f"{folder}: {error}")
        return found
    settle(source, folder, counts, total, found)
    return found


def _candidate(source: Source, reference: Reference, counts: list[Counter[int]], key: str) -> list[dict[str, Any]]:
    for variant, counter in enumerate(counts):
        if fit := source.match(variant, reference):
            rule, label, generator = fit
            counter[rule] += 1
            draw = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little")
            told = {"variant": variant, "label": label, "generator": generator, "draw": draw}
            return [{**reference._asdict(), **told}]
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


def _write_plan(
    recipe: BuildRecipe, root: Path, plan: Plan, files: list[Path], thresholds: dict[tuple[int, int], int]
) -> None:
    digest = hashlib.sha256()

    def entries() -> Iterator[Entry]:
        for row in _chosen(recipe, plan, files, thresholds):
            digest.update(repr(sorted(row.items())).encode())
            choice = recipe.sources[row.pop("choice")]
            plan.taken[choice.title, LABELS[row["label"]]] += 1
            reference = Reference(**row)
            yield Entry(f"{reference.source}/{reference.path}", str(root / choice.folder), reference)

    write_list(plan.file, entries())
    plan.digest = digest.hexdigest()


def _chosen(
    recipe: BuildRecipe, plan: Plan, files: list[Path], thresholds: dict[tuple[int, int], int]
) -> Iterator[dict[str, Any]]:
    """The references of the plan in order, each with the number of its source."""
    for i, (choice, file) in enumerate(zip(recipe.sources, files, strict=True)):
        variant = plan.found[choice.title].variant
        for batch in pq.ParquetFile(file).iter_batches(_BATCH):
            for row in batch.to_pylist():
                if row["variant"] == variant and row["draw"] <= thresholds.get((i, row["label"]), 2**64):
                    told = {name: row[name] for name in Reference._fields}
                    yield {"choice": i, **told, "source": row["source"] or choice.title}
