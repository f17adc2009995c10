"""The command `fakeface`: a thin face on `Detector`. Everything slow is imported inside the commands."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..utils.errors import OutputError
from ..utils.text import complain
from .data import app as data_app
from .evaluate import calibrate, evaluate
from .explain import explain
from .export import app as export_app
from .predict import predict
from .push import app as push_app
from .score import score
from .serve import demo, serve
from .terminal import PicturesGroup, clear_refusals, open_streams

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


app.command()(predict)
app.command()(score)
app.command()(explain)
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


app.command()(demo)
app.command()(serve)
