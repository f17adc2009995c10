"""Leave one out: what a recipe's model makes of a generator, or a source of photographs, that its training never saw.

For every generator and every real source of the data a model is trained without it, by `train.py` in a process of its
own, and measured on it. One more is trained on everything by the same recipe, so that the drop can be seen. What is
measured stays in the folder: a run that was stopped goes on, and trains nothing twice.
"""

import dataclasses
import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from .checksums import sha256_of
from .data.loading import DataError, fingerprint
from .leave_one_out_figures import EVERYTHING, Entry, assemble, measure
from .leave_one_out_text import as_csv, markdown
from .long_runs import GOES_ON
from .measured_data import held_out
from .recipe import Recipe, named_pictures

RECORD = "entry.json"
REPORT = "leave-one-out.json"
# Of a recipe, what changes nothing in the model that comes out.
RUNNING = ("output", "resume", "workers", "checkpoint_steps", "keep_checkpoints", "measure")


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
    """Train and measure every entry that is not measured yet, and write the report.

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
        ValueError: the data have nothing to leave out, the folder holds a run of another recipe or of other data or is
            in use, or a training failed; the rest is measured first and the report holds what there is.
    """
    if recipe.start_from:
        raise ValueError(f"start_from is {recipe.start_from}: that model may have seen what is left out; leave it away")
    options: dict[str, Any] = {"limit": limit, "device": device, "batch_size": batch_size, "workers": workers}
    with _alone_in(out) as lock:
        trunk = _sha256(Path(recipe.trunk_weights)) if recipe.trunk_weights not in ("hub", "none") else ""
        entries = plan(recipe, out, tell)
        records, failed = [], []
        for number, entry in enumerate(entries, 1):
            record = begin(entry.folder / RECORD, _made_of(recipe, entry, trunk, limit))
            measured = "weights_sha256" in record
            tell(f"{number} of {len(entries)}: {entry.title}" + (" (measured before)" if measured else ""))
            if not measured:
                began = time.monotonic()
                if reason := train(recipe, entry, script, lock):
                    if not entry.kind:
                        raise ValueError(reason)  # so would the others
                    failed.append(reason)
                    tell(reason)
                    continue
                record = {**record, **measure(recipe, entry, **options), "seconds": round(time.monotonic() - began)}
                text = json.dumps(record, indent=2) + "\n"
                _write(entry.folder / RECORD, text)
                record = json.loads(text)  # as the next run finds it
            records.append(record)
            report = assemble(records, recipe, command)
            _write(out / REPORT, json.dumps(report, indent=2) + "\n")
            _write(out / "leave-one-out.csv", as_csv(report))
            _write(out / "leave-one-out.md", markdown(report))
    if failed:
        raise ValueError(f"{out}: {len(failed)} of {len(entries)} trainings failed, the first: {failed[0]}; {GOES_ON}")
    return report, out / "leave-one-out.md"


def plan(recipe: Recipe, out: Path, tell: Callable[[str], None] = print) -> list[Entry]:
    """What is to be trained: all entries with their splits. Raises DataError where there is nothing to leave out."""
    whole, refused = held_out(recipe)
    for message in refused:
        tell(message)
    if "train" not in whole or "test" not in whole:
        raise DataError("leaving one out takes pictures for training and for test; raise split_fractions")
    training = whole["train"]
    found = [Entry("", EVERYTHING, whole, out / f"00-{EVERYTHING}")]
    for kind, label in (("generator", 1), ("source", 0)):
        labels = np.asarray(training["label"])
        names = sorted(set(np.asarray(training[kind])[labels == label].tolist()))
        if len(names) < 2:
            tell(f"the training pictures have no second {'generator' if label else 'real source'}: none is left out")
            continue
        for name in names:
            splits, _ = held_out(dataclasses.replace(recipe, hold_out=[*recipe.hold_out, name]))
            safe = re.sub(r"[^A-Za-z0-9-]+", "_", name)[:60]  # a stranger's name must not lead out of the folder
            found.append(Entry(kind, name, splits, out / f"{len(found):02}-{kind}-{safe}"))
    if len(found) == 1:
        raise DataError("there is nothing to leave out: it takes two generators or two real sources to train on")
    return found


