"""What programs call: named endpoints, and tools of the Model Context Protocol where `gradio[mcp]` is installed.

Their docstrings are what the page "Use via API" and assistants read.
"""

from typing import Any, Literal

import gradio as gr
from gradio.events import api
from gradio.processing_utils import save_pil_to_cache
from gradio.utils import get_upload_folder
from page import JUDGE
from service import METHODS, Service

from fakeface import PictureError, Result


def add_endpoints(page: gr.Blocks, service: Service) -> None:
    """Add `/predict`, `/predict_many`, `/explain` and `/provenance` to a page, inside its `with` block."""
    maps: set[str] = set()
    page.temp_file_sets.append(maps)  # Gradio deletes them with the uploads

    def predict(picture: gr.FileData) -> dict[str, Any]:
        """Tell whether a face picture is a photograph or was made by a generative model.

        Parameters:
            picture: the picture, a file or an https address

        Returns:
            picture (its name), score (calibrated probability that it is generated, 0 to 1; null without a face),
            verdict ("real", "generated", "uncertain", "no face"; null if refused), reasons, error (why it was refused,
            else null), faces (box in pixels, score, verdict and reasons of each). A score is evidence, not proof.
        """
        return service.judge(dict(picture)).to_dict()

    def predict_many(pictures: list[gr.FileData]) -> list[dict[str, Any]]:
        """Tell of several face pictures whether each is a photograph or generated.

        Parameters:
            pictures: files or https addresses

        Returns:
            for each picture, in order, what predict returns
        """
        return [result.to_dict() for result, _ in service.judge_many([dict(picture) for picture in pictures])]

    def explain(
        picture: gr.FileData,
        label: Literal["verdict", "real", "generated"] = "verdict",
        method: str = METHODS[0],
        face: int | None = None,
    ) -> tuple[dict[str, Any], gr.FileData | None]:
        """Judge a face picture and lay a map over it of where the evidence lay.

        Parameters:
            picture: the picture, a file or an https address
            label: what to show evidence for: "real", "generated", or that of the verdict
            method: centred-cam, grad-cam, hires-cam or layer-cam
            face: which of the faces that predict lists, from 0; by default the one that decided

        Returns:
            what predict returns, and the picture with the map over it; null instead where there is no face
        """
        try:
            found = service.explain(dict(picture), None if label == "verdict" else label, method, face)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None
        if isinstance(found, Result):
            return found.to_dict(), None
        path = save_pil_to_cache(found.overlay(), get_upload_folder(), format="jpeg")
        maps.add(path)
        return found.result.to_dict(), gr.FileData(path=path)

    def provenance(picture: gr.FileData) -> dict[str, Any]:
        """Read what a picture file says it has been through, without looking at the picture.

        Parameters:
            picture: the picture, a file or an https address

        Returns:
            format, size (bytes), sha256, jpeg_quality (estimated), content_credentials (whether a C2PA manifest is
            there; its signature is not checked), claims (name, value, and "generated" or "camera" where it says so).
            Anyone can write or wipe them; absence means nothing. If the file cannot be read: error
        """
        try:
            return service.provenance(dict(picture)).to_dict()
        except PictureError as error:
            return {"error": str(error)}

    for function in (predict, predict_many, explain, provenance):
        api(function, api_name=function.__name__, concurrency_id=JUDGE)
