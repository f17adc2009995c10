"""Serve the page and its endpoints; `/ready` answers once the model is loaded.

It needs no network unless the environment names a model of the Hub. `space/README.md` lists the settings.
"""

import os

# Read once, when Gradio is imported: no usage statistics, and no list of past pictures in the visitor's browser.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["GRADIO_RUN_HISTORY"] = "False"

if os.environ.get("SPACES_ZERO_GPU"):  # must come before torch: it lends GPUs call by call
    from spaces import GPU as on_gpu  # pyright: ignore[reportMissingImports]  # the Hub's machines have it
else:
    on_gpu = None

import tempfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from fastapi.responses import FileResponse
from gradio.i18n import I18n
from gradio.themes import Default
from gradio.utils import get_upload_folder

from ..detector import Detector
from ..model_folder import default_model
from ..utils.errors import FakefaceError
from .endpoints import add_endpoints
from .page import DESCRIPTION, WIDGET_WORDS, About, build, head
from .samples import samples, shipped_samples
from .service import Service
from .settings import SettingError, Settings

HERE = Path(__file__).parent
PREVIEW = "/preview.png"


def main(port: int | None = None, fast: bool = False, operating_point: str | None = None) -> None:
    """Serve until the process is told to end; what keeps it from starting is said in one line.

    Args:
        port: to listen on; by default what the environment says, else 7860.
        fast: where the environment names no model, take the quicker of those that fakeface ships.
        operating_point: as of `Detector.from_pretrained`; by default what the environment says.
    """
    with tempfile.TemporaryDirectory() as scratch:
        try:
            settings = Settings.from_environment()
            if port:
                settings = replace(settings, port=port)
            if operating_point and settings.thresholds:
                raise SettingError("an operating point and FAKEFACE_THRESHOLDS exclude each other; leave out one")
            if operating_point:
                settings = replace(settings, operating_point=operating_point)
            model = settings.model or default_model(fast)
            detector = Detector.from_pretrained(
                model,
                device=settings.device,
                max_faces=settings.max_faces,
                operating_point=settings.operating_point,
            )
            examples = samples(settings.examples, Path(scratch)) if settings.examples else shipped_samples()
        except FakefaceError as error:
            raise SystemExit(str(error)) from None
        if settings.thresholds:
            detector.config.threshold_real, detector.config.threshold_generated = settings.thresholds
            detector.config.group_thresholds = None  # they belong to the model's own
        # A Hub id is worth stating whole; of a folder its name will do.
        about = About(Path(model).name if Path(model).is_dir() else str(model), model, examples)
        folders = [get_upload_folder(), *{path.parent for _, path in examples}]
        service = Service(detector, settings, folders)
        if on_gpu:
            for name in ("judge", "judge_many", "explain"):
                setattr(service, name, on_gpu(getattr(service, name)))
        serve(service, about)


def serve(service: Service, about: About) -> None:
    """Serve page, endpoints and `/ready` until the process is told to end."""
    settings = service.settings
    page = build(service, about)
    with page:
        add_endpoints(page, service)
    page.queue(max_size=settings.queue, default_concurrency_limit=settings.concurrency)
    tools = find_spec("mcp") is not None
    if tools:
        from .tools import install

        install()
    fonts = ["system-ui", "sans-serif"]  # Gradio's own themes bring fonts that the page would have to fetch
    app, _, _ = page.launch(
        server_name=settings.host,
        server_port=settings.port,
        max_file_size=settings.limits.max_bytes,
        allowed_paths=sorted({str(path.parent) for _, path in about.examples}),
        mcp_server=tools,
        footer_links=["api"],
        ssr_mode=False,
        theme=Default(primary_hue="slate", neutral_hue="slate", font=fonts, font_mono=["monospace"]),
        css_paths=HERE / "style.css",
        head=head(),
        i18n=I18n(en=WIDGET_WORDS),
        prevent_thread_lock=True,
    )
    # Gradio's template tells both to link previews, which take a picture only from a whole address.
    page.config["simple_description"] = DESCRIPTION  # pyright: ignore
    if settings.site:
        page.config["thumbnail"] = f"{settings.site}{PREVIEW}"  # pyright: ignore
    app.add_api_route(PREVIEW, lambda: FileResponse(HERE / "preview.png"))
    device = str(service.detector.model.device)
    app.add_api_route("/ready", lambda: {"ready": True, "model": about.name, "device": device})
    page.block_thread()
