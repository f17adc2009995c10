"""The fakeface Space: drop a picture, read the verdict, see where the model looked.

    python space/app.py                                   # http://127.0.0.1:7860
    FAKEFACE_MODEL=path/or/hub-id PORT=8000 python space/app.py

A thin face on `fakeface`: what it shows, the package said. `README.md` beside this file lists the settings.
"""

import os

# Read once, when Gradio is imported: no usage statistics, and no list of past pictures in the visitor's browser.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["GRADIO_RUN_HISTORY"] = "False"

from pathlib import Path

from endpoints import add_endpoints
from gradio.themes import Default
from gradio.utils import get_upload_folder
from page import About, build
from service import Service
from settings import SettingError, Settings

from fakeface import Detector, FaceFinderError, ModelFolderError, default_model

HERE = Path(__file__).parent
EXAMPLES = (("Portrait", "portrait.jpg"), ("Tiny copy", "tiny.jpg"), ("No face", "coffee.jpg"))


def main() -> None:
    try:
        settings = Settings.from_environment()
        model = settings.model or default_model()
        detector = Detector.from_pretrained(model, device=settings.device, max_faces=settings.max_faces)
    except (FaceFinderError, ModelFolderError, SettingError, ValueError) as error:
        raise SystemExit(str(error)) from None
    if settings.thresholds:
        detector.config.threshold_real, detector.config.threshold_generated = settings.thresholds
    examples = tuple((name, HERE / "examples" / file) for name, file in EXAMPLES)
    # A Hub id is worth stating whole; of a folder its name will do.
    about = About(Path(model).name if Path(model).is_dir() else str(model), model, examples)
    service = Service(detector, settings, [get_upload_folder(), HERE / "examples"])
    page = build(service, about)
    with page:
        add_endpoints(page, service)
    page.queue(max_size=settings.queue, default_concurrency_limit=settings.concurrency)
    fonts = ["system-ui", "sans-serif"]  # Gradio's own themes bring fonts that the page would have to fetch
    page.launch(
        server_name=settings.host,
        server_port=settings.port,
        max_file_size=settings.limits.max_bytes,
        allowed_paths=[str(HERE / "examples")],
        footer_links=["api"],
        ssr_mode=False,
        theme=Default(primary_hue="slate", neutral_hue="slate", font=fonts, font_mono=["monospace"]),
        css_paths=HERE / "style.css",
    )


if __name__ == "__main__":
    main()
