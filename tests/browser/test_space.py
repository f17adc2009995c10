"""The Space in a real headless Chromium: upload, verdict, scale, overlay, and what a broken file gets."""

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gradio_client import Client, handle_file
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, expect, sync_playwright

from fakeface import Detector, FakeFaceConfig, FakeFaceForImageClassification, FakeFaceImageProcessor

pytestmark = pytest.mark.browser

# Seconds, for a machine that does other work too; an idle one starts the Space in ten and answers in one.
STARTING, ANSWERING = 600, 60
WORDS = {"generated": "Looks generated", "real": "Looks like a photograph", "uncertain": "Cannot tell"}


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(7)
    config = FakeFaceConfig(
        architecture="cnn",
        image_size=32,
        conv_widths=[8, 12],
        fc_widths=[16],
        threshold_real=0.32,
        threshold_generated=0.914,
        target_fpr=0.01,
    )
    model: Any = FakeFaceForImageClassification(config)
    torch.nn.init.normal_(model.classifier.out.weight)  # the initial one is undecided about everything
    folder = tmp_path_factory.mktemp("models") / "tiny-cnn"
    model.save_pretrained(folder)
    FakeFaceImageProcessor(size=32).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def detector(model_folder: Path) -> Detector:
    return Detector.from_pretrained(model_folder, device="cpu")


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A landscape of 320 x 240 as a phone stores it: a strongly compressed JPEG, sideways, turned upright by EXIF."""
    noise = np.random.default_rng(3).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    upright = Image.fromarray(noise).resize((320, 240), Image.Resampling.BICUBIC)
    ImageDraw.Draw(upright).ellipse((110, 40, 210, 200), fill=(214, 168, 140))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    path = tmp_path_factory.mktemp("pictures") / "portrait.jpg"
    upright.transpose(Image.Transpose.ROTATE_90).save(path, quality=60, exif=exif)
    return path


@pytest.fixture(scope="module")
def space(repo: Path, model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running Space."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    address, scratch = f"http://127.0.0.1:{port}/", tmp_path_factory.mktemp("space")
    log = scratch / "log.txt"
    environment = {
        **os.environ,
        "FAKEFACE_MODEL": str(model_folder),
        "PORT": str(port),
        "CUDA_VISIBLE_DEVICES": "",
        "GRADIO_TEMP_DIR": str(scratch / "uploads"),
    }
    command = [sys.executable, str(repo / "space" / "app.py")]
    with log.open("w") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as server:
        try:
            wait_for(address, server, log)
            yield address
        finally:
            server.terminate()
    assert "Traceback" not in log.read_text()


def wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTING
    while not answers(address):
        assert server.poll() is None, f"the Space ended:\n{log.read_text()}"
        assert time.monotonic() < deadline, f"the Space does not answer:\n{log.read_text()}"
        time.sleep(0.2)


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=ANSWERING):
            return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip("needs Chromium or Chrome: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=[1280, 390], ids=["desktop", "phone"])
def page(request: pytest.FixtureRequest, browser: Browser, space: str) -> Iterator[Page]:
    """The page, open and ready, at two widths; fails if it wrote an error or asked another host for anything."""
    context = browser.new_context(viewport={"width": request.param, "height": 844})
    context.set_default_timeout(ANSWERING * 1000)
    expect.set_options(timeout=ANSWERING * 1000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: complaints.append(request.url) if is_outside(request.url, space) else None)
    page.goto(space)
    expect(page.get_by_text("The verdict will appear here.")).to_be_visible()
    yield page
    context.close()
    assert complaints == []


def is_outside(url: str, space: str) -> bool:
    return not url.startswith((space, "data:", f"blob:{space}"))


def upload(page: Page, file: Path) -> None:
    page.locator("#picture input[type=file]").set_input_files(file)


def array(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB"), dtype=np.int16)


def test_a_picture_gets_verdict_scale_and_overlay(page: Page, picture: Path, detector: Detector):
    result = detector(picture)
    assert result.verdict is not None
    # When a picture is dropped
    upload(page, picture)
    # Then the page says in words what the detector says
    panel = page.locator("#verdict")
    expect(panel.get_by_role("heading")).to_have_text(WORDS[result.verdict])
    expect(panel).to_contain_text("of 100 real photos about 1 is called generated")
    expect(panel).to_contain_text(result.reasons[0])
    # and marks the score between the two thresholds, for eyes and for screen readers
    meter = panel.get_by_role("meter")
    expect(meter).to_have_attribute("aria-valuenow", f"{result.score:.3f}")
    expect(meter).to_contain_text(f"score {result.score:.3f}")
    lines = panel.get_by_role("list", name="The lines on the scale").get_by_role("listitem")
    expect(lines).to_have_text(
        ["Looks like a photograph up to 0.32", "Cannot tell in between", "Looks generated from 0.914"]
    )
    # and lays colours over the square that the model saw, and only there
    image = page.locator("#overlay img")
    expect(image).to_be_visible()
    address = image.get_attribute("src")
    assert address is not None
    overlay = array(Image.open(io.BytesIO(page.request.get(address).body())))
    upright = array(Image.open(picture).transpose(Image.Transpose.ROTATE_270))
    assert overlay.shape == upright.shape == (240, 320, 3)
    difference = np.abs(overlay - upright).mean(2)
    assert difference[:, 40:280].max() > 60
    assert difference[:, :36].mean() < 6  # what the browser's picture format changes
    assert difference[:, 284:].mean() < 6


def test_the_page_fits_its_width(page: Page, picture: Path):
    upload(page, picture)
    expect(page.locator("#overlay img")).to_be_visible()
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = {name: page.locator(f"#{name}").bounding_box() for name in ("picture", "verdict", "evidence")}
    tops = {name: box["y"] for name, box in boxes.items() if box}
    if width > 720:  # the two pictures side by side, the verdict below
        assert tops["picture"] == tops["evidence"] < tops["verdict"]
    else:  # one below the other, the verdict in the middle
        assert tops["picture"] < tops["verdict"] < tops["evidence"]


def test_a_broken_file_gets_a_message_and_the_next_picture_a_verdict(page: Page, picture: Path, tmp_path: Path):
    broken = tmp_path / "holiday <b>.jpg"  # names are text, never markup
    broken.write_text("this is not a picture")
    upload(page, broken)
    expect(page.get_by_role("alert")).to_contain_text("This picture could not be judged")
    expect(page.get_by_role("alert")).to_contain_text("holiday <b>.jpg: ")
    expect(page.locator("#overlay")).to_have_count(0)
    # The panel is emptied with the picture
    page.locator("#picture").get_by_role("button", name="Remove Image").click()
    expect(page.get_by_text("The verdict will appear here.")).to_be_visible()
    upload(page, picture)
    expect(page.get_by_role("meter")).to_be_visible()


def test_programs_get_the_same_verdict_on_the_same_bytes(space: str, picture: Path, detector: Detector):
    # Saved again on the way, the score would differ; lost EXIF would turn the picture
    client = Client(space, verbose=False)
    answer = client.predict(handle_file(picture), api_name="/predict")
    expected = detector(picture).to_dict()
    assert answer.pop("score") == pytest.approx(expected.pop("score"), abs=1e-6)
    assert answer == {**expected, "picture": "portrait.jpg"}


def test_programs_get_a_refusal_as_data(space: str, tmp_path: Path):
    empty = tmp_path / "empty.png"
    empty.touch()
    answer = Client(space, verbose=False).predict(handle_file(empty), api_name="/predict")
    assert (answer["score"], answer["verdict"]) == (None, None)
    assert answer["error"].startswith("empty.png: ")


@pytest.mark.parametrize("path", ["{picture}", "https://192.0.2.1/portrait.jpg", "portrait\0.jpg", ""])
def test_a_request_cannot_name_a_file_or_an_address(space: str, picture: Path, path: str):
    # Given a request written by hand, without the mark that makes Gradio check its path
    body = json.dumps({"data": [{"path": path.format(picture=picture)}]}).encode()
    request = urllib.request.Request(
        f"{space}gradio_api/call/predict", body, headers={"Content-Type": "application/json"}
    )
    # When it names a picture that was not uploaded
    with urllib.request.urlopen(request, timeout=ANSWERING) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{space}gradio_api/call/predict/{event}", timeout=ANSWERING) as answer:
        (result,) = json.loads(answer.read().decode().split("data: ", 1)[1])
    # Then there is no verdict, and nothing said about the file
    assert result["verdict"] is None
    assert result["error"] == "picture: no picture arrived; choose one and send it again"
