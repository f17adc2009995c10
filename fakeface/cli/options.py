"""Options that several commands take, and the detector that they name."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..model_folder.names import refuse_contradictions, refuse_missing
from .terminal import quiet_libraries

if TYPE_CHECKING:
    from ..detector.detector import Detector

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


def refuse_unclear(model: str | None, fast: bool, cascade: bool = False) -> None:
    """Say before torch is imported what `Detector.from_pretrained` would say of these."""
    refuse_contradictions(model, fast, cascade)
    refuse_missing(model)


def open_detector(model: str | None, fast: bool, device: str | None, faces: bool, **options: Any) -> "Detector":
    """`Detector.from_pretrained`, with nothing of the libraries on the screen."""
    quiet_libraries()
    from ..detector.detector import Detector

    return Detector.from_pretrained(model, fast=fast, device=device, faces=faces, **options)
