"""The commands `fakeface data …`. They hold no logic, and import what is slow when they are called."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..terminal import clear_refusals
from .audit_cli import audit, equalise

app = typer.Typer(no_args_is_help=True, help="Build datasets of faces, and look for leaks in them.")


@app.command()
def sources(
    root: Annotated[Path | None, typer.Argument(help="Folder with a folder for each source.")] = None,
    name: Annotated[list[str] | None, typer.Option("--source", help="Only this source; repeatable.")] = None,
) -> None:
    """List the known sources: what they hold, their licences, and where to get them.

    With ROOT, also what of each is there, and exactly what is missing. Exit code 1 if a source that is there is not
    whole.
    """
    with clear_refusals(several_lines=True):
        from .source_list import describe, list_sources

        whole = True
        for entry in list_sources(root, name):
            print(describe(entry), flush=True)
            whole &= entry.whole
    raise typer.Exit(0 if whole else 1)


@app.command()
def build(
    recipe: Annotated[Path, typer.Argument(help="A YAML recipe, such as configs/data/seed.yaml.")],
    root: Annotated[Path, typer.Option(help="Folder with a folder for each source.")],
    out: Annotated[Path, typer.Option(help="Folder of the dataset: new, or that of an interrupted build.")],
    hold_out: Annotated[
        list[str] | None, typer.Option(help="Source or generator to keep as the split `unseen`; repeatable.")
    ] = None,
    cap: Annotated[int | None, typer.Option(min=0, help="At most this many of each source and label.")] = None,
    balance: Annotated[bool | None, typer.Option(help="Make both labels equally many.")] = None,
    faces: Annotated[bool | None, typer.Option(help="Cut out the largest face; without one a picture is out.")] = None,
    reconstruct: Annotated[
        str | None, typer.Option(help="Autoencoder of diffusers; photographs passed through it come in as generated.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the choice, the splits and the history.")] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Take what is there of incomplete sources.")] = False,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 for one per processor.")] = 0,
    face_model: Annotated[str | None, typer.Option(help="File of the face detector.")] = None,
    push_to_hub: Annotated[str | None, typer.Option(help="Upload to this dataset of the Hub, OWNER/NAME.")] = None,
    public: Annotated[bool, typer.Option("--public", help="Make a new dataset of the Hub public.")] = False,
) -> None:
    """Build one dataset from any mix of sources, ready for `train.py --data`.

    Options win over the recipe. A build that was stopped goes on where it was; the same recipe and pictures give the
    same bytes, whatever the number of workers. Pictures that cannot be used are listed in rejects.parquet.
    """
    with clear_refusals(several_lines=True):
        from .build import build as build_dataset
        from .build_recipe import read_build_recipe
        from .publish import push_dataset

        given = {"hold_out": hold_out or None, "cap": cap, "balance": balance, "faces": faces, "seed": seed}
        given |= {"reconstruct": reconstruct}
        settings = read_build_recipe(recipe, {key: value for key, value in given.items() if value is not None})
        if partial:
            settings = settings.with_partial_sources()
        built = build_dataset(settings, root, out, workers=workers, face_model=face_model, progress=sys.stderr.isatty())
        print(f"{built.folder}: {'built' if built.fresh else 'was already built'}\n{built.summary()}")
        if push_to_hub:
            print(push_dataset(built.folder, push_to_hub, private=not public))


app.command()(audit)
app.command()(equalise)
