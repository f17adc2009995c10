"""Take the README's screenshot: start the Space, judge a picture, save the page as PNG.

    python benchmarks/screenshot.py                                     # docs/screenshot.png, with the default model
    python benchmarks/screenshot.py --preview                           # fakeface/app/preview.png, which links show
    python benchmarks/screenshot.py --picture other.jpg --model path/to/folder --width 390 --dark --output phone.png

Needs Chromium or Chrome (on Debian and Ubuntu: apt-get install chromium).
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 600  # seconds
PREVIEW = (1200, 630)  # pixels: what sites that show links make room for


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    picture = ROOT / "space" / "examples" / "generated.jpg"
    parser.add_argument("--picture", type=Path, default=picture, help="mind who owns it (default: %(default)s)")
    parser.add_argument("--model", help="model folder or Hub id (default: that of Detector)")
    parser.add_argument("--width", type=int, default=1280, help="of the window in pixels (default: %(default)s)")
    parser.add_argument("--dark", action="store_true", help="in the dark theme")
    parser.add_argument("--preview", action="store_true", help="the upper part, in the size of link previews")
    parser.add_argument("--output", type=Path, help="default: docs/screenshot.png, or fakeface/app/preview.png")
    options = parser.parse_args()
    if options.preview:
        options.width = PREVIEW[0]
    if options.output is None:
        options.output = ROOT / ("fakeface/app/preview.png" if options.preview else "docs/screenshot.png")

    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("needs Chromium or Chrome: apt-get install chromium")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    environment = {**os.environ, "PORT": port, **({"FAKEFACE_MODEL": options.model} if options.model else {})}
    with subprocess.Popen([sys.executable, str(ROOT / "space" / "app.py")], env=environment) as server:
        try:
            take(f"http://127.0.0.1:{port}/", server, program, options)
        finally:
            server.terminate()
    shrink(options.output)
    print(f"{options.output}: {options.output.stat().st_size / 1000:.0f} kB")


def take(address: str, server: subprocess.Popen[bytes], program: str, options: argparse.Namespace) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            urllib.request.urlopen(address, timeout=PATIENCE).close()
            break
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                sys.exit("the Space did not start; its own message is above")
            time.sleep(0.5)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        height = PREVIEW[1] if options.preview else 844
        page = browser.new_page(viewport={"width": options.width, "height": height})
        page.set_default_timeout(PATIENCE * 1000)
        page.goto(f"{address}?__theme={'dark' if options.dark else 'light'}")
        page.locator("#picture input[type=file]").set_input_files(options.picture)
        page.locator("#overlay figcaption").wait_for()
        page.wait_for_timeout(1500)  # until the pictures have faded in
        page.mouse.move(0, 0)
        page.screenshot(path=options.output, full_page=not options.preview, animations="disabled")
        browser.close()


def shrink(path: Path) -> None:
    """To 256 colours, dithered: a third of the bytes. Maximum coverage keeps the rare colours of the map."""
    with Image.open(path) as shot:
        full = shot.convert("RGB")
    palette = full.quantize(256, Image.Quantize.MAXCOVERAGE)
    full.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)


if __name__ == "__main__":
    main()
