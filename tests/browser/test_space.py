"""One picture in the Space's page: verdict, scale, faces, map, and what a broken file gets."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import Locator, Page, expect

from fakeface import Detector

pytestmark = pytest.mark.browser

WORDS = {"generated": "Looks generated", "real": "Looks like a photograph", "uncertain": "Cannot tell"}


def upload(page: Page, file: Path) -> None:
    page.locator("#picture input[type=file]").set_input_files(file)


def pixels(image: Locator, mode: str = "RGB") -> np.ndarray:
    """Of a picture that stands in the page itself."""
    kind, content = (image.get_attribute("src") or "").split(",")
    assert kind in ("data:image/jpeg;base64", "data:image/png;base64")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert(mode), dtype=np.float32)


def test_a_picture_gets_verdict_scale_and_map(page: Page, picture: Path, detector: Detector):
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
    boxed, layer = page.locator("#overlay img").all()
    upright = np.asarray(Image.open(picture).transpose(Image.Transpose.ROTATE_270), dtype=np.float32)
    assert np.abs(pixels(boxed) - upright).mean() < 6  # what saving it again changes
    opacity = pixels(layer, "RGBA")[..., 3]
    assert opacity.shape == (240, 320)
    assert opacity[:, 40:280].max() > 240
    assert opacity[:, :40].max() == opacity[:, 280:].max() == 0


def test_the_slider_fades_the_map_in_the_browser_alone(page: Page, picture: Path):
    upload(page, picture)
    layer = page.locator("#overlay .layer")
    expect(layer).to_have_css("opacity", "0.65")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    slider = page.get_by_role("slider", name="Strength of the colours")
    slider.focus()
    slider.press("Home")
    expect(layer).to_have_css("opacity", "0")
    slider.press("End")
    expect(layer).to_have_css("opacity", "1")
    assert asked == []
    # and what is saved is what is seen
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the picture with its map").click()
    saved = np.asarray(Image.open(download.value.path()).convert("RGB"), dtype=np.float32)
    boxed, shown = page.locator("#overlay img").all()
    colours, opacity = np.split(pixels(shown, "RGBA"), [3], axis=2)
    expected = (colours * opacity + pixels(boxed) * (255 - opacity)) / 255
    assert np.abs(saved - expected).mean() < 2


def test_the_page_fits_its_width(page: Page, picture: Path):
    upload(page, picture)
    expect(page.locator("#overlay .boxed")).to_be_visible()
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = {name: page.locator(f"#{name}").bounding_box() for name in ("given", "verdict", "evidence")}
    tops = {name: box["y"] for name, box in boxes.items() if box}
    if width > 720:  # the two pictures side by side, the verdict below
        assert tops["given"] == tops["evidence"] < tops["verdict"]
    else:  # one below the other, the verdict in the middle
        assert tops["given"] < tops["verdict"] < tops["evidence"]
    for tab in ("Many", "How good"):
        page.get_by_role("tab", name=tab, exact=True).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_broken_file_gets_a_message_and_the_next_picture_a_verdict(page: Page, picture: Path, tmp_path: Path):
    broken = tmp_path / "holiday <b>.jpg"  # names are text, never markup
    broken.write_text("this is not a picture")
    upload(page, broken)
    expect(page.get_by_role("alert")).to_contain_text("This picture could not be judged")
    expect(page.get_by_role("alert")).to_contain_text("holiday <b>.jpg: ")
    expect(page.locator("#overlay img")).to_have_count(0)
    # The panel is emptied with the picture
    page.locator("#picture").get_by_role("button", name="Remove Image").click()
    expect(page.get_by_text("The verdict will appear here.")).to_be_visible()
    upload(page, picture)
    expect(page.get_by_role("meter")).to_be_visible()


def test_a_group_gets_a_numbered_box_and_a_verdict_for_each_face(face_page: Page, group: Path):
    upload(face_page, group)
    panel = face_page.locator("#verdict")
    faces = panel.get_by_role("list", name="The faces, by the numbers on their boxes").get_by_role("listitem")
    expect(faces).to_have_count(3)
    expect(faces.nth(0)).to_contain_text("Face 1 looks ")
    expect(faces.nth(2)).to_contain_text("Face 3 cannot tell")
    expect(faces.nth(2)).to_contain_text("too small to tell")
    expect(panel).to_contain_text("3 faces were judged")
    expect(panel).to_contain_text("among 3 faces one wrong call is likelier")
    figure = face_page.locator("#overlay")
    expect(figure.locator("img").first).to_have_attribute("alt", "The picture with 3 numbered faces")
    # and a map of whichever face is asked for
    maps = []
    for number in (1, 2):
        face_page.get_by_role("radio", name=f"Face {number}").check()
        expect(figure.locator("figcaption")).to_contain_text(f"face {number}")
        maps.append(pixels(figure.locator(".layer"), "RGBA")[..., 3])
    half = maps[0].shape[1] // 2
    assert min(maps[0][:, :half].max(), maps[1][:, half:].max()) > 150
    assert maps[0][:, half:].max() == maps[1][:, :half].max() == 0


def test_without_a_face_nothing_is_guessed_and_a_tiny_one_is_said_to_be_too_small(face_page: Page, repo: Path):
    face_page.get_by_role("button", name="No face").click()
    panel = face_page.locator("#verdict")
    expect(panel.get_by_role("heading")).to_have_text("No face found")
    expect(panel).to_contain_text("crop the picture to it and try again")
    expect(panel.get_by_role("meter")).to_have_count(0)
    face_page.get_by_role("button", name="Tiny copy").click()
    expect(panel.get_by_role("heading")).to_have_text("Cannot tell")
    expect(panel).to_contain_text("The face is too small to judge. Look for a larger copy of the picture.")


def test_what_the_file_says_stands_below_and_is_text(page: Page, tmp_path: Path):
    info = PngInfo()
    info.add_text("parameters", "<b>portrait</b>, Steps: 20")
    Image.new("RGB", (300, 200), (200, 120, 90)).save(tmp_path / "claims.png", pnginfo=info)
    upload(page, tmp_path / "claims.png")
    said = page.get_by_role("region", name="What the file says it has been through")
    expect(said).to_contain_text("300 x 200 pixels")
    expect(said).to_contain_text("The file itself says that a generative model was at work.")
    expect(said).to_contain_text("parameters: <b>portrait</b>, Steps: 20")
    expect(said).to_contain_text("What is not found means nothing")


def test_the_curious_choose_label_and_method(face_page: Page):
    face_page.get_by_role("button", name="Portrait").click()
    caption = face_page.locator("#overlay figcaption")
    expect(caption).to_contain_text("Where it looks")
    face_page.get_by_text("For the curious").click()
    for label, words in (("for “generated”", "generated"), ("for “photograph”", "like a photograph")):
        face_page.get_by_role("radio", name=label).check()
        expect(caption).to_have_text(f"Where it looks {words} to the model")
    before = face_page.locator("#overlay .layer").get_attribute("src")
    assert before is not None
    face_page.get_by_role("radio", name="LayerCAM").check()
    expect(face_page.locator("#overlay .layer")).not_to_have_attribute("src", before)
