"""Score any number of pictures: `fakeface score INPUT… --out results.parquet`.

    list      every picture of every input, once           OUT.parts/plan.parquet
    units     decode and find faces in workers, judge      OUT.parts/unit-….parquet
    merge     one table of results, one of rejects         OUT.parts/whole/
    publish   move them to their places                    OUT, and beside it the rejects

A run that is killed goes on with the units that are not there yet, from the list as it was made. A unit's results
depend on its pictures and the model alone: not on the number of workers, nor on how often the run was killed.
Memory holds a few chunks of pictures, however many there are. Several processes share the units:

    accelerate launch --num_processes 4 -m fakeface.score INPUT… --out results.parquet
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:  # worker processes import this module where it is what was launched, and need no torch
    from .detector import Detector
    from .scoring.plan import Plan
    from .scoring.ranks import Ranks
    from .scoring.work import WorkFolder


@dataclass(frozen=True)
class Scored:
    """A finished run.

    Attributes:
        out: the table of results, a row for each picture.
        rejects: the table of the refused ones.
        counts: pictures by verdict, and by `rejected: ` with the reason code.
    """

    out: Path
    rejects: Path
    counts: Counter[str]

    @property
    def read(self) -> int:
        """How many pictures could be read."""
        return sum(n for what, n in self.counts.items() if not what.startswith("rejected"))

    def summary(self) -> str:
        """One or two lines for the terminal."""
        verdicts = sorted(what for what in self.counts if not what.startswith("rejected"))
        told = ", ".join(f"{self.counts[what]:,} {what}" for what in verdicts)
        lines = [f"{self.read:,} pictures: {told}" if self.read else "no picture could be read"]
        if rejected := self.counts.total() - self.read:
            reasons = sorted(self.counts.keys() - verdicts)
            told = ", ".join(f"{self.counts[what]:,} {what.removeprefix('rejected: ')}" for what in reasons)
            lines.append(f"{rejected:,} rejected, see {self.rejects.name}: {told}")
        return "\n".join(lines)


def score(
    inputs: Sequence[str],
    out: Path,
    detector: Detector,
    *,
    batch_size: int = 16,
    workers: int = 0,
    overwrite: bool = False,
    stdin: IO[bytes] | None = None,
    progress: bool = False,
) -> Scored:
    """Score pictures, or go on with a run that was interrupted.

    Args:
        inputs: pictures, folders (searched to the bottom, archives and tables in them too), globs, zip and tar
            archives, parquet files with a column `image`, https addresses, `hf://datasets/OWNER/NAME`, or `-` for a
            list in `stdin`. What cannot be read becomes a row with a reason code: that of its `PictureError`, or
            `crashed` where the decoder took its process with it.
        out: the results: `.parquet`, `.csv` or `.jsonl`. The rejects go beside it.
        detector: what judges. It may be at any type and device, and have crops and consistency set.
        batch_size: how many faces go through the model at once.
        workers: processes that decode and find faces; 0 for one per processor.
        overwrite: replace an output that is there, and the parts of an unfinished run of another command.
        stdin: a path or an address a line.
        progress: show a bar with rate and time left on stderr.

    Raises:
        ScoreError: the output cannot be written, or is there already; the message has the cure.
        ModelFolderError: as in `Detector.stream`.
        HubError: a dataset of the Hub cannot be had.
    """
    from .scoring.plan import Plan
    from .scoring.ranks import Ranks
    from .scoring.work import WorkFolder, clear_failures

    ranks, work = Ranks(), WorkFolder(out)
    with clear_failures(out):
        try:
            if not ranks.first(lambda: _begin(work, inputs, detector, batch_size, overwrite, stdin)):
                plan = Plan(work.plan_file)
                _do_units(plan, work.folder, detector, ranks, batch_size, workers or ranks.cores, progress)
                ranks.wait()
                ranks.first(lambda: work.merge(plan))
                plan.close()
            return Scored(out, work.rejects, ranks.first(work.publish))
        finally:
            work.close()


def _begin(
    work: WorkFolder,
    inputs: Sequence[str],
    detector: Detector,
    batch_size: int,
    overwrite: bool,
    stdin: IO[bytes] | None,
) -> bool:
    """Claim the folder of the run, and list the pictures unless they are. Returns whether all is done but `publish`."""
    from .scoring.inputs import STDIN, Inputs
    from .scoring.plan import write_plan

    listed = work.open(stdin if STDIN in inputs else None)
    work.claim(_digest([*inputs, os.getcwd(), listed, batch_size], detector), overwrite)
    if not work.plan_file.exists():
        write_plan(Inputs(work.folder, work.list_file, work.own_paths).entries(inputs), work.plan_file)
    return work.merged()


def _do_units(
    plan: Plan, folder: Path, detector: Detector, ranks: Ranks, batch_size: int, workers: int, progress: bool
) -> None:
    """Do this rank's units that are not there yet."""
    import torch
    from tqdm import tqdm

    from .scoring.outputs import part_file, result_row, write_part
    from .scoring.workers import Workers, chunks

    mine = range(ranks.rank, plan.units, ranks.size)
    missing = [unit for unit in mine if not part_file(folder, unit).exists()]
    if not missing:
        return
    if ranks.size > 1 and detector.model.device.type == "cpu":
        torch.set_num_threads(ranks.cores)  # `accelerate launch` leaves each rank one thread, whatever the machine has
    total, left = sum(map(plan.size, mine)), sum(map(plan.size, missing))
    shown = progress and ranks.rank == 0
    with (
        Workers(detector.preparer, workers) as crew,
        tqdm(total=total, initial=total - left, unit=" pictures", disable=not shown) as bar,
    ):
        prepared = crew.prepare(chunks(missing, plan.read))
        for unit, parts in groupby(prepared, key=lambda part: part[0]):
            cases: list[Any] = []
            opened = _remembered((pair for _, pairs in parts for pair in pairs), cases)
            rows = []
            # Batches end with their unit: what a picture is batched with can show in the last digits of its score.
            for result in detector.judge(opened, batch_size):
                rows.append(result_row(cases[len(rows)], result))
                bar.update()
            write_part(folder, unit, rows)


def _remembered(pairs: Iterable[Any], cases: list[Any]) -> Iterable[Any]:
    """Pass on what was prepared, and keep the cases without the inputs."""
    for case, inputs in pairs:
        cases.append(case)
        yield case, inputs


def _digest(command: list[Any], detector: Detector) -> str:
    """Of everything that the results depend on but the pictures: inputs, options, model and versions."""
    import torch

    names = ("fakeface", "torch", "numpy", "pillow", "opencv-python-headless")
    preparer = replace(detector.preparer, finder=None)
    facts = {
        "command": command,
        "versions": {name: importlib.metadata.version(name) for name in names},
        "preparer": [repr(preparer), detector.preparer.finder is not None],
        "config": detector.config.to_json_string(),
        "processor": detector.processor.to_json_string(),
        "device": detector.model.device.type,
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, tensor in detector.model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


__all__ = ["Scored", "score"]


if __name__ == "__main__":  # an entry like `fakeface/__main__.py`, for `accelerate launch -m fakeface.score`
    from fakeface.cli import main

    sys.argv.insert(1, "score")
    main()
