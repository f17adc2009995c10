"""Every figure of `fakeface explain --figure`, as PNG and on one page, from a dataset of any kind."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import SIZE, picture, tiny_folder
from typer.testing import CliRunner

from fakeface.cli import commands as cli
from fakeface.data.loading import DataError
from fakeface.detector.detector import Detector
from fakeface.reports.sheets import flowing, sheet
from fakeface.visualise.figures import FIGURES, Choices, draw, write


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures of four makers, one of them broken."""
    folder = tmp_path_factory.mktemp("faces")
    for part, count in (("real/lake", 3), ("real/hill", 2), ("generated/gan", 3), ("generated/diffusion", 1)):
        (folder / part).mkdir(parents=True)
        for number in range(count):
            picture(64, 64, seed=hash_of(part) + number).save(folder / part / f"{number}.png")
    (folder / "generated/diffusion/broken.png").write_bytes(b"no picture")
    return folder


def hash_of(text: str) -> int:
    return sum(map(ord, text))


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector.from_pretrained(
        tiny_folder(tmp_path_factory.mktemp("tiny"), "resnet50-cnn"), device="cpu", faces=False
    )


NAMES = {
    "seed": ["class-0-real", "class-1-generated", "maps"],
    "classes": ["class-0-real", "class-1-generated"],
    "cams": ["maps"],
    "means": ["means-real", "means-generated"],
    "filters": ["filters"],
    "features": ["features-trunk"],
    "channels": ["channels-trunk"],
    "layer": ["layer-trunk"],
}


@pytest.mark.parametrize("name", list(FIGURES))
def test_each_figure_is_drawn(name: str, detector: Detector, folder: Path):
    inputs = [str(folder / "real/lake/0.png")] if name == "features" else [str(folder)]
    figures = draw(name, detector, Choices(inputs, steps=2))
    assert [figure.name for figure in figures] == NAMES[name]
    for figure in figures:
        assert figure.picture.mode == "RGB"
        assert np.asarray(figure.picture).std() > 1
        assert figure.title
        assert figure.words


def test_the_maps_stand_generated_above_real(detector: Detector, folder: Path):
    (maps,) = draw("cams", detector, Choices([str(folder)]))
    # three of one generator, one of the other, whose broken picture is left out; five photographs below
    assert maps.picture.size == (8 + 5 * 168, 8 + 2 * 185)
    page = np.asarray(maps.picture)
    assert (page[20:150, 8 + 4 * 168 :] == 255).all()
    assert (page[205:335, 8 + 4 * 168 : 150 + 4 * 168] < 255).any()
    first = np.asarray(detector.explain(folder / "generated/diffusion/0.png").on_crop().resize((160, 160), 0))
    np.testing.assert_array_equal(page[8:168, 8:168], first)


def test_a_mean_map_is_the_mean_of_maps(detector: Detector, folder: Path):
    real, _ = draw("means", detector, Choices([str(folder)]))
    mean = np.mean([np.asarray(Image.open(path)) for path in folder.glob("real/*/*.png")], axis=0)
    tile = Image.fromarray(np.asarray(real.picture)[8:168, 8:168]).resize((SIZE, SIZE), Image.Resampling.BOX)
    smaller = Image.fromarray(np.rint(mean).astype(np.uint8)).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    assert np.abs(np.asarray(tile, float) - np.asarray(smaller, float)).mean() < 3


def test_the_files_are_the_figures_and_the_page_loads_nothing(detector: Detector, folder: Path, tmp_path: Path):
    figures = draw("classes", detector, Choices(steps=1))
    paths = write(figures, tmp_path / "out", "<script>")
    assert [path.name for path in paths] == ["class-0-real.png", "class-1-generated.png", "index.html"]
    with Image.open(paths[0]) as saved:
        assert saved.convert("RGB") == figures[0].picture
    page = paths[-1].read_text()
    assert page.count('<img src="data:image/png;base64,') == 2
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page


@pytest.mark.parametrize(
    ("name", "inputs", "message"),
    [
        ("portrait", [], "unknown figure 'portrait': choose one of seed, classes"),
        ("features", [], "features takes one picture, not 0"),
        ("cams", [], "no data given"),
    ],
)
def test_a_wrong_choice_is_refused(name: str, inputs: list[str], message: str, detector: Detector):
    with pytest.raises(ValueError, match=message):
        draw(name, detector, Choices(inputs))


def test_a_dataset_of_one_label_has_no_grid(detector: Detector, tmp_path: Path):
    (tmp_path / "real/lake").mkdir(parents=True)
    (tmp_path / "generated/gan").mkdir(parents=True)
    picture().save(tmp_path / "real/lake/0.png")
    (tmp_path / "generated/gan/broken.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="no generated picture there can be explained"):
        draw("cams", detector, Choices([str(tmp_path)]))


def test_the_command_writes_pictures_and_page(detector: Detector, folder: Path, tmp_path: Path):
    arguments = ["explain", str(folder), "--figure", "cams", "--out", str(tmp_path), "--model", detector.name]
    result = CliRunner().invoke(cli.app, [*arguments, "--no-faces"])
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines() == [str(tmp_path / "maps.png"), str(tmp_path / "index.html")]
    assert "Maps: generated above, real below" in (tmp_path / "index.html").read_text()


def test_captions_are_cut_and_groups_stay_together():
    tile = Image.new("RGB", (4, 4), "red")
    groups = [[(tile, "a" * 100), (tile, "b")], [(tile, ""), (tile, "")]]
    rows = flowing(groups, columns=3)
    assert [len(row) for row in rows] == [2, 2]
    page = np.asarray(sheet(rows, tile=40))
    assert page.shape == (8 + 2 * 65, 8 + 2 * 48, 3)
    assert (page[:, 48:56] == 255).all()  # no caption reaches the next picture
