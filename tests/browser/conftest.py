"""A running Space, and pages of a real headless Chromium on it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from serving import ANSWERING, serve

from fakeface import Detector, FakeFaceConfig, FakeFaceForImageClassification, FakeFaceImageProcessor
from fakeface.app.samples import EXAMPLES


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(7)
    config = FakeFaceConfig(
        architecture="cnn",
        image_size=32,
        conv_widths=[8, 12],
        fc_widths=[16],
        threshold_real=0.32,
        threshold_generated=0.5,
        target_fpr=0.01,
    )
    model: Any = FakeFaceForImageClassification(config)
    torch.nn.init.normal_(model.classifier.out.weight)  # the initial one is undecided about everything
    folder = tmp_path_factory.mktemp("models") / "tiny-cnn"
    model.save_pretrained(folder)
    FakeFaceImageProcessor(size=32).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def detector(model_folder: Path) -> Detector:
    return Detector.from_pretrained(model_folder, device="cpu")


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face in 320 x 240 as a phone stores it: a strongly compressed JPEG, sideways, turned upright by EXIF."""
    upright = Image.new("RGB", (320, 240), (96, 112, 120))
    with Image.open(EXAMPLES / "portrait.jpg") as portrait:
        upright.paste(portrait.resize((240, 240), Image.Resampling.LANCZOS), (40, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    path = tmp_path_factory.mktemp("pictures") / "portrait.jpg"
    upright.transpose(Image.Transpose.ROTATE_90).save(path, quality=60, exif=exif)
    return path


@pytest.fixture(scope="session")
def group(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people in a row, the last one far away: the Space's own portrait at three sizes."""
    with Image.open(EXAMPLES / "portrait.jpg") as portrait:
        portrait.load()
    scene = Image.new("RGB", (1100, 520), (96, 112, 120))
    for side, left in ((512, 0), (400, 540), (110, 960)):
        scene.paste(portrait.resize((side, side), Image.Resampling.LANCZOS), (left, 4))
    path = tmp_path_factory.mktemp("groups") / "group.jpg"
    scene.save(path, quality=92)
    return path


@pytest.fixture(scope="session")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder by which tests slow down `space`, and give it addresses: `tests/helpers/try_space.py` says how."""
    return tmp_path_factory.mktemp("tried")


@pytest.fixture(scope="session")
def space(repo: Path, model_folder: Path, tried: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Space."""
    settings = {"FAKEFACE_MODEL": str(model_folder), "FAKEFACE_SITE": "https://faces.test", "TRY_FOLDER": str(tried)}
    with serve(repo, tmp_path_factory.mktemp("space"), "tests/helpers/try_space.py", **settings) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip("needs Chromium or Chrome: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
        )
        yield browser
        browser.close()


OpenPage = Callable[..., AbstractContextManager[Page]]


@pytest.fixture
def open_page(browser: Browser) -> OpenPage:
    """Opens the page of an address at a width; fails at its end if it wrote an error or asked another host.

    Where Gradio refuses an upload itself it writes an error: with `refused` that is not a fault.
    """

    @contextmanager
    def opened(address: str, width: int, refused: bool = False) -> Iterator[Page]:
        context = browser.new_context(viewport={"width": width, "height": 844})
        context.set_default_timeout(ANSWERING * 1000)
        expect.set_options(timeout=ANSWERING * 1000)
        page = context.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        if not refused:
            page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: complaints.append(request.url) if is_outside(request.url, address) else None)
        page.goto(address)
        expect(page.get_by_text("The verdict will appear here.")).to_be_visible()
        yield page
        context.close()
        assert complaints == []

    return opened


@pytest.fixture(params=[1280, 390], ids=["desktop", "phone"])
def page(request: pytest.FixtureRequest, open_page: OpenPage, space: str) -> Iterator[Page]:
    """The page of `space`, open and ready, at two widths."""
    with open_page(space, request.param) as page:
        yield page


def is_outside(url: str, space: str) -> bool:
    return not url.startswith((space, "data:", f"blob:{space}"))
