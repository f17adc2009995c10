"""What programs call: named endpoints, and tools of the Model Context Protocol where `gradio[mcp]` is installed.

Their docstrings are what the page "Use via API" and assistants read.
"""

import inspect
from collections.abc import Callable
from typing import Any, Literal

import gradio as gr
from gradio.events import api
from gradio.processing_utils import save_pil_to_cache
from gradio.utils import get_upload_folder

from ..images import PictureError
from ..results import Result
from ..utils.errors import FakefaceError
from .page import JUDGE
from .service import METHODS, Service


def add_endpoints(page: gr.Blocks, service: Service) -> None:
    """Add `/predict`, `/predict_many`, `/explain` and `/provenance` to a page, inside its `with` block."""
    maps: set[str] = set()
    page.temp_file_sets.append(maps)  # Gradio deletes them with the uploads

    def predict(picture: gr.FileData) -> dict[str, Any]:
        """Tell whether a face picture is a photograph or was made by a generative model.

        Parameters:
            picture: an https address, a data: URI, or a file that was uploaded here

        Returns:
            picture (its name), score (calibrated probability that it is generated, 0 to 1; null without a face),
            verdict ("real", "generated", "uncertain", "no face"; null if refused), reasons, error (why it was refused,
            else null), faces (box in pixels, score, verdict and reasons of each). A score is evidence, not proof.
        """
        return service.judge(given(picture)).to_dict()

    def predict_many(pictures: list[gr.FileData]) -> list[dict[str, Any]]:
        """Tell of several face pictures whether each is a photograph or generated.

        Parameters:
            pictures: https addresses, data: URIs, or files that were uploaded here

        Returns:
            for each picture, in order, what predict returns
        """
        return [result.to_dict() for result, _ in service.judge_many([given(picture) for picture in pictures])]

    def explain(
        picture: gr.FileData,
        label: Literal["verdict", "real", "generated"] = "verdict",
        method: str = METHODS[0],
        face: int | None = None,
    ) -> tuple[dict[str, Any], gr.FileData | None]:
        """Judge a face picture and lay a map over it of where the evidence lay.

        Parameters:
            picture: an https address, a data: URI, or a file that was uploaded here
            label: what to show evidence for: "real", "generated", or that of the verdict
            method: centred-cam, grad-cam, hires-cam or layer-cam
            face: which of the faces that predict lists, from 0; by default the one that decided

        Returns:
            result (what predict returns), and map (the picture with the map over it; none where there is no face)
        """
        try:
            found = service.explain(given(picture), None if label == "verdict" else label, method, face)
        except FakefaceError as error:
            raise gr.Error(str(error), print_exception=False) from None
        if isinstance(found, Result):
            return found.to_dict(), None
        path = save_pil_to_cache(found.overlay(), get_upload_folder(), format="jpeg")
        maps.add(path)
        return found.result.to_dict(), gr.FileData(path=path)

    def provenance(picture: gr.FileData) -> dict[str, Any]:
        """Read what a picture file says it has been through, without looking at the picture.

        Parameters:
            picture: an https address, a data: URI, or a file that was uploaded here

        Returns:
            format, size (bytes), sha256, jpeg_quality (estimated), content_credentials (whether a C2PA manifest is
            there), credentials (null without; else state: "trusted", "untrusted", "tampered", "invalid", "unchecked" or
            "elsewhere", signer, tool, date, problem), claims (name, value, made_by where it names a generator, and
            "generated" or "camera" where it says so). Anyone can write or wipe claims; absence means nothing. If the
            file cannot be read: error
        """
        try:
            return service.provenance(given(picture)).to_dict()
        except PictureError as error:
            return {"error": str(error)}

    for function, outputs in ((predict, ["result"]), (predict_many, ["results"]), (explain, ["result", "map"])):
        _add(page, function, outputs)
    _add(page, provenance, ["provenance"])


def given(picture: Any) -> dict[str, Any]:
    """A picture as a request gave it, as `Service` takes it: an uploaded file, or the text that assistants send."""
    if isinstance(picture, str):
        return {"path": picture}
    return dict(picture) if isinstance(picture, dict) else {}


def _add(page: gr.Blocks, function: Callable[..., Any], outputs: list[str]) -> None:
    """Add an endpoint under the names of its parameters and outputs, where Gradio would number them."""
    event = api(function, api_name=function.__name__, api_description=_described(function), concurrency_id=JUDGE)
    known = page.fns[event["id"]]
    names = (*inspect.signature(function).parameters, *outputs)
    for component, name in zip((*known.inputs, *known.outputs), names, strict=True):
        component.label = name  # pyright: ignore


def _described(function: Callable[..., Any]) -> str:
    """What its docstring says but for the parameters, which are described one by one: in sentences, not in lines."""
    head, _, rest = (inspect.getdoc(function) or "").partition("\n\nParameters:")
    _, _, returns = rest.partition("Returns:")
    return f"{' '.join(head.split())} Returns: {' '.join(returns.split()).removesuffix('.')}."
