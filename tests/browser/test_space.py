"""One picture in the Space's page: verdict, scale, faces, map, and what a broken file gets."""

import base64
import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import Locator, Page, expect

from fakeface import Detector
from fakeface.app.samples import EXAMPLES
from fakeface.app.tables import evaluation_page, report_of

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
    expect(panel).to_contain_text("Take this as a reason to look closer, not as proof.")
    # and marks the score between the two thresholds, for eyes and for screen readers
    meter = panel.get_by_role("meter")
    expect(meter).to_have_attribute("aria-valuenow", f"{result.score:.3f}")
    expect(meter).to_contain_text(f"score {result.score:.3f}")
    lines = panel.get_by_role("list", name="The lines on the scale").get_by_role("listitem")
    expect(lines).to_have_text(
        ["Looks like a photograph up to 0.32", "Cannot tell in between", "Looks generated from 0.5"]
    )
    # and lays colours over the square around the face, and only there
    boxed, layer = page.locator("#overlay .whole img").all()
    upright = np.asarray(Image.open(picture).transpose(Image.Transpose.ROTATE_270), dtype=np.float32)
    assert np.abs(pixels(boxed) - upright).mean() < 6  # what saving it again changes
    opacity = pixels(layer, "RGBA")[..., 3]
    assert opacity.shape == (240, 320)
    assert opacity[20:94, 110:184].max() > 240
    assert opacity[:, :109].max() == opacity[:, 185:].max() == opacity[95:].max() == 0


def test_the_slider_fades_the_map_in_the_browser_alone(page: Page, picture: Path):
    upload(page, picture)
    layer = page.locator("#overlay .whole .layer")
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
        page.get_by_role("button", name="Save the picture with its verdict").click()
    saved = np.asarray(Image.open(download.value.path()).convert("RGB"), dtype=np.float32)
    # with the face beside it, and under it what was said
    assert saved.shape == (240 + 140, 640, 3)
    assert all(saved[top : top + 28].min() < 100 for top in range(240, 380, 28))
    saved = saved[:240, :320]
    boxed, shown = page.locator("#overlay .whole img").all()
    colours, opacity = np.split(pixels(shown, "RGBA"), [3], axis=2)
    expected = (colours * opacity + pixels(boxed) * (255 - opacity)) / 255
    assert np.abs(saved - expected).mean() < 2


def test_a_report_of_the_picture_can_be_kept(page: Page, picture: Path, detector: Detector):
    button = page.get_by_role("button", name="Save a report of this picture")
    expect(button).to_be_hidden()
    upload(page, picture)
    with page.expect_download() as download:
        button.click()
    sha256 = hashlib.sha256(picture.read_bytes()).hexdigest()
    assert download.value.suggested_filename == f"fakeface-{sha256[:8]}.html"
    kept = Path(download.value.path()).read_text("utf-8")
    result = detector(picture)
    assert result.verdict is not None
    for words in (sha256, WORDS[result.verdict], f"{result.score:.3f}", "portrait.jpg", "model tiny-cnn"):
        assert words in kept
    # It opens by itself, fits a phone, and asks for nothing
    asked: list[str] = []
    reader = page.context.new_page()
    reader.set_viewport_size({"width": 390, "height": 844})
    reader.on("request", lambda request: asked.append(request.url))
    reader.set_content(kept)
    expect(reader.get_by_role("heading", level=1)).to_have_text(WORDS[result.verdict])
    assert reader.evaluate("document.documentElement.scrollWidth") <= 390
    assert all(reader.evaluate("[...document.images].map((image) => image.naturalWidth > 0)"))
    assert [address for address in asked if not address.startswith("data:")] == []


def test_the_page_fits_its_width(page: Page, picture: Path):
    upload(page, picture)
    expect(page.locator("#overlay .boxed")).to_be_visible()
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = {name: page.locator(f"#{name}").bounding_box() for name in ("picture", "verdict", "evidence", "another")}
    tops = {name: box["y"] for name, box in boxes.items() if box}
    if width > 720:  # what was found stands beside the picture
        assert tops["picture"] == tops["verdict"] < min(tops["evidence"], tops["another"])
    else:  # or under it
        assert tops["picture"] < tops["verdict"] < tops["another"] < tops["evidence"]
    expect(page.locator("#address")).to_be_hidden()  # nor do the other ways in take its place
    expect(page.locator("#examples")).to_be_hidden()
    for tab in ("Many", "Accuracy"):
        page.get_by_role("tab", name=tab, exact=True).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("height", [800, 844])
def test_the_verdict_is_seen_without_scrolling(page: Page, picture: Path, group: Path, height: int):
    page.set_viewport_size({"width": page.viewport_size["width"] if page.viewport_size else 0, "height": height})
    for file in (picture, group):
        upload(page, file)
        expect(page.locator("#verdict h2")).to_be_in_viewport(ratio=1)
        expect(page.get_by_role("meter")).to_be_in_viewport(ratio=1)
        assert page.evaluate("scrollY") == 0
        page.get_by_role("button", name="Check another picture").click()
        expect(page.locator("#examples")).to_be_visible()
        page.evaluate("scrollTo(0, 0)")


