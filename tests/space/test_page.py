"""What the page is built of."""

from pathlib import Path

from gradio.route_utils import delete_files_created_by_app
from page import About, build
from samples import shipped
from service import Service
from settings import Settings
from tiny import tiny_folder, tiny_model

from fakeface import Detector, FakeFaceImageProcessor


def test_pictures_on_buttons_are_still_there_when_the_files_of_visitors_are_gone(tmp_path: Path):
    examples = shipped()
    service = Service(Detector(tiny_model(), FakeFaceImageProcessor(size=32)), Settings(), [tmp_path])
    page = build(service, About("tiny", tiny_folder(tmp_path / "model"), examples))
    icons = [icon for block in page.blocks.values() if (icon := getattr(block, "icon", None))]
    assert len(icons) == len(examples)
    delete_files_created_by_app(page, age=None)
    assert all(Path(icon["path"]).is_file() for icon in icons)
    assert all(path.is_file() for _, path in examples)
