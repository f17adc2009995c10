"""Every way in, and everyone: paste, camera, address, keyboard alone, both themes, and axe-core's rules."""

import base64
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

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


def test_the_keyboard_is_enough(face_page: Page):
    tab_to(face_page, "Portrait")
    face_page.keyboard.press("Enter")
    expect(face_page.locator("#overlay figcaption")).to_be_visible()
    tab_to(face_page, "range slider for Strength of the colours")
    face_page.keyboard.press("End")
    expect(face_page.locator("#overlay .layer")).to_have_css("opacity", "1")
    tab_to(face_page, "For the curious")
    face_page.keyboard.press("Enter")
    tab_to(face_page, "for its verdict")
    face_page.keyboard.press("ArrowDown")
    expect(face_page.locator("#overlay figcaption")).to_have_text("Where it looks generated to the model")


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
def test_axe_core_finds_nothing_serious(face_page: Page, group: Path, dark: bool):
    if dark:
        face_page.get_by_role("button", name="Light or dark").click()
    face_page.locator("#picture input[type=file]").set_input_files(group)
    expect(face_page.locator("#overlay figcaption")).to_be_visible()
    face_page.get_by_text("For the curious").click()
    for tab in ("One picture", "Many", "How good"):
        face_page.get_by_role("tab", name=tab, exact=True).click()
        face_page.wait_for_timeout(500)  # what fades in has its contrast only then
        found = Axe().run(face_page).response["violations"]
        serious = [rule for rule in found if rule["impact"] in ("serious", "critical")]
        assert [(rule["id"], rule["nodes"][0]["html"]) for rule in serious] == []
