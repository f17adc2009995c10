"""Build one dataset from any mix of sources: `fakeface data build RECIPE.yaml --root ROOT --out DIR`.

    plan      which pictures, by their paths alone                 DIR/.work/plan.arrow
    units     read, decode, cut, equalise, in parallel             DIR/.work/units/unit-….parquet
    made      photographs passed through an autoencoder, if asked  DIR/.work/reconstructed/unit-….parquet
    shards    near duplicates, contradictions, splits              DIR/.work/whole/
    publish   move what is whole to its place, `build.json` last   DIR/data/, rejects.parquet, README.md, build.json

A build that is killed goes on with the units that are not there yet. The result depends on the recipe and the pictures
alone: neither on the number of workers nor on how often it was killed.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from ..long_runs import GOES_ON, out_of_room
from .build_recipe import BuildRecipe
from .build_record import RECORD, Job, read_record
from .plan import Plan, make_plan
from .shards import ContradictionError, Fate, Index, Names, decide, read_index, write_shards
from .unit import Settings, do_task, start_worker, unit_file

_SHOWN = 20  # contradictions that an error names


class BuildError(ValueError):
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
        PlanError, ContradictionError, BuildError: see there; all of them ValueErrors of a few plain lines.
        ReconstructionError: the recipe's autoencoder cannot be used.
    """
    with _clear_failures(out), _alone(out) as work:
        history, autoencoder = _history(recipe), _autoencoder(recipe)
        _fetch_hub_sources(recipe, root)
        job = Job(recipe, make_plan(recipe, root, work), history, autoencoder)
        if (record := read_record(out)) is not None:
            if record.get("digest") != job.digest():
                raise BuildError(f"{out}: holds another dataset, or its sources have changed; name another folder")
            shutil.rmtree(work)
            return Built(out, record, fresh=False)
        files = _do_units(job, root, work, workers or os.cpu_count() or 1, face_model, progress)
        record = _finish(job, files, work / "whole")
        _publish(work / "whole", out)
        shutil.rmtree(work)
        return Built(out, record, fresh=True)


def _history(recipe: BuildRecipe) -> Any:
    """The `History` of the recipe; None to keep files as they are."""
    if isinstance(recipe.history, str):  # "native", the only word it takes
        return None
    from .equalise import History

    settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in recipe.history.items()}  # YAML's
    try:
        return History(**settings)
    except (TypeError, ValueError) as error:
        raise BuildError(f"history in the recipe does not fit: {error}") from None


def _autoencoder(recipe: BuildRecipe) -> Any:
    """The `Autoencoder` of the recipe, if it names one; loaded before anything is decoded, since it may be missing."""
    if not recipe.reconstruct:
        return None
    from .reconstruct import Autoencoder

    return Autoencoder.from_pretrained(recipe.reconstruct)


def _fetch_hub_sources(recipe: BuildRecipe, root: Path) -> None:
    from .publish import fetch_dataset

    for choice in recipe.sources:
        if choice.source == "hub":
            fetch_dataset(choice.repo, choice.revision, root / choice.folder)


@contextmanager
def _alone(out: Path) -> Iterator[Path]:
    """The folder to work in, locked against a second build of the same folder."""
    work = out / ".work"
    if out.exists() and not work.exists() and not (out / RECORD).exists() and any(out.iterdir()):
        raise BuildError(f"{out}: is not empty, and no build of fakeface's; name a new folder")
    work.mkdir(parents=True, exist_ok=True)
    with open(work / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BuildError(f"{out}: another build is writing there; wait for it, or stop it") from None
        yield work


@contextmanager
def _clear_failures(out: Path) -> Iterator[None]:
    """Say in a line what the machine ran out of. What was written so far is kept, and another run goes on from it."""
    try:
        yield
    except BrokenProcessPool:
        raise BuildError(
            f"a worker was killed, most likely for want of memory; {GOES_ON} (try fewer --workers)"
        ) from None
    except OSError as error:
        raise BuildError(out_of_room(error, out)) from None


def _journal(folder: Path, digest: str) -> Path:
    """A folder of units; emptied if they are of another recipe or of other pictures."""
    mark = folder.with_suffix(".digest")
    if not mark.exists() or mark.read_text() != digest:
        if folder.exists() and any(folder.iterdir()):
            print("The recipe or the pictures have changed: starting over.", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        fresh = folder.with_suffix(".writing")
        fresh.write_text(digest)
        os.replace(fresh, mark)
    folder.mkdir(exist_ok=True)
    for leftover in folder.glob(".*.writing"):
        leftover.unlink()
    return folder


def _do_units(job: Job, root: Path, work: Path, workers: int, face_model: str | None, progress: bool) -> list[Path]:
    """Do what is not done yet. Returns the files of all units, and of all reconstructions behind them."""
    plan = job.plan
    units = _journal(work / "units", job.units_digest())
    roots = tuple(root / choice.folder for choice in job.recipe.sources)
    settings = Settings(plan.file, roots, units, job.recipe.seed, job.history, job.face_margin, face_model)
    _do_tasks(plan, settings, workers, progress)
    files = [unit_file(units, number) for number in range(len(plan.sizes))]
    if job.autoencoder is None:
        return files
    from .build_reconstruct import Reconstructor

    made = _journal(work / "reconstructed", job.reconstructions_digest())
    reconstructor = Reconstructor(plan, settings, job.autoencoder, job.recipe.reconstruct_share, made)
    return files + reconstructor.do_all(progress)


def _do_tasks(plan: Plan, settings: Settings, workers: int, progress: bool) -> None:
    """Do all units that are not there yet, in processes; only a few tasks are handed out at a time."""
    from tqdm import tqdm

    tasks = [task for task in plan.tasks if not all(unit_file(settings.units, unit).exists() for unit in task)]
    if not tasks:
        return
    pool = ProcessPoolExecutor(
        min(workers, len(tasks)), get_context("spawn"), initializer=start_worker, initargs=(settings,)
    )
    with pool, tqdm(total=plan.total, unit=" pictures", disable=not progress) as bar:
        done = plan.total - sum(plan.sizes[unit] for task in tasks for unit in task)
        bar.update(done)
        running: set[Future[int]] = set()
        try:
            for task in tasks:
                running.add(pool.submit(do_task, task))
                if len(running) >= 2 * workers:
                    running = _collect(running, bar)
            while running:
                running = _collect(running, bar)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _collect(running: set[Future[int]], bar: Any) -> set[Future[int]]:
    finished, rest = wait(running, return_when=FIRST_COMPLETED)
    for future in finished:
        bar.update(future.result())
    return rest


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
    names = Names(files)
    lines = []
    for row, witness in list(fate.contradicting.items())[:_SHOWN]:
        if index.labels[row] == 0:
            lines.append(f"{names[row]} is real, but {names[witness]} is the same picture and generated")
    total = len(fate.contradicting)
    cure = "leave one side out, name it in derived_from, or set `contradictions: set-aside`"
    return "\n".join([f"{total:,} pictures stand in the set under both labels; {cure}", *lines])


def _publish(whole: Path, out: Path) -> None:
    """Move the files to their place, the record last: with it the dataset is finished."""
    for name in ("data", "rejects.parquet", "README.md", RECORD):
        if (out / name).is_dir():
            shutil.rmtree(out / name)  # of a build that was killed just here
        os.replace(whole / name, out / name)
