"""One run of `fakeface evaluate`: open the detector and the pictures, measure, and write the report."""

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..delivery.sweep import SWEEP
from ..detector.preparation import Preparer
from ..faces import SHA256 as FINDER
from ..utils.errors import OptionError
from ..utils.ranks import leave_at_exit
from .cache import ScoreCache
from .found_faces import cut_of, find_in_splits
from .inputs import held_out, read_scores, recipe_for, whole
from .page import write_page
from .report import evaluate, evaluate_scores, seen_generators, write_report
from .subjects import Subject, open_subject

if TYPE_CHECKING:
    from accelerate import Accelerator

OUT = Path("evaluation")  # where a report goes that has no model folder to go to
PAGE = "evaluation.html"
FACES = "faces.parquet"  # in the folder of scores
SCORED = "scored"  # in the report's folder: what a stopped run goes on from


def run_on_scores(
    file: Path, command: str, *, out: Path | None, slices: Sequence[str], labels: Sequence[str] = ()
) -> tuple[dict[str, Any], Path]:
    """Report of a CSV file of scores, written into a folder; returns it and the path of its page.

    Raises:
        FakefaceError: the file or a column of it cannot be used, or the folder not be written.
    """
    scores, sha256 = read_scores(file, labels)
    report = evaluate_scores(scores, str(file), sha256, command, slices=slices)
    folder = out or OUT
    write_report(folder, scores, report)
    write_page(folder / PAGE, scores, report)
    return report, folder / PAGE


def run_on_pictures(
    model: str,
    command: str,
    *,
    dataset: Sequence[str],
    data: Sequence[str],
    out: Path | None,
    recipe: Path | None,
    slices: Sequence[str],
    generated: Sequence[str],
    seen: Sequence[str],
    limit: int,
    device: str | None,
    dtype: str,
    batch_size: int,
    workers: int,
    sweep: bool,
    steps: Sequence[str],
    faces: bool | None = None,
    labels: Sequence[str] = (),
    complain: Callable[[list[str]], None],
) -> tuple[dict[str, Any], Path] | None:
    """Report of a model on pictures, written into a folder.

    Args:
        model: a folder or Hub id.
        command: for the report.
        dataset: what to take all pictures of; empty where `data` names what to take held-out pictures of.
        out: folder of the report. Without it figures on `data` go into a model folder, without page and pictures,
            since a model folder goes to others.
        recipe, limit: as for `fakeface.evaluation.inputs`.
        generated, device, dtype: as for `open_subject`.
        seen: generators that training saw; by default, of a whole dataset, what the model's own report says.
        slices, batch_size, workers, sweep, steps: as for `evaluate`.
        faces: measure on faces that are found, or on pictures as they are; by default as `cut_of` says.
        labels: what numbers without names mean, as for `fakeface.data.loading.open_dataset`.
        complain: is told of pictures that are refused.

    Returns:
        The report and the path of its page, or of its JSON where it has none. `None` on all ranks but the first, which
        tells for all.

    Raises:
        FakefaceError: model, data, options or folder cannot be used; the message has the cure.
    """
    if unknown := [name for name in steps if name not in SWEEP]:
        raise OptionError(f"no step {unknown[0]!r} in the sweep: choose of {', '.join(SWEEP)}")
    accelerator = _ranks()
    rank = accelerator.process_index if accelerator else 0
    where = accelerator.device if accelerator else device
    subject = open_subject(model, device=where, generated=generated, dtype=dtype)
    cut = cut_of(subject, faces)
    own = out is None and bool(data) and os.path.isdir(model)
    if accelerator and own:
        raise OptionError("several ranks share their scores in a folder: name one with --out")
    folder = Path(model) if own else out or OUT
    settings = recipe_for(subject.folder, recipe, data, labels)
    with accelerator.main_process_first() if accelerator else nullcontext():  # the others find its cache
        if data:
            splits, refused = held_out(settings, subject.folder, columns=slices, limit=limit)
        else:
            splits, refused = whole(dataset, columns=slices, limit=limit, workers=workers, labels=labels)
        if cut:
            splits = find_in_splits(splits, cut, workers, None if own else folder / SCORED / FACES)
    complain(refused if not rank else [])
    scores, report = evaluate(
        subject,
        splits,
        command,
        slices=slices,
        seen=seen or (None if data else seen_generators(subject.folder)),
        how=settings.augmentation_settings(),
        seed=settings.seed,
        batch_size=batch_size,
        workers=workers,
        sweep=sweep,
        steps=tuple(dict.fromkeys(steps)),
        cut=cut,
        cache=ScoreCache(None if own else folder / SCORED, _digest(subject, cut), rank),
        accelerator=accelerator,
    )
    if rank:
        return None
    write_report(folder, scores, report)
    if own:
        return report, folder / "evaluation.json"
    write_page(folder / PAGE, scores, report, splits)
    return report, folder / PAGE


def _digest(subject: Subject, cut: Preparer | None) -> str:
    """Of all that a score depends on beside the picture and its view."""
    return hashlib.sha256(f"{subject.digest} {FINDER}".encode()).hexdigest() if cut else subject.digest


def _ranks() -> "Accelerator | None":
    """The accelerator of a run of several ranks; `None` for one alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return None
    from accelerate import Accelerator

    accelerator = Accelerator()
    leave_at_exit()
    return accelerator
