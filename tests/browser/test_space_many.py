"""Many pictures at once, and the model's own figures."""

import base64
import csv
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from playwright.sync_api import Page, expect

from fakeface import Detector
from fakeface.app.samples import EXAMPLES

pytestmark = pytest.mark.browser


def test_fifty_pictures_are_sorted_by_score_and_saved_as_csv(page: Page, detector: Detector, tmp_path: Path):
    with Image.open(EXAMPLES / "portrait.jpg") as opened:
        portrait = opened.crop((100, 20, 340, 260))
    files = [tmp_path / f"{number:02}.png" for number in range(50)]
    for number, file in enumerate(files):
        ImageEnhance.Brightness(portrait).enhance(0.5 + number / 50).save(file)
    files[7].write_text("not a picture")
    page.get_by_role("tab", name="Many", exact=True).click()
    expect(page.locator("#pictures")).to_contain_text("Drop pictures here")
    page.locator("#pictures input[type=file]").set_input_files(files)
    expect(page.get_by_role("button", name="Remove this file")).to_have_count(50)
    page.get_by_role("button", name="Judge them").click()
    expect(page.locator("#progress")).to_contain_text("50 pictures: ")
    # The page has every picture, the most generated first, and those that could not be read at the end
    names = page.locator("#gallery li small").all_inner_texts()
    results = {file.name: detector(file) for file in files if file != files[7]}
    expected = np.sort([result.score or 0 for result in results.values()])[::-1]
    assert [results[name].score for name in names[:-1]] == pytest.approx(expected, abs=1e-3)
    assert names[-1].startswith("07.png: not a picture")
    expect(page.locator("#progress")).to_contain_text("1 were not judged")
    assert page.evaluate("document.documentElement.scrollWidth") <= (page.viewport_size or {})["width"]
    # and the CSV stands in the link, in the order of the upload
    with page.expect_download() as download:
        page.get_by_role("link", name="Save as CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text("utf-8-sig"))))
    with page.expect_download() as download:
        page.get_by_role("link", name="Save as JSONL").click()
    assert len(Path(download.value.path()).read_text().splitlines()) == len(rows)
    assert [row["picture"] for row in rows] == [file.name for file in files]
    assert float(rows[0]["score"]) == pytest.approx(results["00.png"].score, abs=1e-5)
    assert rows[7]["error"].startswith("07.png: ")


def test_more_than_the_limit_are_not_judged_but_counted(page: Page, picture: Path, tmp_path: Path):
    page.get_by_role("tab", name="Many", exact=True).click()
    expect(page.get_by_text("Up to 100 pictures at once, of 20 MB at most")).to_be_visible()
    files = [Path(shutil.copy(picture, tmp_path / f"{number}.jpg")) for number in range(102)]
    page.locator("#pictures input[type=file]").set_input_files(files)
    expect(page.get_by_role("button", name="Remove this file")).to_have_count(102)
    page.get_by_role("button", name="Judge them").click()
    expect(page.locator("#progress")).to_have_text("102 pictures are too many; remove 2 of them.")
    expect(page.locator("#gallery li")).to_have_count(0)
    expect(page.get_by_role("button", name="Judge them")).to_be_enabled()


def test_what_has_no_face_is_counted(page: Page, group: Path):
    page.get_by_role("tab", name="Many", exact=True).click()
    page.locator("#pictures input[type=file]").set_input_files([EXAMPLES / "coffee.jpg", group])
    expect(page.get_by_role("button", name="Remove this file")).to_have_count(2)
    page.get_by_role("button", name="Judge them").click()
    expect(page.locator("#progress")).to_contain_text("1 have no face")
    tiles = page.locator("#gallery li")
    expect(tiles.nth(0)).to_contain_text("3 faces")
    expect(tiles.nth(1)).to_contain_text("No face found")
    address = tiles.nth(0).locator("img").get_attribute("src") or ""
    assert base64.b64decode(address.removeprefix("data:image/jpeg;base64,")).startswith(b"\xff\xd8")


def test_a_tile_opens_its_result(page: Page, detector: Detector, picture: Path, group: Path):
    page.get_by_role("tab", name="Many", exact=True).click()
    page.locator("#pictures input[type=file]").set_input_files([EXAMPLES / "coffee.jpg", picture, group])
    expect(page.get_by_role("button", name="Remove this file")).to_have_count(3)
    page.get_by_role("button", name="Judge them").click()
    for file in (picture, group, picture):
        page.get_by_role("tab", name="Many", exact=True).click()
        page.get_by_role("button", name=f"Show the result of {file.name}").click()
        expect(page.get_by_role("tab", name="One picture")).to_have_attribute("aria-selected", "true")
        expect(page.locator("#verdict h2")).to_be_focused()
        expect(page.locator("#verdict")).to_contain_text(f"{detector(file).score:.3f}")
    expect(page.locator("#faces button")).to_have_count(0)


def test_a_model_without_an_evaluation_says_that_the_page_cannot_tell(page: Page):
    page.get_by_role("tab", name="Accuracy", exact=True).click()
    expect(page.locator("#evaluation")).to_contain_text("holds no evaluation of it")
