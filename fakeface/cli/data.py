"""The commands `fakeface data …`. They hold no logic, and import what is slow when they are called."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..data.names import refuse_missing, refuse_untold
from ..model_folder.names import refuse_missing as refuse_missing_model
from ..utils.errors import OptionError
from ..utils.files import refuse_unwritable
from ..utils.text import complain
from .terminal import clear_refusals, split_names

Data = Annotated[list[str], typer.Argument(help="Parquet files, an image folder or a Hub dataset.")]
Seed = Annotated[int, typer.Option(help="Of all that is random.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes; their number changes nothing in the result.")]
Labels = Annotated[
    str | None,
    typer.Option(help="What 0 and 1 mean where labels have no names: real,generated or generated,real."),
]
Crop = Annotated[float, typer.Option(help="Share of the shorter side that a classifier is fed, in (0, 1].")]


def audit(
    dataset: Data,
    out: Annotated[Path, typer.Option(help="The report to write; its JSON goes beside it.")] = Path("audit.html"),
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="A model folder or Hub id to test as well.")
    ] = None,
    labels: Labels = None,
    as_fed: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Audit the faces as this model is fed them: found, cut and resized."),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Audit this many pictures, spread over the data; 0 for all.")] = 0,
    faces: Annotated[bool, typer.Option(help="Find faces, to probe their position: takes most of the time.")] = True,
    side: Annotated[int, typer.Option(min=16, help="Side in pixels of what a classifier is fed.")] = 160,
    crop_fraction: Crop = 0.875,
    seed: Seed = 0,
    workers: Workers = 1,
) -> None:
    """Find what tells labels apart without looking at faces.

    Small classifiers see file format, size, JPEG tables, metadata, face position, sharpness, greyness, light, colour
    and the background's spectrum, one kind each. With --model, also what that model makes of changes to one label.
    With --as-fed they see the square that this model cuts around the face in each picture, and where the face stands in
    it: whether cutting every picture in one way has taken from position and background what they told.
    """
    with clear_refusals():
        _refuse_early(dataset, labels, crop_fraction)
        refuse_missing_model(model or "")
        refuse_missing_model(as_fed or "")
        refuse_unwritable(out)
        from .. import __version__
        from ..data.audit.features import Features
        from ..data.audit.report import write_audit
        from ..data.audit.run import audit as run
        from ..data.loading import open_dataset

        if as_fed and not faces:
            raise OptionError("--as-fed audits the faces that are found: leave out --no-faces")
        opened = open_dataset(dataset, records=True, labels=split_names(labels))
        finder, no_faces = _face_finder() if faces else (None, "turned off by --no-faces")
        detector = cut = None
        if model or as_fed:
            from ..detector.detector import Detector

            detector = Detector.from_pretrained(model, faces=False) if model else None
            cut = Detector.from_pretrained(as_fed).preparer if as_fed else None
        found = run(
            opened,
            name=", ".join(dataset),
            measure=Features(side, crop_fraction, finder, cut=cut),
            no_faces=no_faces,
            detector=detector,
            limit=limit,
            seed=seed,
            workers=workers,
        )
        found.report.update(command=shlex.join(["fakeface", *sys.argv[1:]]), version=__version__, model=model or "")
        beside = write_audit(found, out)
    print(f"{'AUC':<5}  {'interval':<13}  {'n':>7}  {'probe':<20}  verdict")
    for probe in found.report["probes"]:
        figures = f"{'–':<5}  {'–':<13}  {'–':>7}"
        if probe["auc"] is not None:
            low, high = probe["interval"]
            figures = f"{probe['auc']:.3f}  ({low:.3f}–{high:.3f})  {probe['n']:>7,}"
        print(f"{figures}  {probe['title']:<20}  {probe['verdict']}")
    print(f"\n{found.report['verdict']}\n{out}, {beside}")


def equalise(
    dataset: Data,
    out: Annotated[Path, typer.Option(help="Folder to write parquet files into: new, or empty.")],
    size: Annotated[int, typer.Option(help="Longest side in pixels.")] = 280,
    labels: Labels = None,
    quality: Annotated[int, typer.Option(help="Of the one JPEG save, 1 to 100.")] = 88,
    crop_fraction: Crop = 0.875,
    seed: Seed = 0,
    workers: Workers = 1,
) -> None:
    """Write a dataset in which both labels have one history.

    They then match in size, sharpness, light and colour. Real and generated pictures that are alike are brought
    down to what both have: shrunk, blurred and toned, never enlarged or sharpened. The column `pair` says which
    belong together: keep them on one side of a split.
    """
    with clear_refusals():
        _refuse_early(dataset, labels, crop_fraction)
        refuse_unwritable(out)
        from ..data.equalise import History
        from ..data.loading import open_dataset
        from ..data.matching import match_dataset, refuse_used, write_matched

        refuse_used(out)  # before the work, not after it
        history = History(size=size, quality=(quality, quality))
        matched = match_dataset(
            open_dataset(dataset, records=True, labels=split_names(labels)),
            history,
            crop_fraction=crop_fraction,
            seed=seed,
            workers=workers,
        )
        write_matched(matched, out, history, seed)
    for message in matched.refused:
        complain(message)
    words = f"{len(matched.dataset)} pictures in {out}"
    print(f"{words}; {len(matched.left_out)} without a counterpart, {len(matched.refused)} not readable")


def _refuse_early(dataset: list[str], labels: str | None, crop_fraction: float) -> None:
    if not 0 < crop_fraction <= 1:
        raise OptionError(f"--crop-fraction is {crop_fraction}: it takes a number above 0, up to 1")
    refuse_missing(dataset)
    refuse_untold(dataset, split_names(labels))


def _face_finder() -> tuple[Any, str]:
    """The face finder, or why there is none."""
    from ..faces import FaceFinder, FaceFinderError

    try:
        return FaceFinder.from_pretrained(), ""
    except FaceFinderError as error:
        complain(f"face positions are not probed: {error}")
        return None, str(error)


app = typer.Typer(no_args_is_help=True, help="Build datasets of faces, and look for leaks in them.")


@app.command()
def sources(
    root: Annotated[Path | None, typer.Argument(help="Folder with a folder for each source.")] = None,
    name: Annotated[list[str] | None, typer.Option("--source", help="Only this source; repeatable.")] = None,
) -> None:
    """List the known sources, and what is there of them.

    That is what they hold, their licences, and where to get them. With ROOT, also what of each is there, and
    exactly what is missing. Exit code 1 if a source that is there is not whole.
    """
    with clear_refusals(several_lines=True):
        from ..data.sources.listing import describe, list_sources

        whole = True
        if root is not None and not root.exists():
            complain(f"{root}: no such folder yet; make it, and a folder in it for each source, named as here")
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
    """Build one dataset from any mix of sources, for `train.py --data`.

    Options win over the recipe. A build that was stopped goes on where it was; the same recipe and pictures give the
    same bytes, whatever the number of workers. Pictures that cannot be used are listed in rejects.parquet.
    """
    with clear_refusals(several_lines=True):
        from ..data.build.recipe import read_build_recipe

        given = {"hold_out": hold_out or None, "cap": cap, "balance": balance, "faces": faces, "seed": seed}
        given |= {"reconstruct": reconstruct}
        settings = read_build_recipe(recipe, {key: value for key, value in given.items() if value is not None})
        refuse_unwritable(out)
        if partial:
            settings = settings.with_partial_sources()
        from ..data.build.run import build as build_dataset
        from ..hub.dataset_repo import push_dataset

        built = build_dataset(settings, root, out, workers=workers, face_model=face_model, progress=sys.stderr.isatty())
        print(f"{built.folder}: {'built' if built.fresh else 'was already built'}\n{built.summary()}")
        if push_to_hub:
            print(push_dataset(built.folder, push_to_hub, private=not public))


app.command()(audit)
app.command()(equalise)
