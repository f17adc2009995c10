"""The command `fakeface score`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..detector.points import DEFAULT
from .options import (
    BatchSize,
    Cascade,
    Consistency,
    Crops,
    Device,
    Faces,
    Fast,
    Model,
    Point,
    open_detector,
    refuse_unclear,
)
from .terminal import clear_refusals

CASCADES = False  # whether the cascade is taken where nothing says which model to take


def score(
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="Pictures, folders, globs, zip and tar archives, parquet files with a column image, https addresses, "
            "hf://datasets/OWNER/NAME; - reads a list, one path or address a line."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Where to write the results: .parquet, .csv or .jsonl.")],
    model: Model = None,
    fast: Fast = False,
    device: Device = None,
    dtype: Annotated[
        str, typer.Option(help="auto, the quickest for the device; or float32, for the very scores of predict.")
    ] = "auto",
    faces: Faces = True,
    batch_size: BatchSize = 16,
    crops: Crops = 1,
    consistency: Consistency = 0,
    operating_point: Point = DEFAULT,
    cascade: Cascade = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that open pictures; 0 for one per processor.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an output that is there.")] = False,
) -> None:
    """Score any number of pictures into a table, a row each.

    Their order is always the same. A run that was stopped goes on with the same command, and gives the same bytes.
    What cannot be read is a row with a reason code, and stands in a table of rejects beside the output. Exit code
    0, or 1 if nothing could be read, 2 if the model or an option is wrong. Several processes share the work:
    accelerate launch -m fakeface.score …
    """
    with clear_refusals():
        from ..score.work import WorkFolder

        refuse_unclear(model, fast, bool(cascade))
        WorkFolder(out).refuse_taken(overwrite)
        from ..score.run import score as score_all

        if cascade is None:
            cascade = CASCADES and not (fast or model or os.environ.get("FAKEFACE_MODEL"))
        views = {"crops": crops, "consistency": consistency, "cascade": cascade}
        detector = open_detector(model, fast, device, faces, dtype=dtype, operating_point=operating_point, **views)
        options = {"batch_size": batch_size, "workers": workers, "overwrite": overwrite}
        stdin = sys.stdin.buffer if "-" in inputs else None
        scored = score_all(inputs, out, detector, stdin=stdin, progress=sys.stderr.isatty(), **options)
    if os.environ.get("RANK", "0") == "0":
        print(f"{out}: {scored.summary()}")
    raise typer.Exit(0 if scored.read else 1)
