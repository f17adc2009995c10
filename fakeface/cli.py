"""The command `fakeface`: a thin face on `Detector`. Everything slow is imported inside the commands."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .data.cli import app as data_app
from .evaluate_cli import calibrate, evaluate
from .export_cli import app as export_app
from .push_cli import app as push_app
from .terminal import clear_refusals, complain, printable, quiet_libraries

if TYPE_CHECKING:
    from .detector import Detector
    from .results import Result

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Tell real faces from generated ones, and see where the model looked.",
)

app.add_typer(data_app, name="data")
app.add_typer(export_app, name="export")
app.add_typer(push_app, name="push")

Model = Annotated[
    str | None, typer.Option("--model", "-m", help="Model folder or Hub id; by default the shipped model.")
]
Device = Annotated[str | None, typer.Option("--device", help="cpu, cuda, cuda:1, mps; by default the GPU, if any.")]

BatchSize = Annotated[int, typer.Option(min=1, help="Faces per pass of the model.")]
Crops = Annotated[int, typer.Option(min=1, max=10, help="Judge so many crops of each face; costs as many passes.")]
Consistency = Annotated[
    int, typer.Option(min=0, max=100, help="Judge so many re-encodings too; uncertain where they disagree.")
]
Faces = Annotated[
    bool | None,
    typer.Option("--faces/--no-faces", help="Judge faces, or the centre; by default faces, if their model is there."),
]


def main() -> None:
    """Entry point of the console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may lack the letters of a file name
    app(prog_name="fakeface")


def _show_version(asked: bool) -> None:
    if asked:
        from . import __version__

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
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per picture, refused ones too.")] = False,
    provenance: Annotated[
        bool, typer.Option("--provenance", help="Also say what each file claims: camera, software, credentials.")
    ] = False,
    device: Device = None,
    faces: Faces = None,
    batch_size: BatchSize = 16,
    crops: Crops = 1,
    consistency: Consistency = 0,
) -> None:
    """Print score, verdict and path of every picture, one a line.

    The score is the probability that the picture is generated, from 0 to 1; of several faces the most generated one
    decides. A picture without a face has no score. Pictures that cannot be read are
    named on stderr, and the rest goes on. Exit code 0, or 1 if nothing could be read, 2 if the model or an option is
    wrong. A name that begins with a dash goes behind `--`.
    """
    with clear_refusals():
        detector = _detector(model, device, faces, crops=crops, consistency=consistency)
        read = seen = 0
        for result in _progress(detector.stream(_expand(pictures), batch_size=batch_size)):
            seen += 1
            read += result.error is None
            _show(result, as_json, provenance)
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
    device: Device = None,
    dtype: Annotated[
        str, typer.Option(help="auto, the quickest for the device; or float32, for the very scores of predict.")
    ] = "auto",
    faces: Faces = None,
    batch_size: BatchSize = 16,
    crops: Crops = 1,
    consistency: Consistency = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes that open pictures; 0 for one per processor.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an output that is there.")] = False,
) -> None:
    """Score any number of pictures into a table, a row each, in an order that is always the same.

    A run that was stopped goes on with the same command, and gives the same bytes. What cannot be read is a row with
    a reason code, and stands in a table of rejects beside the output. Exit code 0, or 1 if nothing could be read, 2 if
    the model or an option is wrong. Several processes share the work: accelerate launch -m fakeface.score ...
    """
    with clear_refusals():
        from .score import score as score_all

        detector = _detector(model, device, faces, dtype=dtype, crops=crops, consistency=consistency)
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
    device: Device = None,
    faces: Faces = None,
) -> None:
    """Save a picture with a map over it of what spoke for a label, and print score and verdict.

    With --figure, write figures of what the model responds to as PNG and one HTML page into the folder --out: seed is
    a picture that maximises each label, and maps of a dataset's pictures, generated above, real below; channels and
    layer maximise those; features shows the feature maps of one picture, means the mean map of each generator.
    """
    from .images import PictureError

    with clear_refusals():
        if figure:
            from .visualise_figures import Choices, draw, write

            detector = _detector(model, device, faces)
            choices = Choices(inputs or (), label, method, layer, channel)
            try:
                paths = write(draw(figure, detector, choices), out, detector.name)
            except PictureError as error:
                complain(str(error))
                raise typer.Exit(1) from None
            print(*paths, sep="\n")
            return
        if not inputs or len(inputs) != 1:
            raise ValueError(f"explain takes one picture, not {len(inputs or ())}")
        (picture,) = inputs
        if out.exists() and os.path.exists(picture) and out.samefile(picture):
            raise ValueError(f"{out}: is the picture itself; name another file to write")
        try:
            explanation = _detector(model, device, faces).explain(
                picture, label=label or "generated", method=method, layer=layer
            )
        except PictureError as error:
            complain(str(error))
            raise typer.Exit(1) from None
        try:
            (explanation.on_crop() if crop else explanation.overlay()).save(out)
        except OSError as error:
            raise ValueError(f"{out}: cannot be written ({error.strerror}); name another file") from None
    _show(explanation.result)


app.command()(evaluate)
app.command()(calibrate)


@app.command()
def card(
    model: Annotated[Path, typer.Argument(help="A model folder with an evaluation.json.")],
    readme: Annotated[Path | None, typer.Option(help="Also write the figures into this README.")] = None,
    compare: Annotated[list[Path] | None, typer.Option(help="Reports to set beside it there; repeatable.")] = None,
) -> None:
    """Write a model folder's card from its evaluation, and the figures into a README."""
    with clear_refusals():
        from .card import fill_readme, read_report, write_card

        print(write_card(model))
        if readme:
            fill_readme(readme, read_report(model / "evaluation.json"), [read_report(path) for path in compare or []])
            print(readme)


@app.command()
def demo() -> None:
    """Serve the Space on this machine. GRADIO_SERVER_PORT names the port, FAKEFACE_MODEL the model."""
    space = Path(__file__).resolve().parents[1] / "space" / "app.py"
    if not space.is_file():
        complain("the demo is not part of the installed package: clone the repository and run `make demo` in it")
        raise typer.Exit(2)
    raise typer.Exit(subprocess.call([sys.executable, str(space)]))


def _detector(model: str | None, device: str | None, faces: bool | None, **options: Any) -> "Detector":
    quiet_libraries()
    from .detector import Detector

    return Detector.from_pretrained(model, device=device, faces="auto" if faces is None else faces, **options)


def _expand(pictures: list[str]) -> Iterator[str | Path]:
    from .images import list_pictures

    for picture in pictures:
        if "://" in picture and not os.path.exists(picture):
            yield picture
        else:
            yield from list_pictures([picture])


def _progress(results: Iterator["Result"]) -> Iterator["Result"]:
    """A bar for the waiting, on stderr: only on a terminal where the results go elsewhere, and after two seconds."""
    from tqdm import tqdm

    yield from tqdm(results, unit=" pictures", delay=2, disable=sys.stdout.isatty() or not sys.stderr.isatty())


def _show(result: "Result", as_json: bool = False, provenance: bool = False) -> None:
    found = None
    if provenance and result.error is None:
        from .provenance import read_provenance

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


if __name__ == "__main__":
    main()
