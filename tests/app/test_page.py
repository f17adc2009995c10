"""What the page is built of."""

from pathlib import Path

from gradio.route_utils import delete_files_created_by_app
from tiny import tiny_folder, tiny_model

from fakeface import Detector, FakeFaceImageProcessor
from fakeface.app.page import About, build
from fakeface.app.samples import shipped_samples
from fakeface.app.service import Service
from fakeface.app.settings import Settings


def test_pictures_on_buttons_are_still_there_when_the_files_of_visitors_are_gone(tmp_path: Path):
    examples = shipped_samples()
    service = Service(Detector(tiny_model(), FakeFaceImageProcessor(size=32)), Settings(), [tmp_path])
    page = build(service, About("tiny", tiny_folder(tmp_path / "model"), examples))
    icons = [icon for block in page.blocks.values() if (icon := getattr(block, "icon", None))]
    assert len(icons) == len(examples)
    delete_files_created_by_app(page, age=None)
    assert all(Path(icon["path"]).is_file() for icon in icons)
    assert all(path.is_file() for _, path in examples)
