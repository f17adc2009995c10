"""The command `fakeface explain`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ..detector.points import DEFAULT
from ..utils.errors import OptionError
from ..utils.files import clear_write_errors, refuse_unwritable
from ..utils.text import complain
from .options import Device, Faces, Fast, Model, Point, open_detector, refuse_unclear
from .showing import refusal_of_missing, show
from .terminal import clear_refusals


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
        refuse_unclear(model, fast)
        refuse_unwritable(out, parents=figure is not None)
        if figure:
            from ..visualise.figures import Choices, draw, write

            detector = open_detector(model, fast, device, faces)
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
        if missing := refusal_of_missing(picture):
            complain(str(missing.error))
            raise typer.Exit(1)
        try:
            detector = open_detector(model, fast, device, faces, operating_point=operating_point)
            explanation = detector.explain(picture, label=label or "generated", method=method, layer=layer)
        except PictureError as error:
            complain(str(error))
            raise typer.Exit(1) from None
        shown = explanation.on_crop() if crop else explanation.overlay()
        with clear_write_errors(out, "name another file"):
            shown.save(out)
    show(explanation.result)


def _refuse_unsaved(out: Path) -> None:
    from PIL import Image

    formats = Image.registered_extensions()
    if formats.get(out.suffix.lower()) not in Image.SAVE:
        what = f"{out.suffix} is not a format of pictures" if out.suffix else "nothing says which format it has"
        raise OptionError(f"{out}: {what}; name a file such as {out.with_suffix('.png').name}")
