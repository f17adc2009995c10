"""A verdict never stands beside another picture, however quickly a visitor changes his mind, and none is lost.

Every try puts one picture on the page and another before the first is judged. All the while the page is looked at in
each frame that is painted: what is said there must be of the picture that is shown.
"""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageEnhance
from playwright.sync_api import Page, TimeoutError, expect

from fakeface import Detector
from fakeface.app.samples import EXAMPLES

pytestmark = pytest.mark.browser

SLOW = 0.4  # seconds that a judgement takes at least
TRIES = 10  # in each order, so 20 of each way
WAITS = (0, 20, 70, 150, 300)  # ms until the second picture; the last are about when the first is answered
# Each picture has a size of its own: by it the page's parts tell which picture they are of.
SIZES = {"slow": (320, 240), "quick": (300, 260), "pasted": (360, 250), "address": (340, 252)}
NOTHING = ["", "", "", ""]
TEXT = base64.b64encode(b"not a picture").decode()
BROKEN = ["0 x 0", "This picture could not be judged", "", ""]

LOOK = """() => {
  const size = (image) => image ? `${image.naturalWidth} x ${image.naturalHeight}` : '';
  const seen = (selector) => [...document.querySelectorAll(selector)].find((it) => it.checkVisibility());
  window.look = () => {
    const [shown, boxed] = [seen('#picture .image-frame img'), seen('#overlay .boxed')];
    if (shown?.complete === false || boxed?.complete === false) return null;
    const score = seen('#verdict [role=meter]')?.getAttribute('aria-valuenow');
    const said = seen('#said dl')?.textContent.match(/[0-9]+ x [0-9]+(?= pixels)/)?.[0] ?? '';
    return [size(shown), score ?? seen('#verdict h2')?.textContent ?? '', size(boxed), said];
  };
  window.found = new Set();
  const watch = () => { window.found.add(JSON.stringify(window.look())); requestAnimationFrame(watch); };
  watch();
}"""
# As from the desktop, which works whatever the widget shows
DROP = """([content, name, type]) => {
  const bytes = content
    ? Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0)) : new Uint8Array(21 * 2 ** 20);
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name, { type }));
  const target = document.querySelector('#picture .upload-container');
  target.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
}"""
COPY = """async (content) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  await navigator.clipboard.write([new ClipboardItem({ 'image/png': new Blob([bytes], { type: 'image/png' }) })]);
}"""


@dataclass
class Visit:
    """A page, the pictures to put there, and what it must say of each."""

    page: Page
    files: dict[str, Path]
    expected: dict[str, str]

    def drop(self, name: str) -> str:
        file = self.files[name]
        self.page.evaluate(DROP, [content(file), file.name, "image/png"])
        return name

    def choose(self, name: str) -> str:
        self.page.locator("#picture input[type=file]").set_input_files(self.files[name])
        return name

    def remove(self) -> str:
        self.page.locator("#picture").get_by_role("button", name="Remove Image").click()
        return "nothing"

    def paste(self) -> str:
        self.page.locator("#picture").get_by_role("button", name="Paste from clipboard").click()
        return "pasted"

    def camera(self) -> str:
        self.page.locator("#picture").get_by_role("button", name="Capture from camera").click()
        access = self.page.get_by_text("Click to Access Webcam")
        with suppress(TimeoutError):  # one from before was still on its way, and has arrived instead
            access.wait_for(timeout=5000)
        if not access.is_visible():
            self.remove()
        access.click()
        size = self.page.wait_for_function(
            """() => {
              const video = document.querySelector('#picture video');
              return video?.videoWidth && `${video.videoWidth} x ${video.videoHeight}`;
            }"""
        ).json_value()
        self.expected["camera"] = as_json([size, "No face found", "", ""])
        self.page.get_by_role("button", name="capture photo").click()
        return "camera"

    def start_over(self) -> None:
        """The other ways in are there while no picture is shown."""
        another = self.page.get_by_role("button", name="Check another picture")
        if another.is_visible():
            another.click()

    def address(self) -> str:
        self.start_over()
        self.page.get_by_label("or its address on the web").fill("https://pictures.test/address.png")
        self.page.get_by_role("button", name="Fetch it").click()
        return "address"

    def example(self) -> str:
        self.start_over()
        self.page.get_by_role("button", name="Portrait").click()
        return "portrait"

    def wait_for(self, name: str) -> None:
        """Wait until the page has all of this picture, and nothing else."""
        self.page.wait_for_function(
            "(wanted) => JSON.stringify(window.look()) === wanted", arg=self.expected[name], timeout=30_000
        )

    def wait_for_the_shown(self) -> None:
        """Wait until the page has all of the picture that is shown, whichever came last, and for nothing more."""
        self.page.wait_for_function(
            "(wanted) => window.look() && wanted.includes(JSON.stringify(window.look()))",
            arg=[parts for name, parts in self.expected.items() if name != "nothing"],
            timeout=30_000,
        )

    def check(self) -> None:
        """In no frame did a part of the page speak of another picture."""
        self.page.wait_for_timeout(1000 * SLOW)
        wanted = {parts[0]: parts for parts in map(json.loads, self.expected.values())}
        for frame in map(json.loads, self.page.evaluate("[...window.found]")):
            if frame is not None:
                whole = wanted[frame[0]]
                assert all(part in ("", right) for part, right in zip(frame, whole, strict=True)), (
                    f"{frame}, not {whole}"
                )


