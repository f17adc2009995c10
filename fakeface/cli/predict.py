"""The command `fakeface predict`, and the report to keep of one picture."""

import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..detector.points import DEFAULT
from ..utils.errors import OptionError
from ..utils.files import clear_write_errors, refuse_unwritable
from ..utils.text import complain
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
from .showing import refusal_of_missing, show
from .terminal import clear_refusals

if TYPE_CHECKING:
    from ..detector.detector import Detector
    from ..images.load import OtherFiles
    from ..results import Result


def predict(
    pictures: Annotated[list[str], typer.Argument(help="Pictures, folders of them, https addresses.")],
    model: Model = None,
    fast: Fast = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per picture, refused ones too.")] = False,
    provenance: Annotated[
        bool, typer.Option("--provenance", help="Also say what each file claims: camera, software, credentials.")
    ] = False,
    device: Device = None,
    faces: Faces = True,
    batch_size: BatchSize = 16,
    crops: Crops = 1,
    consistency: Consistency = 0,
    operating_point: Point = DEFAULT,
    cascade: Cascade = None,
    report: Annotated[
        Path | None, typer.Option(help="Also write a report to keep of the one picture: a page of HTML, complete.")
    ] = None,
) -> None:
    """Print score, verdict and path of every picture, one a line.

    The score is the probability that the picture is generated, from 0 to 1; of several faces the most generated one
    decides. A picture without a face has no score. Pictures that cannot be read are
    named on stderr, and the rest goes on. Exit code 0, or 1 if nothing could be read, 2 if the model or an option is
    wrong. A name that begins with a dash goes behind `--`.
    """
    with clear_refusals():
        from ..images.load import OtherFiles

        refuse_unclear(model, fast, bool(cascade))

        def judge(pictures: Iterator[str | Path]) -> "Iterator[Result]":
            views = {"crops": crops, "consistency": consistency, "cascade": bool(cascade)}
            detector = open_detector(model, fast, device, faces, operating_point=operating_point, **views)
            return detector.stream(pictures, batch_size=batch_size)

        if report is not None:
            _refuse_unreportable(pictures, report, bool(cascade))
            views = {"crops": crops, "consistency": consistency}
            load = partial(open_detector, model, fast, device, faces, operating_point=operating_point, **views)
            raise typer.Exit(_report(pictures[0], report, load, operating_point, as_json, provenance))
        read = seen = 0
        others = OtherFiles()
        for result in _progress(_judged(_expand(pictures, others), judge)):
            seen += 1
            read += result.error is None
            show(result, as_json, provenance)
    if told := str(others):
        complain(told)
    if not seen:
        complain(f"{', '.join(pictures)}: no pictures there")
    raise typer.Exit(0 if read else 1)


def _refuse_unreportable(pictures: list[str], report: Path, cascade: bool) -> None:
    if len(pictures) != 1 or os.path.isdir(pictures[0]):
        raise OptionError("--report tells of one picture; name one, or leave it out")
    if cascade:
        raise OptionError("--report tells of one model; leave out --cascade")
    refuse_unwritable(report, parents=False)
    if report.exists() and os.path.exists(pictures[0]) and report.samefile(pictures[0]):
        raise OptionError(f"{report}: is the picture itself; name another file to write")


def _report(
    picture: str, report: Path, load: Callable[[], "Detector"], operating_point: str, as_json: bool, provenance: bool
) -> int:
    """The exit code."""
    if missing := refusal_of_missing(picture):
        show(missing, as_json)
        return 1
    detector = load()
    from ..app.picture_report import picture_report, record_file
    from ..images.load import PictureError
    from ..results import Result

    try:
        record = record_file(detector, picture, operating_point)
    except PictureError as error:
        show(Result(picture, None, None, error=str(error)), as_json)
        return 1
    with clear_write_errors(report, "name another file"):
        report.write_text(picture_report(record), encoding="utf-8")
    show(record.result, as_json, provenance)
    return 0


def _judged(
    pictures: Iterator[str | Path], judge: Callable[[Iterator[str | Path]], "Iterator[Result]"]
) -> "Iterator[Result]":
    """Results of the pictures, in order. Without one that is there, no model is loaded."""
    for picture in pictures:
        if missing := refusal_of_missing(picture):
            yield missing
        else:
            yield from judge(chain([picture], pictures))


def _expand(pictures: list[str], others: "OtherFiles") -> Iterator[str | Path]:
    from ..images.load import list_pictures

    for picture in pictures:
        if "://" in picture and not os.path.exists(picture):
            yield picture
        else:
            yield from list_pictures([picture], others)


def _progress(results: Iterator["Result"]) -> Iterator["Result"]:
    """A bar for the waiting, on stderr: only on a terminal where the results go elsewhere, and after two seconds."""
    from tqdm import tqdm

    yield from tqdm(results, unit=" pictures", delay=2, disable=sys.stdout.isatty() or not sys.stderr.isatty())
