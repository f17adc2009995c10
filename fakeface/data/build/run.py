"""Build one dataset from any mix of sources: `fakeface data build RECIPE.yaml --root ROOT --out DIR`.

    plan      which pictures, by their paths alone                 DIR/.work/plan.parquet
    units     read, decode, cut, equalise, in parallel             DIR/.work/units/unit-….parquet
    made      photographs passed through an autoencoder, if asked  DIR/.work/reconstructed/unit-….parquet
    shards    near duplicates, contradictions, splits              DIR/.work/whole/
    publish   move what is whole to its place, `build.json` last   DIR/data/, rejects.parquet, README.md, build.json

A build that is killed goes on with the units that are not there yet. The result depends on the recipe and the pictures
alone: neither on the number of workers nor on how often it was killed. A picture that kills the process that decodes
it is rejected as `crashed`.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...utils.errors import FakefaceError
from ...utils.files import lock, replace_text
from ..engine.units import PictureList, clear_failures, do_units, remove_leftovers, unit_file
from .plan import make_plan
from .recipe import BuildRecipe
from .record import RECORD, Job, read_record
from .row import SCHEMA, RowMaker
from .shards import ContradictionError, Fate, Index, decide, picture_names, read_index, write_shards

_SHOWN = 20  # contradictions that an error names


class BuildError(FakefaceError):
    """The dataset cannot be built; the message says why, and the cure."""


@dataclass(frozen=True)
class Built:
    """A finished dataset.

    Attributes:
        folder: where it is.
        record: what `build.json` holds.
        fresh: False if it was there already, built by the same recipe from the same pictures.
    """

    folder: Path
    record: dict[str, Any]
    fresh: bool

    def summary(self) -> str:
        """A few lines for the terminal."""
        counts = self.record["counts"]
        splits = Counter()
        for row in counts["pictures"]:
            splits[row["split"]] += row["n"]
        lines = [f"{sum(splits.values()):,} pictures: " + ", ".join(f"{n:,} {split}" for split, n in splits.items())]
        lines.append(f"{counts['groups']:,} groups of near duplicates")
        if rejected := counts["rejected"]:
            reasons = ", ".join(f"{n:,} {reason}" for reason, n in rejected.items())
            lines.append(f"{sum(rejected.values()):,} rejected, see rejects.parquet: {reasons}")
        return "\n".join(lines)


def build(
    recipe: BuildRecipe,
    root: Path,
    out: Path,
    *,
    workers: int = 0,
    face_model: str | None = None,
    progress: bool = False,
) -> Built:
    """Build a dataset, or go on with one that was interrupted.

    Args:
        recipe: what to build.
        root: folder of the sources' folders.
        out: folder of the dataset; new, empty, or that of the same build.
        workers: processes; 0 for one per processor. The result is the same for any number.
        face_model: file of the face detector, if the recipe asks for faces.
        progress: show a bar on stderr.

    Raises:
        PlanError, ContradictionError, BuildError: see there; all of them of a few plain lines.
        ReconstructionError: the recipe's autoencoder cannot be used.
    """
    with clear_failures(out, BuildError), _alone(out) as work:
        history, autoencoder = _history(recipe), _autoencoder(recipe)
        _fetch_hub_sources(recipe, root)
        job = Job(recipe, make_plan(recipe, root, work), history, autoencoder)
        if (record := read_record(out)) is not None:
            if record.get("digest") != job.digest():
                raise BuildError(f"{out}: holds another dataset, or its sources have changed; name another folder")
            shutil.rmtree(work)
            return Built(out, record, fresh=False)
        files = _do_units(job, work, workers or os.cpu_count() or 1, face_model, progress)
        record = _finish(job, files, work / "whole")
        _publish(work / "whole", out)
        shutil.rmtree(work)
        return Built(out, record, fresh=True)


def _history(recipe: BuildRecipe) -> Any:
    """The `History` of the recipe; None to keep files as they are."""
    if isinstance(recipe.history, str):  # "native", the only word it takes
        return None
    from ..equalise import History

    settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in recipe.history.items()}  # YAML's
    try:
        return History(**settings)
    except (TypeError, ValueError) as error:
        raise BuildError(f"history in the recipe does not fit: {error}") from None


def _autoencoder(recipe: BuildRecipe) -> Any:
    """The `Autoencoder` of the recipe, if it names one; loaded before anything is decoded, since it may be missing."""
    if not recipe.reconstruct:
        return None
    from ..reconstruct import Autoencoder

    return Autoencoder.from_pretrained(recipe.reconstruct)


def _fetch_hub_sources(recipe: BuildRecipe, root: Path) -> None:
    from ...hub.dataset_repo import fetch_dataset

    for choice in recipe.sources:
        if choice.is_fetched:
            fetch_dataset(choice.hub_repo, choice.revision, root / choice.folder, choice.files)


@contextmanager
def _alone(out: Path) -> Iterator[Path]:
    """The folder to work in, locked against a second build of the same folder."""
    work = out / ".work"
    if out.exists() and not work.exists() and not (out / RECORD).exists() and any(out.iterdir()):
        raise BuildError(f"{out}: is not empty, and no build of fakeface's; name a new folder")
    work.mkdir(parents=True, exist_ok=True)
    with lock(work / "lock", BuildError(f"{out}: another build is writing there; wait for it, or stop it")):
        yield work


def _journal(folder: Path, digest: str) -> Path:
    """A folder of units; emptied if they are of another recipe or of other pictures."""
    mark = folder.with_suffix(".digest")
    if not mark.exists() or mark.read_text() != digest:
        if folder.exists() and any(folder.iterdir()):
            print("The recipe or the pictures have changed: starting over.", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        replace_text(mark, digest)
    folder.mkdir(exist_ok=True)
    remove_leftovers(folder)
    return folder


def _do_units(job: Job, work: Path, workers: int, face_model: str | None, progress: bool) -> list[Path]:
    """Do what is not done yet. Returns the files of all units, and of all reconstructions behind them."""
    recipe = job.recipe
    units = _journal(work / "units", job.units_digest())
    finder = None
    if recipe.faces:
        from ...faces import FaceFinder

        finder = FaceFinder.from_pretrained(face_model)
    maker = RowMaker(recipe.seed, job.history, recipe.face_margin, finder)
    pictures = PictureList(job.plan.file)
    try:
        do_units(pictures, units, SCHEMA, maker, workers=workers, progress=progress)
        files = [unit_file(units, number) for number in range(pictures.units)]
        if job.autoencoder is None:
            return files
        from .reconstructions import Reconstructor

        reconstructor = Reconstructor(pictures, units, maker, job.autoencoder, recipe.reconstruct_share)
        return files + reconstructor.do_all(_journal(work / "reconstructed", job.reconstructions_digest()), progress)
    finally:
        pictures.close()


def _finish(job: Job, files: list[Path], whole: Path) -> dict[str, Any]:
    """Write everything that the dataset's folder holds into `whole`; returns the record."""
    from .dataset_card import dataset_card

    recipe = job.recipe
    shutil.rmtree(whole, ignore_errors=True)
    whole.mkdir()
    index = read_index(files)
    derived = {choice.title: choice.resolve().derived_from for choice in recipe.sources}
    fate = decide(index, recipe, derived)
    if recipe.contradictions == "refuse" and fate.contradicting:
        raise ContradictionError(_contradictions(files, index, fate))
    counts = write_shards(files, index, fate, recipe.rows_per_shard, whole)
    if not (fate.splits >= 0).any():
        reasons = ", ".join(f"{n:,} {key[1]}" for key, n in counts.items())
        raise BuildError(f"every picture was rejected: {reasons}")
    record = job.record(counts, fate, whole)
    (whole / "README.md").write_text(dataset_card(record), encoding="utf-8")
    (whole / RECORD).write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return record


def _contradictions(files: list[Path], index: Index, fate: Fate) -> str:
    shown = dict(list(fate.contradicting.items())[:_SHOWN])
    names = picture_names(files, {*shown, *shown.values()})
    lines = [
        f"{names[row]} is real, but {names[witness]} is the same picture and generated"
        for row, witness in shown.items()
        if index.labels[row] == 0
    ]
    total = len(fate.contradicting)
    cure = "leave one side out, name it in derived_from, or set `contradictions: set-aside`"
    return "\n".join([f"{total:,} pictures stand in the set under both labels; {cure}", *lines])


def _publish(whole: Path, out: Path) -> None:
    """Move the files to their place, the record last: with it the dataset is finished."""
    for name in ("data", "rejects.parquet", "README.md", RECORD):
        if (out / name).is_dir():
            shutil.rmtree(out / name)  # of a build that was killed just here
        os.replace(whole / name, out / name)
