"""The commands `fakeface export …`."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from .push_cli import print_files
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
    """Write a complete model folder, as `push` sends it, and open it as a stranger would; `folder` may be left out.

    In it are weights, config with calibration and thresholds, image processor, code files, card, evaluation, licence
    and SHA256SUMS of them all. The Detector compares with that list before it reads anything.
    """
    with clear_refusals():
        quiet_libraries()
        from .folder_check import check_folder
        from .model_export import export_folder

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
    """Export to ONNX for ONNX Runtime and transformers.js, and say how far scores move.

    Writes onnx/model.onnx (32 bits), onnx/model_fp16.onnx and onnx/model_quantized.onnx (8 bits), laid out as optimum
    does, with export.json. The Detector, predict, score and evaluate take the folder, or any of these files.
    """
    with clear_refusals():
        from .images import load_picture
        from .measured_data import whole
        from .onnx_export import export_onnx

        split = next(iter(whole(data, limit=2 * pictures)[0].values()))
        shown = [load_picture(image) for image in split["image"]]
        found = export_onnx(
            model, out, shown[::2], shown[1::2], kinds=kinds.split(","), command=shlex.join(["fakeface", *sys.argv[1:]])
        )
    for one in found:
        moves = f"scores move by {one.largest_difference:.2g} at most, {one.mean_difference:.2g} on average"
        print(f"{out / one.file}: {one.megabytes:.1f} MB; on {one.n} pictures {moves}")
        print(f"  {one.changed_verdicts} of them get another verdict")
