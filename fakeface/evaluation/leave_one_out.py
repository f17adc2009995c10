"""Leave one out: what a recipe's model makes of a generator, a source of photographs or a family that it never saw.

For every generator, every real source and every family of several generators a model is trained without it, by
`train.py` in a process of its own, and measured on it. One more is trained on everything by the same recipe, so that
the drop can be seen. What is measured stays in the folder: a run that was stopped goes on, and trains nothing twice.
"""

import dataclasses
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from datasets import Dataset

from ..data.columns import FAMILY
from ..data.families import UNKNOWN, generators_by_family
from ..data.loading import DataError, fingerprint
from ..model_folder.checksums import sha256_of
from ..recipe import Recipe, named_pictures
from ..utils.errors import FakefaceError, OptionError
from ..utils.files import clear_write_errors, lock, replace_text
from ..utils.processes import GOES_ON
from .inputs import held_out
from .leave_one_out_report import EVERYTHING, Fold, as_csv, assemble, markdown, measure

RECORD = "entry.json"
REPORT = "leave-one-out.json"
PACKAGE = Path(__file__).resolve().parents[1]
# In a wheel `train.py` has a folder to itself: a script's folder comes first where Python looks for modules.
SCRIPTS = (PACKAGE / "scripts" / "train.py", PACKAGE.parent / "train.py")  # installed; in a source checkout
# Of a recipe, what changes nothing in the model that comes out.
RUNNING = ("output", "resume", "workers", "checkpoint_steps", "keep_checkpoints", "measure")


class FoldError(FakefaceError):
    """A training failed, or the folder holds what belongs to another run; the message names it and the cure."""


def leave_one_out(
    recipe: Recipe,
    script: Path,
    out: Path,
    command: str,
    *,
    limit: int = 0,
    device: str | None = None,
    batch_size: int = 32,
    workers: int = 2,
    tell: Callable[[str], None] = print,
) -> tuple[dict[str, Any], Path]:
    """Train and measure every fold that is not measured yet, and write the report.

    Args:
        recipe: of the models; names the data. Its own `hold_out` is left out of all of them.
        script: `train.py`.
        out: folder of the runs and the report.
        command: for the report.
        limit: measure at most this many pictures of a split, spread over it; 0 for all.
        device, batch_size, workers: of the measuring.
        tell: is told, a line each, how far the run is, of refused pictures and of failed trainings.

    Returns:
        The report and the path of its Markdown.

    Raises:
        FakefaceError: the data have nothing to leave out, the folder holds a run of another recipe or of other data or
            is in use, or a training failed; the rest is measured first and the report holds what there is.
    """
    if recipe.start_from:
        raise OptionError(
            f"start_from is {recipe.start_from}: that model may have seen what is left out; leave start_from out"
        )
    options: dict[str, Any] = {"limit": limit, "device": device, "batch_size": batch_size, "workers": workers}
    with _alone_in(out) as held:
        trunk = _sha256(Path(recipe.trunk_weights)) if recipe.trunk_weights not in ("hub", "none") else ""
        folds = plan(recipe, out, tell)
        records, failed = [], []
        for number, fold in enumerate(folds, 1):
            record = begin(fold.folder / RECORD, _made_of(recipe, fold, trunk, limit))
            measured = "weights_sha256" in record
            tell(f"{number} of {len(folds)}: {fold.title}" + (" (measured before)" if measured else ""))
            if not measured:
                began = time.monotonic()
                if reason := train(recipe, fold, script, held):
                    if not fold.kind:
                        raise FoldError(reason)  # so would the others
                    failed.append(reason)
                    tell(reason)
                    continue
                record = {**record, **measure(recipe, fold, **options), "seconds": round(time.monotonic() - began)}
                text = json.dumps(record, indent=2) + "\n"
                _write(fold.folder / RECORD, text)
                record = json.loads(text)  # as the next run finds it
            records.append(record)
            report = assemble(records, recipe, command)
            _write(out / REPORT, json.dumps(report, indent=2) + "\n")
            _write(out / "leave-one-out.csv", as_csv(report))
            _write(out / "leave-one-out.md", markdown(report))
    if failed:
        raise FoldError(f"{out}: {len(failed)} of {len(folds)} trainings failed, the first: {failed[0]}; {GOES_ON}")
    return report, out / "leave-one-out.md"


def plan(recipe: Recipe, out: Path, tell: Callable[[str], None] = print) -> list[Fold]:
    """What is to be trained: all folds with their splits. Raises DataError where there is nothing to leave out."""
    whole, refused = held_out(recipe)
    for message in refused:
        tell(message)
    if "train" not in whole or "test" not in whole:
        raise DataError("leaving one out takes pictures for training and for test; raise split_fractions")
    training = whole["train"]
    found = [Fold("", EVERYTHING, whole, out / f"00-{EVERYTHING}")]
    for kind, label in (("generator", 1), ("source", 0)):
        labels = np.asarray(training["label"])
        names = sorted(set(np.asarray(training[kind])[labels == label].tolist()))
        if len(names) < 2:
            tell(f"the training pictures have no second {'generator' if label else 'real source'}: none is left out")
            continue
        for name in names:
            found.append(_fold(recipe, kind, name, (name,), out, len(found)))
    if len(found) == 1:
        raise DataError("there is nothing to leave out: it takes two generators or two real sources to train on")
    families = _families(training)
    for family, names in sorted(families.items()) if len(families) > 1 else []:
        # One generator alone is left out already, and what is unknown shares nothing.
        if family != UNKNOWN and len(names) > 1:
            found.append(_fold(recipe, "family", family, tuple(names), out, len(found)))
    return found


