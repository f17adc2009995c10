"""The fakeface Space: drop a picture, read the verdict, see where the model looked.

    python space/app.py                                   # http://127.0.0.1:7860
    FAKEFACE_MODEL=path/or/hub-id PORT=8000 python space/app.py

A thin face on `fakeface`: what it shows, the package said. `README.md` beside this file lists the settings. It starts
without network where the model's folder and the face model's file are named. `/ready` answers once the model is loaded.
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
from importlib.util import find_spec
from pathlib import Path

from endpoints import add_endpoints
from gradio.themes import Default
from gradio.utils import get_upload_folder
from page import About, build
from samples import SampleError, samples, shipped
from service import Service
from settings import SettingError, Settings

from fakeface import Detector, FaceFinderError, ModelFolderError, default_model
from fakeface.data.publish import HubError

HERE = Path(__file__).parent


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        try:
            settings = Settings.from_environment()
            model = settings.model or default_model()
            detector = Detector.from_pretrained(model, device=settings.device, max_faces=settings.max_faces)
            examples = samples(settings.examples, Path(scratch)) if settings.examples else shipped()
        except (FaceFinderError, HubError, ModelFolderError, SampleError, SettingError, ValueError) as error:
            raise SystemExit(str(error)) from None
        if settings.thresholds:
            detector.config.threshold_real, detector.config.threshold_generated = settings.thresholds
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
    fonts = ["system-ui", "sans-serif"]  # Gradio's own themes bring fonts that the page would have to fetch
    app, _, _ = page.launch(
        server_name=settings.host,
        server_port=settings.port,
        max_file_size=settings.limits.max_bytes,
        allowed_paths=sorted({str(path.parent) for _, path in about.examples}),
        mcp_server=find_spec("mcp") is not None,
        footer_links=["api"],
        ssr_mode=False,
        theme=Default(primary_hue="slate", neutral_hue="slate", font=fonts, font_mono=["monospace"]),
        css_paths=HERE / "style.css",
        prevent_thread_lock=True,
    )
    device = str(service.detector.model.device)
    app.add_api_route("/ready", lambda: {"ready": True, "model": about.name, "device": device})
    page.block_thread()


if __name__ == "__main__":
    main()
