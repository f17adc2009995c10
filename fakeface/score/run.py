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
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ..data.engine.units import PictureList, clear_failures, do_units, write_list
from ..detector.preparation import Case
from ..images.load import OtherFiles
from ..utils.ranks import Ranks
from .inputs import STDIN, Inputs
from .opener import Opener, Prepared
from .outputs import RESULTS, result_row
from .work import ScoreError, WorkFolder

if TYPE_CHECKING:
    from ..detector.detector import Detector

_NICENESS = 10  # workers use what the model leaves over; where they run short, the model waits and they get it all


@dataclass(frozen=True)
class Scored:
    """A finished run.

    Attributes:
        out: the table of results, a row for each picture.
        rejects: the table of the refused ones.
        counts: pictures by verdict, and by `rejected: ` with the reason code.
        others: what the folders held beside files that are named like pictures.
    """

    out: Path
    rejects: Path
    counts: Counter[str]
    others: OtherFiles = field(default_factory=OtherFiles)

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
        if told := str(self.others):
            lines.append(told)
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
    ranks, work = Ranks(), WorkFolder(out)
    with clear_failures(out, ScoreError):
        try:
            if not ranks.first(lambda: _begin(work, inputs, detector, batch_size, overwrite, stdin)):
                units = _do_units(work, detector, ranks, batch_size, workers, progress)
                ranks.wait()
                ranks.first(lambda: work.merge(units))
            others = ranks.first(work.others)
            return Scored(out, work.rejects, ranks.first(work.publish), others)
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
    listed = work.open(stdin if STDIN in inputs else None)
    work.claim(_digest([*inputs, os.getcwd(), listed, batch_size], detector), overwrite)
    if not work.plan_file.exists():
        listing = Inputs(work.folder, work.list_file, work.own_paths)
        write_list(work.plan_file, work.noting(listing.entries(inputs), listing.others))
    return work.merged()


def _do_units(work: WorkFolder, detector: Detector, ranks: Ranks, batch_size: int, workers: int, progress: bool) -> int:
    """Do this rank's units that are not there yet. Returns how many units there are for all ranks."""
    import torch

    def judged(opened: Iterator[Prepared]) -> Iterator[dict[str, Any]]:
        cases: deque[Case] = deque()

        def remembered() -> Iterator[Prepared]:
            for case, inputs in opened:
                cases.append(case)
                yield case, inputs

        # Batches end with their unit: what a picture is batched with can show in the last digits of its score.
        for result in detector.judge(remembered(), batch_size):
            yield result_row(cases.popleft(), result)

    if ranks.size > 1 and detector.model.device.type == "cpu":
        torch.set_num_threads(ranks.cores)  # `accelerate launch` leaves each rank one thread, whatever the machine has
    pictures = PictureList(work.plan_file)
    do_units(
        pictures,
        work.folder,
        RESULTS,
        Opener(detector.preparer),
        workers=workers or ranks.cores,
        niceness=_NICENESS,
        rows=judged,
        share=slice(ranks.rank, None, ranks.size),
        progress=progress and ranks.rank == 0,
    )
    pictures.close()
    return pictures.units


def _digest(command: list[Any], detector: Detector) -> str:
    """Of everything that the results depend on but the pictures: inputs, options, model and versions."""
    import torch

    names = ("fakeface", "torch", "numpy", "pillow", "opencv-python-headless")
    models = [detector, *([detector.first] if detector.first else [])]
    facts = {
        "command": command,
        "versions": {name: importlib.metadata.version(name) for name in names},
        "preparers": [repr(replace(one.preparer, finder=None)) for one in models[::-1]],
        "faces": detector.preparer.finder is not None,
        "bounds": repr(detector.bounds),
        "configs": [one.config.to_json_string() for one in models],
        "processors": [one.processor.to_json_string() for one in models],
        "device": detector.model.device.type,
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, tensor in (pair for one in models for pair in one.model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


__all__ = ["Scored", "score"]