def as_json(parts: list[str]) -> str:
    return json.dumps(parts, separators=(",", ":"), ensure_ascii=False)


def content(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, group: Path) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("races")
    with Image.open(EXAMPLES / "portrait.jpg") as portrait:
        face = portrait.resize((240, 240), Image.Resampling.LANCZOS)
    files = {"group": folder / "group.png"}
    with Image.open(group) as three:
        three.resize((990, 468)).save(files["group"])  # small enough to be shown as it is
    for number, (name, size) in enumerate(SIZES.items()):
        picture = Image.new("RGB", size, (96, 112, 120))
        picture.paste(ImageEnhance.Brightness(face).enhance(0.4 + 0.3 * number), (20, 0))
        files[name] = folder / f"{name}.png"
        picture.save(files[name])
    return files


@pytest.fixture(scope="module")
def expected(files: dict[str, Path], detector: Detector) -> dict[str, str]:
    """What `look` finds when all is said of a picture, as JSON."""
    found = {"nothing": NOTHING, "broken": BROKEN}
    for name, file in {**files, "portrait": EXAMPLES / "portrait.jpg"}.items():
        result = detector(file)
        assert result.score is not None
        with Image.open(file) as picture:
            size = f"{picture.width} x {picture.height}"
        found[name] = [size, f"{result.score:.3f}", size, size]
    assert len({parts[1] for parts in found.values()}) == len(found)  # else scores would tell nothing
    return {name: as_json(parts) for name, parts in found.items()}


@pytest.fixture
def visit(
    request: pytest.FixtureRequest,
    open_page: Any,
    space: str,
    tried: Path,
    files: dict[str, Path],
    expected: dict[str, str],
) -> Iterator[Visit]:
    (tried / "address.png").write_bytes(files["address"].read_bytes())
    slow = tried / "slow"
    slow.write_text(str(SLOW))
    try:
        with open_page(space, 1280, refused="refused" in request.node.name) as page:
            page.context.grant_permissions(["clipboard-read", "clipboard-write", "camera"])
            page.bring_to_front()
            page.evaluate(COPY, content(files["pasted"]))
            page.evaluate(LOOK)
            yield Visit(page, files, {**expected})
    finally:
        slow.unlink()


SECOND: dict[str, Callable[[Visit], str]] = {
    "drop": lambda visit: visit.drop("quick"),
    "choose": lambda visit: visit.choose("quick"),
    "paste": Visit.paste,
    "camera": Visit.camera,
    "address": Visit.address,
    "example": Visit.example,
    "remove": Visit.remove,
}


@pytest.mark.parametrize("way", SECOND)
def test_a_second_picture_while_the_first_is_judged(visit: Visit, way: str):
    for number in range(TRIES):
        visit.drop("slow")
        expect(visit.page.locator("#picture .image-frame img")).to_be_visible()
        visit.page.wait_for_timeout(WAITS[number % len(WAITS)])
        visit.wait_for(SECOND[way](visit))
    visit.check()


@pytest.mark.parametrize("way", [way for way in SECOND if way != "remove"])
def test_another_while_what_came_this_way_is_judged(visit: Visit, way: str):
    for number in range(TRIES):
        SECOND[way](visit)
        visit.page.wait_for_timeout(WAITS[number % len(WAITS)])
        visit.drop("slow")
        if way in ("address", "example"):
            visit.wait_for("slow")
        visit.wait_for_the_shown()  # two uploads may arrive in either order
    visit.check()