def _made_of(recipe: Recipe, entry: Entry, trunk: str, limit: int) -> dict[str, Any]:
    """What an entry's figures depend on."""
    settings = {key: value for key, value in dataclasses.asdict(recipe).items() if key not in RUNNING}
    data = {
        name: {"pictures": len(part), "fingerprint": fingerprint(part)} for name, part in sorted(entry.splits.items())
    }
    # A trunk is what is in its file, and a list what it names, wherever that is.
    settings["trunk_weights"] = trunk or recipe.trunk_weights
    if recipe.leave_out:
        names = "\n".join(sorted(named_pictures(recipe.leave_out)))
        settings["leave_out"] = hashlib.sha256(names.encode()).hexdigest()
    settings.pop("data")
    return {"kind": entry.kind, "name": entry.name, "recipe": settings, "data": data, "limit": limit}


def begin(file: Path, made_of: dict[str, Any]) -> dict[str, Any]:
    """The record of an entry: the one in its folder, with figures if it is measured already, or a fresh one.

    Raises:
        ValueError: the one in its folder was made of something else.
    """
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        was = {key: record[key] for key in made_of}
    except FileNotFoundError:
        _write(file, json.dumps(made_of, indent=2) + "\n")
        return made_of
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file}: not a record of this version ({error!r}); remove it to measure it anew") from error
    wanted = json.loads(json.dumps(made_of))
    if changed := [key for key in wanted if was[key] != wanted[key]]:
        if "recipe" in changed:
            keys = [key for key, value in wanted["recipe"].items() if was["recipe"].get(key) != value]
            changed = [*keys, *(key for key in changed if key != "recipe")]
        raise ValueError(
            f"{file.parent.parent}: was begun with another {' and '.join(changed)}; name another folder with --out"
        )
    return record


def train(recipe: Recipe, entry: Entry, script: Path, lock: int) -> str:
    """Train an entry's model in a process of its own, from its newest checkpoint if it has one.

    Args:
        lock: of the folder, which the process keeps closed to others as long as it lives.

    Returns:
        Why it failed; empty where it did not.
    """
    run, log = entry.folder / "run", entry.folder / "train.log"
    if (run / "model" / "training.json").is_file():  # written when the model is whole
        return ""
    hold_out = [*recipe.hold_out, *([entry.name] if entry.kind else [])]
    own = dataclasses.replace(recipe, hold_out=hold_out, output=str(run), resume=True, measure=False)
    # As a file, so that no name in the data can pass for an option.
    _write(entry.folder / "recipe.yaml", yaml.safe_dump(dataclasses.asdict(own), sort_keys=False))
    with log.open("ab") as file:
        done = subprocess.run(
            [sys.executable, str(script), str(entry.folder / "recipe.yaml")],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            pass_fds=[lock],
        )
    if not done.returncode:
        return ""
    lines = log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
    return f"{log}: training {entry.title} ended with code {done.returncode} ({last})"


def find_script(recipe: Path, named: Path | None = None) -> Path:
    """`train.py`: the one named, or the one in a folder above the recipe, or here. Raises ValueError."""
    places = [named] if named else [folder / "train.py" for folder in (*recipe.resolve().parents, Path.cwd())]
    for place in places:
        if place.is_file():
            return place
    raise ValueError(f"{named or 'train.py'}: not found; it is in the repository, and --train-script names it")


@contextmanager
def _alone_in(folder: Path) -> Iterator[int]:
    """Keep two runs out of one folder; also from a training that goes on after its run was killed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise ValueError(f"{folder}: cannot be written ({error.strerror}); name another folder with --out") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ValueError(f"{folder}: another run is at work there; wait for its end, or name another") from None
        yield lock.fileno()


def _sha256(file: Path) -> str:
    try:
        return sha256_of(file)
    except OSError as error:
        raise ValueError(f"{file}: cannot be read ({error.strerror}); name a file with --trunk-weights") from None


def _write(file: Path, text: str) -> None:
    """A reader, or a run after a kill, sees the old file or the new one, whole."""
    fresh = file.with_name(f".{file.name}.writing")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(text, encoding="utf-8")
        os.replace(fresh, file)
    except OSError as error:
        raise ValueError(f"{file}: cannot be written ({error.strerror}); {GOES_ON}") from None
