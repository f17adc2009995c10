"""Runs of `fakeface.score` in processes of their own, with small units; what is slow to import is here already."""

import resource
from multiprocessing.connection import Connection
from pathlib import Path

import torch  # noqa: F401 (the process that others are forked off imports it once)

from fakeface.data.engine import units, workers
from fakeface.detector.detector import Detector
from fakeface.score.run import score

UNIT = 8


def small_units() -> None:
    units.UNIT_ROWS, workers.CHUNK = UNIT, 4


def run(
    inputs: list[str], out: Path, model: Path, told: Connection, largest_file: int = resource.RLIM_INFINITY
) -> None:
    """Score with one worker; sends the summary or the error. `largest_file` fails writes as a full disk does."""
    small_units()
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY))
    detector = Detector.from_pretrained(model, device="cpu", faces=False)
    try:
        told.send(score(inputs, out, detector, batch_size=4, workers=1).summary())
    except ValueError as error:
        told.send(str(error))