@pytest.mark.parametrize("chooser", ["label", "method", "face"])
def test_a_choice_while_a_picture_is_judged_and_a_picture_while_a_choice_is_drawn(visit: Visit, chooser: str):
    page = visit.page
    names = {"label": ["for “generated”", "for “photograph”"], "method": ["LayerCAM", "HiResCAM"]}
    names["face"] = ["Face 1", "Face 2"]
    words = {"for “generated”": "generated", "for “photograph”": "photograph", "Face 1": "face 1", "Face 2": "face 2"}
    visit.drop("group")
    visit.wait_for("group")
    page.get_by_text("Map options").click()
    for number in range(TRIES):
        role = "button" if chooser == "face" else "radio"
        choice, other = (page.get_by_role(role, name=names[chooser][place]) for place in (number % 2, 1 - number % 2))
        # A choice, while an earlier is drawn
        other.click()
        page.wait_for_timeout(WAITS[number % len(WAITS)])
        choice.click()
        caption = page.locator("#overlay figcaption")
        expect(caption).to_contain_text(words.get(names[chooser][number % 2], "Where"))
        if chooser == "face":
            expect(choice).to_have_attribute("aria-pressed", "true")
        else:
            expect(choice).to_be_checked()
        # A picture, while a choice is drawn
        other.click()
        page.wait_for_timeout(WAITS[number % len(WAITS)])
        visit.drop("quick")
        visit.wait_for("quick")
        if chooser != "face":  # a choice stays for the next picture; a face is one of its own picture
            expect(other).to_be_checked()
            expect(caption).to_contain_text(words.get(names[chooser][1 - number % 2], "Where"))
        # A choice, while a picture is judged
        visit.drop("group")
        if chooser != "face":
            page.wait_for_timeout(WAITS[number % len(WAITS)])
            choice.check(force=True)  # drawn or not
            expect(caption).to_contain_text(words.get(names[chooser][number % 2], "Where"))
        visit.wait_for("group")
    visit.check()


def test_a_refused_upload_leaves_nothing_of_the_one_before(visit: Visit):
    shown = visit.page.locator("#picture .image-frame img")
    # Too large, so that it never arrives; and no picture at all, which only the server can tell
    for refused, left in ((["", "large.png", "image/png"], "nothing"), ([TEXT, "broken.png", "image/png"], "broken")):
        for number in range(TRIES):
            visit.drop("slow")
            expect(shown).to_be_visible()
            visit.page.wait_for_timeout(WAITS[number % len(WAITS)])
            if number % 2:
                visit.wait_for("slow")
            visit.page.evaluate(DROP, refused)
            visit.wait_for(left)
            if left == "broken":
                expect(visit.page.locator("#verdict").get_by_role("alert")).to_contain_text("broken.png: not a picture")
                visit.remove()
                visit.wait_for("nothing")
    visit.check()


def test_an_address_that_is_refused_leaves_nothing_of_the_one_before(visit: Visit):
    for _ in range(3):
        visit.drop("quick")
        visit.wait_for("quick")
        visit.start_over()
        visit.page.get_by_label("or its address on the web").fill("https://127.0.0.1/a.png")
        visit.page.get_by_role("button", name="Fetch it").click()
        expect(visit.page.locator("#verdict").get_by_role("alert")).to_contain_text("not on the public internet")
        expect(visit.page.locator("#overlay .boxed")).to_be_hidden()
        expect(visit.page.locator("#said dl")).to_be_hidden()
        expect(visit.page.locator("#picture .image-frame")).to_be_hidden()


def test_a_question_that_is_refused_is_said_to_be_and_what_is_shown_by_then_is_asked(visit: Visit):
    page, held = visit.page, list[Any]()
    full: Any = {"status": 503, "json": {"detail": "Queue is full."}}
    page.route("**/queue/join*", lambda route: route.fulfill(**full))
    visit.drop("slow")
    expect(page.locator("#verdict").get_by_role("alert")).to_contain_text("No answer")
    page.unroute_all()
    # It was on its way still, when another picture was chosen
    page.route("**/queue/join*", lambda route: route.continue_() if held else held.append(route))
    visit.drop("slow")
    while not held:
        page.wait_for_timeout(50)
    visit.drop("quick")
    page.wait_for_function("document.querySelector('#picture .image-frame img')?.src.includes('quick.png')")
    held[0].fulfill(**full)
    visit.wait_for("quick")


def test_many_pictures_and_others_while_these_are_judged(visit: Visit):
    page, files = visit.page, visit.files
    page.get_by_role("tab", name="Many", exact=True).click()
    start, tiles = page.get_by_role("button", name="Judge them"), page.locator("#gallery li small")
    for number in range(TRIES):
        page.locator("#pictures input[type=file]").set_input_files([files["slow"], files["address"], files["pasted"]])
        expect(page.get_by_role("button", name="Remove this file")).to_have_count(3)
        start.click()
        page.wait_for_timeout(WAITS[number % len(WAITS)])
        # One is taken away again, and what is left is judged
        page.get_by_role("button", name="Remove this file").first.click()
        expect(page.get_by_role("button", name="Remove this file")).to_have_count(2)
        start.click()
        for _ in range(2):  # and stays so, when the first three would have been judged
            expect(page.locator("#progress")).to_contain_text("2 pictures: ")
            expect(tiles).to_have_count(2)
            assert sorted(tiles.all_inner_texts()) == ["address.png", "pasted.png"]
            page.wait_for_timeout(2000 * SLOW)
        # Without pictures there is nothing to say
        page.locator("#pictures").get_by_role("button", name="Clear").click()
        expect(tiles).to_have_count(0)
        expect(page.locator("#progress")).to_have_text("")
