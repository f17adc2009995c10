"""The protocol of the Aggregated CNNs: places, scores, refusals, and what five real networks make of a picture."""

from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_layout import made
from PIL import Image
from torch import nn

from fakeface.aggregated_cnns.model import NETWORKS, AggregatedCNNs, cut, grid_places, network_score, random_places
from fakeface.aggregated_cnns.weights import WeightsError, make_network
from fakeface.images.load import PictureError


class Corner(nn.Module):
    """Logits that tell a patch's place, from the pixel at its corner: real is column, generated is row."""

    def __init__(self, tally: list[tuple[int, int]]) -> None:
        super().__init__()
        self.tally = tally

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        assert batch.shape[1:] == (3, 128, 128)
        mean, std = torch.tensor([0.485, 0.456]), torch.tensor([0.229, 0.224])
        places = ((batch[:, :2, 0, 0] * std + mean) * 255).round()
        self.tally += [(int(x), int(y)) for x, y in places]
        return places


def coordinates(width: int, height: int) -> Image.Image:
    """A picture whose red is the column and whose green is the row."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = np.arange(width)[None], np.arange(height)[:, None]
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    ("size", "patches", "columns", "rows"),
    [
        ((280, 280), 200, 10, 20),  # 16 pixels apart across, 8 down
        ((1024, 1024), 200, 10, 19),
        ((280, 280), 28, 4, 7),
        ((128, 128), 200, 1, 1),
        ((128, 280), 200, 1, 20),
        ((135, 136), 200, 1, 2),
    ],
)
def test_grid_is_that_of_jpeg_blocks_and_about_as_many_as_asked(size, patches, columns, rows):
    places = grid_places(size[0], size[1], patches)
    assert len(set(places)) == len(places) == columns * rows
    assert len({x for x, _ in places}) == columns
    assert all(x % 8 == 0 and y % 8 == 0 and x + 128 <= size[0] and y + 128 <= size[1] for x, y in places)


def test_random_places_reach_both_ends_and_no_further():
    places = random_places(131, 129, 200, np.random.default_rng(0))
    assert len(places) == 200
    assert {x for x, _ in places} == {0, 1, 2, 3}
    assert {y for _, y in places} == {0, 1}


def test_patches_are_normalised_as_imagenet_is():
    patch = cut(np.full((128, 140, 3), 255, np.uint8), [(12, 0)])
    assert patch.shape == (1, 3, 128, 128)
    assert patch[0, :, 5, 5].tolist() == pytest.approx([2.2489, 2.4286, 2.6400], abs=1e-4)


@pytest.mark.parametrize(
    ("logits", "score"),
    [
        ([[3.0, 1.0], [2.0, 1.5]], -3.0),  # none votes generated: minus the largest real
        ([[9.0, 1.0], [2.0, 2.5]], 2.5),  # one does: the largest generated
        ([[9.0, 4.0], [2.0, 2.5]], 4.0),  # … be it of a patch that votes real
        ([[1.0, 1.0]], -1.0),  # a tie is a vote for real
        ([[-2.0, -3.0]], 2.0),
    ],
)
def test_score_of_a_network(logits, score):
    assert network_score(np.array(logits)) == score


def test_first_network_sees_random_places_and_the_others_the_grid_at_native_size():
    tallies: list[list[tuple[int, int]]] = [[] for _ in NETWORKS]
    detector = AggregatedCNNs([Corner(tally) for tally in tallies], device="cpu")
    found = detector.network_scores(coordinates(250, 180))
    anywhere, *grids = tallies
    assert len(anywhere) == 200
    assert any(x % 8 or y % 8 for x, y in anywhere)
    assert max(x for x, _ in anywhere) <= 122
    assert grids == [grid_places(250, 180, 200)] * 4
    assert found[1:] == [48.0] * 4  # the largest row of the grid, since some patch votes generated
    assert detector.score(coordinates(250, 180)) == pytest.approx(np.mean(found))


def test_random_places_depend_on_seed_and_pixels_not_on_what_was_seen_before():
    tally: list[tuple[int, int]] = []
    detector = AggregatedCNNs([Corner(tally), *(Corner([]) for _ in "BCDE")], device="cpu")

    def places(width: int, seed: int = 0) -> list[tuple[int, int]]:
        tally.clear()
        detector.score(coordinates(width, 200), patches=20, seed=seed)
        return list(tally)

    first, other, again = places(200), places(201), places(200)
    assert first == again
    assert first != other
    assert first != places(200, seed=1)


def test_small_picture_is_refused_and_never_enlarged():
    detector = AggregatedCNNs([Corner([]) for _ in NETWORKS], device="cpu")
    with pytest.raises(PictureError, match=r"a\.png: 127x300 pixels; .* 128 pixels a side or more") as refusal:
        detector.network_scores(coordinates(127, 200).resize((127, 300)), name="a.png")
    assert refusal.value.reason == "too-small"
    assert len(detector.network_scores(coordinates(128, 128))) == 5


def test_authors_folder_opens_and_judges(tmp_path):
    state = {f"efficientnet.{name}": tensor for name, tensor in made().state_dict().items()}
    torch.save({"net": state}, tmp_path / "method_A.pth")
    for name in "BCDE":
        (tmp_path / f"method_{name}.pth").hardlink_to(tmp_path / "method_A.pth")
    detector = AggregatedCNNs.from_folder(tmp_path, device="cpu")
    assert len(detector.sha256) == 64
    picture = coordinates(128, 128)
    found = detector.network_scores(picture, patches=1)
    with torch.inference_mode():
        expected = network_score(made()(cut(np.asarray(picture), [(0, 0)])).numpy())
    # One patch, the same for all. Random networks magnify what rounding differs by.
    assert found == pytest.approx([expected] * 5, rel=0.05)
    (tmp_path / "method_C.pth").unlink()
    with pytest.raises(WeightsError, match=r"holds neither C\.safetensors nor method_C\.pth"):
        AggregatedCNNs.from_folder(tmp_path)


def test_takes_five_networks():
    with pytest.raises(ValueError, match="2 networks: the Aggregated CNNs are 5"):
        AggregatedCNNs([make_network()] * 2)


def test_path_names_the_picture(tmp_path):
    file = tmp_path / "small.png"
    coordinates(64, 64).save(file)
    detector = AggregatedCNNs([Corner([]) for _ in NETWORKS], device="cpu")
    for picture in (file, str(file)):
        with pytest.raises(PictureError, match=r"small\.png: 64x64 pixels"):
            detector.score(picture)
    with pytest.raises(PictureError, match=r"none\.png"):
        detector.score(Path("none.png"))
