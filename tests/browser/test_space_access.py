"""Every way in, and everyone: paste, camera, address, keyboard alone, both themes, and axe-core's rules."""

import base64
import re
import urllib.request
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, expect

from fakeface.app.page import DESCRIPTION

pytestmark = pytest.mark.browser

VERDICTS = ("Looks generated", "Looks like a photograph", "Cannot tell", "No face found")


def expect_a_verdict(page: Page) -> None:
    expect(page.locator("#verdict h2")).to_be_visible()
    assert page.locator("#verdict h2").inner_text() in VERDICTS


def test_a_picture_can_be_pasted(page: Page, repo: Path):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.bring_to_front()  # only a page with the focus may read the clipboard
    content = base64.b64encode((repo / "docs" / "screenshot.png").read_bytes()).decode()
    page.evaluate(
        """async (content) => {
          const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
          await navigator.clipboard.write([new ClipboardItem({'image/png': new Blob([bytes], {type: 'image/png'})})]);
        }""",
        content,
    )
    page.locator("#picture").get_by_role("button", name="Paste from clipboard").click()
    expect_a_verdict(page)


def test_the_camera_takes_a_picture(page: Page):
    page.locator("#picture").get_by_role("button", name="Capture from camera").click()
    page.get_by_text("Click to Access Webcam").click()
    page.wait_for_function(
        "document.querySelector('#picture video')?.videoWidth > 0"
    )  # before, there is nothing to take
    page.get_by_role("button", name="capture photo").click()
    expect_a_verdict(page)


def test_an_address_of_an_inner_machine_is_refused_in_words(page: Page):
    box = page.get_by_label("or its address on the web")
    box.fill("https://127.0.0.1/portrait.jpg")
    page.get_by_role("button", name="Fetch it").click()
    expect(page.get_by_role("alert")).to_contain_text("is not on the public internet; download the picture yourself")
    box.fill("http://127.0.0.1:1/a.jpg")
    box.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("only https:// addresses are fetched")


def tab_to(page: Page, name: str) -> None:
    """Press the tabulator until what has this name has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if name in page.evaluate(
            """() => {
              const it = document.activeElement;
              if (it === document.body) return '';
              return [it.ariaLabel, it.textContent, it.labels?.[0]?.textContent].join(' ');
            }"""
        ):
            return
    raise AssertionError(f"the tabulator never reaches {name!r}")


def test_the_keyboard_is_enough(page: Page):
    tab_to(page, "Portrait")
    page.keyboard.press("Enter")
    expect(page.locator("#overlay figcaption")).to_be_visible()
    tab_to(page, "range slider for Strength of the colours")
    page.keyboard.press("End")
    expect(page.locator("#overlay .whole .layer")).to_have_css("opacity", "1")
    tab_to(page, "Map options")
    page.keyboard.press("Enter")
    tab_to(page, "for its verdict")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#overlay figcaption")).to_have_text("Where it looks generated to the model")


def test_the_focus_goes_to_the_answer_and_from_there_to_the_next_picture(page: Page, picture: Path):
    page.set_viewport_size({"width": (page.viewport_size or {})["width"], "height": 400})
    page.get_by_role("button", name="Portrait").click()
    expect(page.locator("#verdict h2")).to_be_focused()
    expect(page.locator("#verdict h2")).to_be_in_viewport(ratio=1)  # of which the examples were scrolled out
    with page.expect_file_chooser() as chooser:  # begun early: what it starts in the browser takes a moment
        page.keyboard.press("Shift+Tab")
        expect(page.get_by_role("button", name="Check another picture")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#picture button:focus")).to_contain_text("Drop a picture of a face here")
        page.keyboard.press("Enter")
    chooser.value.set_files(picture)
    expect(page.locator("#verdict h2")).to_be_focused()


def test_the_file_chooser_opens_by_keyboard(page: Page, picture: Path):
    with page.expect_file_chooser() as chooser:  # begun early: what it starts in the browser takes a moment
        tab_to(page, "Drop a picture of a face here")
        page.keyboard.press("Enter")
    chooser.value.set_files(picture)
    expect_a_verdict(page)


def test_the_theme_can_be_switched(page: Page):
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    page.get_by_role("button", name="Light or dark").click()
    assert page.evaluate(colour) != light
    page.get_by_role("button", name="Light or dark").click()
    assert page.evaluate(colour) == light


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_core_finds_nothing_serious(page: Page, group: Path, dark: bool):
    if dark:
        page.get_by_role("button", name="Light or dark").click()
    page.locator("#picture input[type=file]").set_input_files(group)
    expect(page.locator("#overlay figcaption")).to_be_visible()
    page.get_by_text("Map options").click()
    for tab in ("One picture", "Many", "Accuracy"):
        page.get_by_role("tab", name=tab, exact=True).click()
        page.wait_for_timeout(500)  # what fades in has its contrast only then
        found = Axe().run(page).response["violations"]
        serious = [rule for rule in found if rule["impact"] in ("serious", "critical")]
        assert [(rule["id"], rule["nodes"][0]["html"]) for rule in serious] == []


def test_everything_is_large_enough_for_a_finger(page: Page, group: Path):
    page.locator("#picture input[type=file]").set_input_files(group)
    expect(page.locator("#overlay figcaption")).to_be_visible()
    page.get_by_text("Map options").click()
    for tab in ("One picture", "Many", "Accuracy"):
        page.get_by_role("tab", name=tab, exact=True).click()
        page.wait_for_timeout(500)
        small = page.evaluate(
            """() => [...document.querySelectorAll('button, a[href], label:has(input[type=radio]), [type=range]')]
              .filter((it) => it.checkVisibility() && !it.closest('footer'))
              .filter((it) => { const box = it.getBoundingClientRect(); return box.width && box.height < 43.5; })
              .map((it) => `${it.className} ${it.ariaLabel ?? it.textContent}: ${it.getBoundingClientRect().height}`)"""
        )
        assert small == []


def test_the_page_says_what_it_is_and_where_it_comes_from(page: Page, space: str):
    with urllib.request.urlopen(space) as answer:
        html = answer.read().decode()
    assert f'property="og:description"\n\t\t\tcontent="{DESCRIPTION}"' in html
    (preview,) = re.findall(r'property="og:image" content="https://faces\.test(.*?)"', html)
    with urllib.request.urlopen(space.rstrip("/") + preview) as answer:
        assert Image.open(answer).size == (1200, 630)
    expect(page.get_by_role("link", name="Licence")).to_have_attribute("rel", "noopener noreferrer")
    expect(page.get_by_text("deleted within 20 minutes and used for nothing else")).to_be_visible()