@pytest.mark.parametrize("name", ["fakeface-resnet50-cnn", "fakeface-vit-b16-cnn"])
def test_a_shipped_models_figures_fit_too_and_stay_with_their_intervals(page: Page, repo: Path, name: str):
    # The test's own model has no evaluation: put the shipped one's where the page has it
    page.get_by_role("tab", name="Accuracy", exact=True).click()
    page.locator("#evaluation .prose").evaluate(
        "(prose, html) => prose.innerHTML = html", evaluation_page(report_of(repo / "checkpoints" / name))
    )
    expect(page.get_by_role("heading", name="Where it fails")).to_be_visible()
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # Nothing that is wider than the page is beyond reach: it scrolls within itself
    cut = page.evaluate(
        """() => [...document.querySelectorAll('#evaluation *')].filter((it) => !it.closest('.wide')
          && it.getBoundingClientRect().right > innerWidth).map((it) => it.outerHTML.slice(0, 80))"""
    )
    assert cut == []
    # An interval stands on the line of its figure
    lines = page.locator("#evaluation td").evaluate_all(
        """(cells) => cells.filter((cell) => {
          const range = document.createRange();
          range.selectNodeContents(cell);
          return new Set([...range.getClientRects()].map((line) => Math.round(line.top))).size > 1;
        }).map((cell) => cell.textContent)"""
    )
    assert lines == []


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


def test_a_group_gets_a_numbered_box_and_a_verdict_for_each_face(page: Page, group: Path):
    upload(page, group)
    panel = page.locator("#verdict")
    faces = page.get_by_role("list", name="The faces, the most generated first").get_by_role("listitem")
    expect(faces).to_have_count(3)
    expect(faces.nth(0)).to_contain_text("Face 1 looks ")
    expect(faces.nth(2)).to_contain_text("Face 3 could be either, score ")
    expect(faces.nth(2)).to_contain_text("too small to tell")
    expect(panel).to_contain_text("3 faces were judged")
    expect(panel).to_contain_text("among 3 faces one wrong call is likelier")
    figure = page.locator("#overlay")
    expect(figure.locator("img").first).to_have_attribute("alt", "The picture with 3 numbered faces")
    # and a map of whichever face is asked for
    maps = []
    for number in (2, 1):
        if number == 2:
            figure.locator('[data-face="1"]').click()
        else:
            page.get_by_role("button", name="Face 1").click()
        expect(figure.locator("figcaption")).to_contain_text(f"face {number}")
        expect(page.get_by_role("button", name=f"Face {number}")).to_have_attribute("aria-pressed", "true")
        maps.append(pixels(figure.locator(".whole .layer"), "RGBA")[..., 3])
    half = maps[0].shape[1] // 2
    assert min(maps[1][:, :half].max(), maps[0][:, half:].max()) > 150
    assert maps[1][:, half:].max() == maps[0][:, :half].max() == 0
    expect(page.get_by_role("button", name="Face 1")).to_be_focused()  # whoever chose it goes on from there
    # but none where its verdict is open
    page.get_by_role("button", name="Face 3").press("Enter")
    expect(figure.locator("figcaption")).to_have_text("No map, as the verdict is open, face 3")
    expect(figure.locator(".whole .layer")).to_have_count(0)
    expect(page.get_by_text("Map options")).to_be_hidden()


def test_without_a_face_nothing_is_guessed_and_a_tiny_one_is_said_to_be_too_small(page: Page):
    page.get_by_role("button", name="No face").click()
    panel = page.locator("#verdict")
    expect(panel.get_by_role("heading")).to_have_text("No face found")
    expect(panel).to_contain_text("crop the picture to it and try again")
    expect(panel.get_by_role("meter")).to_have_count(0)
    page.get_by_role("button", name="Check another picture").click()
    page.get_by_role("button", name="Tiny copy").click()
    expect(panel.get_by_role("heading")).to_have_text("Cannot tell")
    expect(panel).to_contain_text("The face is too small to judge. Look for a larger copy of the picture.")


def test_what_the_file_says_stands_below_and_is_text(page: Page, tmp_path: Path):
    info = PngInfo()
    info.add_text("parameters", "<b>portrait</b>, Steps: 20")
    Image.open(EXAMPLES / "portrait.jpg").save(tmp_path / "claims.png", pnginfo=info)
    upload(page, tmp_path / "claims.png")
    said = page.get_by_role("region", name="File details")
    expect(said).to_contain_text("512 x 512 pixels")
    expect(said).to_contain_text("The file itself says that a generative model was at work.")
    expect(said).to_contain_text("parameters: <b>portrait</b>, Steps: 20")
    expect(said).to_contain_text("What is not found means nothing")
    # Who it says made it stands beside the verdict, and apart from it
    notes = page.get_by_role("region", name="What the file says of itself")
    expect(notes).to_contain_text("The file says it was made by a Stable Diffusion program.")
    expect(notes).to_contain_text("Not part of the verdict or its score")
    page.get_by_role("button", name="Check another picture").click()
    expect(notes).to_have_count(0)


def test_the_curious_choose_label_and_method(page: Page):
    page.get_by_role("button", name="Portrait").click()
    caption = page.locator("#overlay figcaption")
    expect(caption).to_contain_text("Where it looks")
    page.get_by_text("Map options").click()
    for label, words in (("for “generated”", "generated"), ("for “photograph”", "like a photograph")):
        page.get_by_role("radio", name=label).check()
        expect(caption).to_have_text(f"Where it looks {words} to the model")
    before = page.locator("#overlay .whole .layer").get_attribute("src")
    assert before is not None
    page.get_by_role("radio", name="LayerCAM").check()
    expect(page.locator("#overlay .whole .layer")).not_to_have_attribute("src", before)