def _fold(recipe: Recipe, kind: str, name: str, left_out: tuple[str, ...], out: Path, number: int) -> Fold:
    splits, _ = held_out(dataclasses.replace(recipe, hold_out=[*recipe.hold_out, *left_out]))
    safe = re.sub(r"[^A-Za-z0-9-]+", "_", name)[:60]  # an untrusted name must not lead out of the folder
    return Fold(kind, name, splits, out / f"{number:02}-{kind}-{safe}", left_out)


def _families(training: Dataset) -> dict[str, list[str]]:
    """The generators that training sees, by family."""
    made = training.select(np.flatnonzero(np.asarray(training["label"]) == 1))
    return generators_by_family(made["generator"][:], made[FAMILY][:] if FAMILY in made.column_names else None)


def _made_of(recipe: Recipe, fold: Fold, trunk: str, limit: int) -> dict[str, Any]:
    """What a fold's figures depend on."""
    settings = {key: value for key, value in dataclasses.asdict(recipe).items() if key not in RUNNING}
    data = {
        name: {"pictures": len(part), "fingerprint": fingerprint(part)} for name, part in sorted(fold.splits.items())
    }
    # A trunk is what is in its file, and a list what it names, wherever that is.
    settings["trunk_weights"] = trunk or recipe.trunk_weights
    if recipe.leave_out:
        names = "\n".join(sorted(named_pictures(recipe.leave_out)))
        settings["leave_out"] = hashlib.sha256(names.encode()).hexdigest()
    settings.pop("data")
    return {"kind": fold.kind, "name": fold.name, "recipe": settings, "data": data, "limit": limit}


def begin(file: Path, made_of: dict[str, Any]) -> dict[str, Any]:
    """The record of a fold: the one in its folder, with figures if it is measured already, or a fresh one.

    Raises:
        FoldError: the one in its folder was made of something else.
    """
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        was = {key: record[key] for key in made_of}
    except FileNotFoundError:
        _write(file, json.dumps(made_of, indent=2) + "\n")
        return made_of
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FoldError(f"{file}: not a record of this version ({error!r}); remove it to measure it anew") from error
    wanted = json.loads(json.dumps(made_of))
    if changed := [key for key in wanted if was[key] != wanted[key]]:
        if "recipe" in changed:
            keys = [key for key, value in wanted["recipe"].items() if was["recipe"].get(key) != value]
            changed = [*keys, *(key for key in changed if key != "recipe")]
        raise FoldError(
            f"{file.parent.parent}: was begun with another {' and '.join(changed)}; name another folder with --out"
        )
    return record


def train(recipe: Recipe, fold: Fold, script: Path, held: list[int]) -> str:
    """Train a fold's model in a process of its own, from its newest checkpoint if it has one.

    Args:
        held: the open lock of the folder, which the process keeps closed to others as long as it lives.

    Returns:
        Why it failed; empty where it did not.
    """
    run, log = fold.folder / "run", fold.folder / "train.log"
    if (run / "model" / "training.json").is_file():  # written when the model is whole
        return ""
    hold_out = [*recipe.hold_out, *fold.left_out]
    own = dataclasses.replace(recipe, hold_out=hold_out, output=str(run), resume=True, measure=False)
    # As a file, so that no name in the data can pass for an option.
    _write(fold.folder / "recipe.yaml", yaml.safe_dump(dataclasses.asdict(own), sort_keys=False))
    with log.open("ab") as file:
        done = subprocess.run(
            [sys.executable, str(script), str(fold.folder / "recipe.yaml")],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            pass_fds=held,
        )
    if not done.returncode:
        return ""
    lines = log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
    return f"{log}: training {fold.title} ended with code {done.returncode} ({last})"


def find_script(named: Path | None = None) -> Path:
    """`train.py`: the one named, else the one that came with this package. Raises OptionError."""
    for place in (named,) if named else SCRIPTS:
        if place.is_file():
            return place
    raise OptionError(f"{named or 'train.py'}: not found; name it with --train-script")


@contextmanager
def _alone_in(folder: Path) -> Iterator[list[int]]:
    """Keep two runs out of one folder; also from a training that goes on after its run was killed."""
    in_use = OptionError(f"{folder}: another run is at work there; wait for its end, or name another")
    inherited: list[int] = []
    with ExitStack() as held:
        with clear_write_errors(folder, "name another folder with --out"):
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(lock(folder / ".lock", in_use, on_acquired=inherited.append))
        yield inherited if os.name == "posix" else []  # others hand no open files on


def _sha256(file: Path) -> str:
    try:
        return sha256_of(file)
    except OSError as error:
        raise OptionError(f"{file}: cannot be read ({error.strerror}); name a file with --trunk-weights") from None


def _write(file: Path, text: str) -> None:
    with clear_write_errors(file, GOES_ON):
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_text(file, text)
