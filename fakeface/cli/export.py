"""The commands `fakeface export …`."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..data.names import refuse_missing as refuse_missing_data
from ..model_folder.names import refuse_missing
from ..utils.files import refuse_unwritable
from .push import print_files
from .terminal import DefaultGroup, clear_refusals, quiet_libraries

app = typer.Typer(
    cls=DefaultGroup.of("folder"), no_args_is_help=True, help="Write a model in the form that others take."
)

PICTURES = 200  # to compare scores on, and as many others to set 8-bit ranges by


@app.command()
def folder(
    model: Annotated[str, typer.Argument(help="Model folder or Hub id.")],
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a Hub id.")] = None,
    onnx: Annotated[Path | None, typer.Option(help="Take along what `fakeface export onnx` wrote there.")] = None,
) -> None:
    """Write a complete model folder; `folder` may be left out.

    It is what `push` sends, and is opened as a new user would open it. In it are weights, config with calibration
    and thresholds, image processor, code files, card, evaluation, licence and SHA256SUMS of them all. The Detector
    compares with that list before it reads anything.
    """
    with clear_refusals():
        refuse_missing(model)
        refuse_unwritable(out)
        quiet_libraries()
        from ..release.check import check_folder
        from ..release.export import export_folder

        files = export_folder(model, out, revision=revision, onnx=onnx)
        check_folder(out)
    print_files(files)


@app.command()
def onnx(
    model: Annotated[str, typer.Argument(help="Model folder or Hub id.")],
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    data: Annotated[
        list[str],
        typer.Option(help="Face crops of both labels: parquet files, a folder or a Hub dataset; repeatable."),
    ],
    kinds: Annotated[str, typer.Option(help="fp32, fp16 and int8, separated by commas.")] = "fp32,fp16,int8",
    pictures: Annotated[
        int, typer.Option(min=1, help="How many to compare scores on, and to set ranges by.")
    ] = PICTURES,
) -> None:
    """Export to ONNX, and say how far scores move.

    For ONNX Runtime and transformers.js. Writes onnx/model.onnx (32 bits), onnx/model_fp16.onnx and
    onnx/model_quantized.onnx (8 bits), laid out as optimum does, with export.json. The Detector, predict, score and
    evaluate take the folder, or any of these files.
    """
    with clear_refusals():
        refuse_missing(model)
        refuse_missing_data(data)
        refuse_unwritable(out)
        from ..evaluation.inputs import whole
        from ..images.load import load_picture
        from ..release.onnx import export_onnx
        from ..results import LABELS

        # Labels play no part here, so that numbers without names need no meaning.
        split = next(iter(whole(data, limit=2 * pictures, labels=LABELS)[0].values()))
        shown = [load_picture(image) for image in split["image"]]
        found = export_onnx(
            model, out, shown[::2], shown[1::2], kinds=kinds.split(","), command=shlex.join(["fakeface", *sys.argv[1:]])
        )
    for one in found:
        print(f"{out / one.file}: {one.told()}")
