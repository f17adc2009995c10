"""The command `fakeface`: a thin face on `Detector`. Everything slow is imported inside the commands."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..detector.points import DEFAULT
from ..model_folder.names import refuse_contradictions, refuse_missing
from ..utils.errors import OptionError, OutputError
from ..utils.files import clear_write_errors, refuse_unwritable
from ..utils.text import complain, printable
from .data import app as data_app
from .evaluate import calibrate, evaluate
from .export import app as export_app
from .push import app as push_app
from .terminal import PicturesGroup, clear_refusals, open_streams, quiet_libraries

if TYPE_CHECKING:
    from ..detector.detector import Detector
    from ..images.load import OtherFiles
    from ..results import Result

app = typer.Typer(
    cls=PicturesGroup.of("predict"),
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain pages: rich's break lines in the middle, and show what type a switch is
    help="Tell real faces from generated ones, and see where the model looked.\n\n"
    "A picture in the place of a command is judged by predict: fakeface portrait.jpg",
)

app.add_typer(data_app, name="data")
app.add_typer(export_app, name="export")
app.add_typer(push_app, name="push")

Model = Annotated[
    str | None, typer.Option("--model", "-m", help="Model folder or Hub id; by default the shipped model.")
]
Fast = Annotated[bool, typer.Option("--fast", help="Take the quicker of the shipped models, which judges less well.")]
Cascade = Annotated[
    bool | None,
    typer.Option(
        "--cascade/--no-cascade",
        help="Ask the fast model first, and the thorough one only about what that is not sure of.",
        show_default=False,
    ),
]
Point = Annotated[
    str,
    typer.Option(
        help="strict, default or triage: one photograph in 1000, 100 or 20 may be called generated.",
        show_default=False,
    ),
]
Device = Annotated[str | None, typer.Option("--device", help="cpu, cuda, cuda:1, mps; by default the GPU, if any.")]

BatchSize = Annotated[int, typer.Option(min=1, help="Faces per pass of the model.")]
Crops = Annotated[int, typer.Option(min=1, max=10, help="Judge so many crops of each face; costs as many passes.")]
Consistency = Annotated[
    int, typer.Option(min=0, max=100, help="Judge so many re-encodings too; uncertain where they disagree.")
]
Faces = Annotated[bool, typer.Option("--faces/--no-faces", help="Judge the faces of a picture, or its centre.")]

SCORE_CASCADES = False  # whether `score` takes the cascade where nothing says which model to take


def main() -> None:
    """Entry point of the console script."""
    open_streams()
    try:
        try:
            app(prog_name="fakeface")
        finally:
            sys.stdout.flush()
    except OutputError as error:  # of standard output: what else is refused, the commands have said
        complain(str(error))
        sys.exit(2)
    except BrokenPipeError:  # by what was printed last
        sys.exit(1)


def _show_version(asked: bool) -> None:
    if asked:
        from .. import __version__

        print(f"fakeface {__version__}")
        raise typer.Exit


@app.callback()
def fakeface(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """The callback of `--version` runs before a command is asked for."""


@app.command()
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

        _refuse_unclear(model, fast, bool(cascade))

        def judge(pictures: Iterator[str | Path]) -> "Iterator[Result]":
            views = {"crops": crops, "consistency": consistency, "cascade": bool(cascade)}
            detector = _detector(model, fast, device, faces, operating_point=operating_point, **views)
            return detector.stream(pictures, batch_size=batch_size)

        if report is not None:
            _refuse_unreportable(pictures, report, bool(cascade))
            views = {"crops": crops, "consistency": consistency}
            load = partial(_detector, model, fast, device, faces, operating_point=operating_point, **views)
            raise typer.Exit(_report(pictures[0], report, load, operating_point, as_json, provenance))
        read = seen = 0
        others = OtherFiles()
        for result in _progress(_judged(_expand(pictures, others), judge)):
            seen += 1
            read += result.error is None
            _show(result, as_json, provenance)
    if told := str(others):
        complain(told)
    if not seen:
        complain(f"{', '.join(pictures)}: no pictures there")
    raise typer.Exit(0 if read else 1)


@app.command()
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

        _refuse_unclear(model, fast, bool(cascade))
        WorkFolder(out).refuse_taken(overwrite)
        from ..score.run import score as score_all

        if cascade is None:
            cascade = SCORE_CASCADES and not (fast or model or os.environ.get("FAKEFACE_MODEL"))
        views = {"crops": crops, "consistency": consistency, "cascade": cascade}
        detector = _detector(model, fast, device, faces, dtype=dtype, operating_point=operating_point, **views)
        options = {"batch_size": batch_size, "workers": workers, "overwrite": overwrite}
        stdin = sys.stdin.buffer if "-" in inputs else None
        scored = score_all(inputs, out, detector, stdin=stdin, progress=sys.stderr.isatty(), **options)
    if os.environ.get("RANK", "0") == "0":
        print(f"{out}: {scored.summary()}")
    raise typer.Exit(0 if scored.read else 1)


@app.command()
def explain(
    out: Annotated[Path, typer.Option(help="Where to save the picture with the map, such as why.png; or a folder.")],
    inputs: Annotated[
        list[str] | None, typer.Argument(help="A picture; for --figure seed, cams and means a dataset.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Show what spoke for this label: generated, the default, or real.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help="grad-cam, hires-cam, centred-cam, layer-cam or ablation-cam; by default centred-cam."),
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="stage1, stage2, trunk, block1, …: what is explained; by default trunk.")
    ] = None,
    crop: Annotated[bool, typer.Option("--crop", help="Save the square that the model saw, not the picture.")] = False,
    figure: Annotated[
        str | None,
        typer.Option(help="Make a figure: seed, classes, cams, means, filters, features, channels or layer."),
    ] = None,
    channel: Annotated[int | None, typer.Option(help="Of the layer, for --figure channels.")] = None,
    model: Model = None,
    fast: Fast = False,
    device: Device = None,
    faces: Faces = True,
    operating_point: Point = DEFAULT,
) -> None:
    """Save a picture with a map over it of what spoke for a label.

    Score and verdict are printed. With --figure, write figures of what the model responds to as PNG and one HTML
    page into the folder --out: seed is a picture that maximises each label, and maps of a dataset's pictures,
    generated above, real below; channels and layer maximise those; features shows the feature maps of one picture,
    means the mean map of each generator.
    """
    from ..images.load import PictureError
    from ..results import LABELS

    with clear_refusals():
        if label is not None and label not in LABELS:
            raise OptionError(f"unknown label {label!r}: choose one of {', '.join(LABELS)}")
        _refuse_unclear(model, fast)
        refuse_unwritable(out, parents=figure is not None)
        if figure:
            from ..visualise.figures import Choices, draw, write

            detector = _detector(model, fast, device, faces)
            choices = Choices(inputs or (), label, method, layer, channel)
            try:
                paths = write(draw(figure, detector, choices), out, detector.name)
            except PictureError as error:
                complain(str(error))
                raise typer.Exit(1) from None
            print(*paths, sep="\n")
            return
        if not inputs or len(inputs) != 1:
            raise OptionError(f"explain takes one picture, not {len(inputs or ())}")
        (picture,) = inputs
        if out.exists() and os.path.exists(picture) and out.samefile(picture):
            raise OptionError(f"{out}: is the picture itself; name another file to write")
        _refuse_unsaved(out)
        if missing := _missing(picture):
            complain(str(missing.error))
            raise typer.Exit(1)
        try:
            detector = _detector(model, fast, device, faces, operating_point=operating_point)
            explanation = detector.explain(picture, label=label or "generated", method=method, layer=layer)
        except PictureError as error:
            complain(str(error))
            raise typer.Exit(1) from None
        shown = explanation.on_crop() if crop else explanation.overlay()
        with clear_write_errors(out, "name another file"):
            shown.save(out)
    _show(explanation.result)


app.command()(evaluate)
app.command()(calibrate)


@app.command()
def card(
    model: Annotated[Path, typer.Argument(help="A model folder with an evaluation.json.")],
    readme: Annotated[Path | None, typer.Option(help="Also write the figures into this README.")] = None,
    compare: Annotated[list[Path] | None, typer.Option(help="Reports to set beside it there; repeatable.")] = None,
) -> None:
    """Write a model folder's card from its evaluation.

    With --readme, also the figures into a README.
    """
    with clear_refusals():
        from ..release.card import fill_readme, read_report, write_card

        print(write_card(model))
        if readme:
            fill_readme(readme, read_report(model / "evaluation.json"), [read_report(path) for path in compare or []])
            print(readme)


@app.command()
def demo(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port to listen on; by default that of PORT, else 7860.")
    ] = None,
    fast: Fast = False,
    operating_point: Annotated[
        str | None, typer.Option(help="strict, default or triage; by default that of FAKEFACE_OPERATING_POINT.")
    ] = None,
) -> None:
    """Serve the page of the Space on this machine. FAKEFACE_MODEL names another model."""
    from ..app import main as serve

    serve(port, fast, operating_point)


@app.command("serve")
def serve_pictures(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all of this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for one that is free.")] = 8000,
    model: Model = None,
    fast: Fast = False,
    cascade: Cascade = None,
    operating_point: Point = DEFAULT,
    device: Device = None,
    dtype: Annotated[
        str | None,
        typer.Option(help="auto, the quickest for the device; by default float32, for the very scores of predict."),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures to a batch, and faces per pass of the model.")] = 16,
    max_wait_ms: Annotated[
        float, typer.Option(min=0, help="Milliseconds that a picture waits for others to share its batch.")
    ] = 5.0,
    queue: Annotated[
        int, typer.Option(min=1, help="Pictures accepted and not yet judged; further ones are sent away with 429.")
    ] = 64,
    max_bytes: Annotated[int, typer.Option(min=1, help="Of the body of a request.")] = 20 * 2**20,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds for a body to arrive, and then for its pictures to be judged.")
    ] = 30.0,
) -> None:
    """Serve verdicts to programs over HTTP, without a page.

    POST a picture to /v1/judge; pictures of all clients share batches. There are /healthz, /readyz and, for Prometheus,
    /metrics. It needs pip install "fakeface[serve]". SIGTERM ends it once all that was accepted is answered. Exit code
    0, or 2 if the model or an option is wrong.
    """
    with clear_refusals():
        _refuse_unclear(model, fast, bool(cascade))
        from ..app.api.batching import MOST_FACES, Options
        from ..app.api.running import serve

        options = Options(batch_size, max_wait_ms / 1000, queue, max_bytes, timeout)
        views = {"cascade": bool(cascade), "operating_point": operating_point, "max_faces": MOST_FACES}
        load = partial(_detector, model, fast, device, faces=True, dtype=dtype, **views)
        serve(load, host=host, port=port, options=options)


def _refuse_unclear(model: str | None, fast: bool, cascade: bool = False) -> None:
    """Say before torch is imported what `Detector.from_pretrained` would say of these."""
    refuse_contradictions(model, fast, cascade)
    refuse_missing(model)


def _refuse_unsaved(out: Path) -> None:
    from PIL import Image

    formats = Image.registered_extensions()
    if formats.get(out.suffix.lower()) not in Image.SAVE:
        what = f"{out.suffix} is not a format of pictures" if out.suffix else "nothing says which format it has"
        raise OptionError(f"{out}: {what}; name a file such as {out.with_suffix('.png').name}")


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
    if missing := _missing(picture):
        _show(missing, as_json)
        return 1
    detector = load()
    from ..app.picture_report import picture_report, record_file
    from ..images.load import PictureError
    from ..results import Result

    try:
        record = record_file(detector, picture, operating_point)
    except PictureError as error:
        _show(Result(picture, None, None, error=str(error)), as_json)
        return 1
    with clear_write_errors(report, "name another file"):
        report.write_text(picture_report(record), encoding="utf-8")
    _show(record.result, as_json, provenance)
    return 0


def _judged(
    pictures: Iterator[str | Path], judge: Callable[[Iterator[str | Path]], "Iterator[Result]"]
) -> "Iterator[Result]":
    """Results of the pictures, in order. Without one that is there, no model is loaded."""
    for picture in pictures:
        if missing := _missing(picture):
            yield missing
        else:
            yield from judge(chain([picture], pictures))


def _missing(picture: str | Path) -> "Result | None":
    """The refusal of a picture that is not there."""
    from ..images.load import PictureError, picture_bytes
    from ..results import Result

    name = os.fspath(picture)
    if "://" in name or os.path.lexists(name):
        return None
    try:
        picture_bytes(name)
    except PictureError as error:
        return Result(name, None, None, error=str(error))
    return None


def _detector(model: str | None, fast: bool, device: str | None, faces: bool, **options: Any) -> "Detector":
    quiet_libraries()
    from ..detector.detector import Detector

    return Detector.from_pretrained(model, fast=fast, device=device, faces=faces, **options)


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


def _show(result: "Result", as_json: bool = False, provenance: bool = False) -> None:
    found = None
    if provenance and result.error is None:
        from ..images.provenance import read_provenance

        found = read_provenance(result.picture)  # an address is fetched once more for it
    if as_json:
        more = {"provenance": found and found.to_dict()} if provenance else {}
        print(json.dumps({**result.to_dict(), **more}), flush=True)
    elif result.error is not None:
        complain(result.error)
    else:
        score = "  -  " if result.score is None else f"{result.score:.3f}"
        print(f"{score}  {result.verdict:<9}  {printable(result.picture)}", flush=True)
        for line in found.lines() if found else ():
            print(f"       {line.name}: {printable(line.value)}", flush=True)
