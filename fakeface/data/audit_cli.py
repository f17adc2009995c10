"""The commands `fakeface data audit` and `fakeface data equalise`, for `fakeface.data.cli` to mount."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..terminal import clear_refusals, complain

Data = Annotated[list[str], typer.Argument(help="Parquet files, an image folder or a Hub dataset.")]
Seed = Annotated[int, typer.Option(help="Of all that is random.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes; their number changes nothing in the result.")]
Crop = Annotated[float, typer.Option(help="Share of the shorter side that a classifier is fed, in (0, 1].")]


def audit(
    dataset: Data,
    out: Annotated[Path, typer.Option(help="The report to write; its JSON goes beside it.")] = Path("audit.html"),
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="A model folder or Hub id to test as well.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Audit this many pictures, spread over the data; 0 for all.")] = 0,
    faces: Annotated[bool, typer.Option(help="Find faces, to probe their position: takes most of the time.")] = True,
    side: Annotated[int, typer.Option(min=16, help="Side in pixels of what a classifier is fed.")] = 160,
    crop_fraction: Crop = 0.875,
    seed: Seed = 0,
    workers: Workers = 1,
) -> None:
    """Find what tells the label of a dataset's pictures apart without looking at faces.

    Small classifiers see file format, size, JPEG tables, metadata, face position, sharpness, greyness, light, colour
    and the background's spectrum, one kind each. With --model, also what that model makes of changes to one label.
    """
    with clear_refusals():
        from .. import __version__
        from .audit import audit as run
        from .audit_report import write_audit
        from .features import Features
        from .loading import open_dataset

        if not 0 < crop_fraction <= 1:
            raise ValueError(f"--crop-fraction is {crop_fraction}: it takes a number above 0, up to 1")
        opened = open_dataset(dataset, records=True)
        finder, no_faces = _face_finder() if faces else (None, "turned off by --no-faces")
        detector = None
        if model:
            from ..detector import Detector

            detector = Detector.from_pretrained(model, faces=False)
        found = run(
            opened,
            name=", ".join(dataset),
            measure=Features(side, crop_fraction, finder),
            no_faces=no_faces,
            detector=detector,
            limit=limit,
            seed=seed,
            workers=workers,
        )
        found.report.update(command=shlex.join(["fakeface", *sys.argv[1:]]), version=__version__, model=model or "")
        beside = write_audit(found, out)
    for probe in found.report["probes"]:
        shown = "    –" if probe["auc"] is None else f"{probe['auc']:.3f}"
        print(f"{shown}  {probe['title']:<20}  {probe['verdict']}")
    print(f"\n{found.report['verdict']}\n{out}, {beside}")


def equalise(
    dataset: Data,
    out: Annotated[Path, typer.Option(help="Folder to write parquet files into: new, or empty.")],
    size: Annotated[int, typer.Option(help="Longest side in pixels.")] = 280,
    quality: Annotated[int, typer.Option(help="Of the one JPEG save, 1 to 100.")] = 88,
    crop_fraction: Crop = 0.875,
    seed: Seed = 0,
    workers: Workers = 1,
) -> None:
    """Write a dataset in which both labels have one history, and match in size, sharpness, light and colour.

    Real and generated pictures that are alike are brought down to what both have: shrunk, blurred and toned, never
    enlarged or sharpened. The column `pair` says which belong together: keep them on one side of a split.
    """
    with clear_refusals():
        from .equalise import History
        from .loading import open_dataset
        from .matching import match_dataset, refuse_used, write_matched

        refuse_used(out)  # before the work, not after it
        history = History(size=size, quality=(quality, quality))
        matched = match_dataset(
            open_dataset(dataset, records=True), history, crop_fraction=crop_fraction, seed=seed, workers=workers
        )
        write_matched(matched, out, history, seed)
    for message in matched.refused:
        complain(message)
    words = f"{len(matched.dataset)} pictures in {out}"
    print(f"{words}; {len(matched.left_out)} without a counterpart, {len(matched.refused)} not readable")


def _face_finder() -> tuple[Any, str]:
    """The face finder, or why there is none."""
    from ..faces import FaceFinder, FaceFinderError

    try:
        return FaceFinder.from_pretrained(), ""
    except FaceFinderError as error:
        complain(f"face positions are not probed: {error}")
        return None, str(error)
