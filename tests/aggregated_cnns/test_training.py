"""Training of the five networks, on few pictures and few steps, but of the real thing."""

import json
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset, Image, concatenate_datasets
from PIL import Image as PILImage
from safetensors.torch import load_file
from tiny import picture

from fakeface.aggregated_cnns.model import NETWORKS, AggregatedCNNs
from fakeface.aggregated_cnns.training import (
    POLICIES,
    NetworkTrainingError,
    Patches,
    Policy,
    Schedule,
    Trainer,
    left_out,
    patch,
)
from fakeface.aggregated_cnns.weights import WeightsError
from fakeface.data.loading import DataError
from fakeface.delivery.channels import encode

SCHEDULE = Schedule(start_steps=2, steps=1, batch_size=2, warmup=0.0)  # with a warm-up the first step moves nothing


class Stopped(Exception):
    """Stands for a kill between two steps."""


def rows(sizes: list[tuple[int, int]]) -> Dataset:
    """Pictures of both labels and four sources, in turn."""
    columns = {
        "image": [{"bytes": encode(picture(*size, seed=i), "JPEG", 90), "path": None} for i, size in enumerate(sizes)],
        "label": [i % 2 for i in range(len(sizes))],
        "source": [f"source-{i % 4}" for i in range(len(sizes))],
        "generator": ["stylegan2" if i % 2 else "none" for i in range(len(sizes))],
        "sha256": [f"{i:064x}" for i in range(len(sizes))],
    }
    return Dataset.from_dict(columns).cast_column("image", Image(decode=False))


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return rows([(136, 144)] * 8 + [(120, 144)])


@pytest.fixture(scope="module")
def trained(tmp_path_factory, dataset) -> Path:
    folder = tmp_path_factory.mktemp("networks")
    Trainer(folder, SCHEDULE, workers=0).train(dataset)
    return folder


def test_trains_five_different_networks_that_open_as_one_detector(trained):
    assert sorted(file.name for file in trained.iterdir()) == [
        *(f"{name}.safetensors" for name in NETWORKS), "start.safetensors", "training.json",
    ]  # fmt: skip
    states = [load_file(trained / f"{name}.safetensors")["classifier.weight"] for name in ("start", *NETWORKS)]
    assert len({tuple(state.flatten().tolist()) for state in states}) == 6
    found = AggregatedCNNs.from_folder(trained, device="cpu").network_scores(picture(130, 130), patches=1)
    assert len(found) == 5
    assert np.isfinite(found).all()


def test_record_says_what_they_were_made_of(trained):
    record = json.loads((trained / "training.json").read_text())
    assert record["pictures"]["used"] == 8
    assert record["pictures"]["too_small"] == 1
    assert record["start"] is None
    assert record["schedule"]["start_steps"] == 2
    assert record["left_out"] == {
        "A": ["source-0", "source-1"],
        "B": ["source-2", "source-3"],
        "C": [],
        "D": [],
        "E": [],
    }
    assert record["policies"]["B"] == {"on_grid": True, "saved": 0.0, "quality": [100, 100]}


def test_stopped_run_goes_on_to_the_same_weights(trained, dataset, tmp_path):
    def stop_at(words: str):
        def tell(message: str) -> None:
            if message.startswith(words):
                raise Stopped

        return tell

    for words in ("network start: step 1 of 2", "network A: step 1 of 1"):
        with pytest.raises(Stopped):
            Trainer(tmp_path, SCHEDULE, workers=0, checkpoint_steps=1, tell=stop_at(words)).train(dataset)
    whole, resumed = (load_file(folder / "start.safetensors") for folder in (trained, tmp_path))
    assert all((tensor == resumed[name]).all() for name, tensor in whole.items())


def test_other_pictures_or_schedule_are_refused(trained, dataset):
    with pytest.raises(NetworkTrainingError, match="begun with other pictures; name another folder"):
        Trainer(trained, SCHEDULE).train(concatenate_datasets([dataset, rows([(136, 144)] * 2)]))
    with pytest.raises(NetworkTrainingError, match="begun with other schedule, start; name another folder"):
        Trainer(trained, Schedule(), start=trained / "start.safetensors").train(dataset)


def test_pictures_too_small_for_a_patch_are_no_data(tmp_path):
    with pytest.raises(DataError, match="128 pixels a side or more"):
        Trainer(tmp_path).train(rows([(136, 144), (127, 200), (140, 140), (100, 100)]))


def test_networks_start_from_given_weights(trained, dataset, tmp_path):
    with pytest.raises(WeightsError, match=r"b4\.pth: cannot be read"):
        Trainer(tmp_path / "deeper", SCHEDULE, Path("b4.pth")).train(dataset)
    assert not (tmp_path / "deeper").exists()  # or the right file would be refused as another
    start = trained / "start.safetensors"
    began = Trainer(tmp_path, SCHEDULE, start)._begun("A").state_dict()
    theirs = load_file(start)
    assert (began["conv_stem.weight"] == theirs["conv_stem.weight"]).all()
    assert not (began["classifier.weight"] == theirs["classifier.weight"]).all()


def test_patches_lie_on_the_grid_where_the_policy_says():
    """Red and green of the corner tell where a patch was cut; a mirrored one has them at the other end."""
    pixels = np.zeros((150, 200, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = np.arange(200)[None], np.arange(150)[:, None]
    whole = PILImage.fromarray(pixels)

    def places(policy: Policy) -> tuple[set[int], set[int]]:
        cuts = [patch(whole, policy, np.random.default_rng(i)) for i in range(300)]
        assert {one.shape for one in cuts} == {(128, 128, 3)}
        assert len({bool(one[0, 0, 0] > one[0, 1, 0]) for one in cuts}) == 2  # some are mirrored
        return {int(one[0, :, 0].min()) for one in cuts}, {int(one[0, 0, 1]) for one in cuts}

    assert places(Policy(True, 0.0, (100, 100))) == (set(range(0, 73, 8)), {0, 8, 16})
    columns, lines = places(Policy(False, 0.0, (100, 100)))
    assert max(columns) == 72
    assert lines == set(range(23))
    assert any(x % 8 for x in columns)


def test_policy_saves_as_often_and_as_badly_as_it_says():
    whole = picture(136, 136)
    plain = np.asarray(whole)

    def errors(policy: Policy) -> np.ndarray:
        cuts = [patch(whole, policy, np.random.default_rng(i)).astype(int) for i in range(60)]
        windows = [plain[y : y + 128, x : x + 128] for y in (0, 8) for x in (0, 8)]
        windows += [window[:, ::-1] for window in windows]
        return np.array([min(np.abs(one - window).mean() for window in windows) for one in cuts])

    assert errors(Policy(True, 0.0, (10, 10))).max() == 0
    assert 15 < (errors(Policy(True, 0.5, (10, 10))) > 0).sum() < 45
    assert (errors(Policy(True, 1.0, (10, 10))) > errors(Policy(True, 1.0, (95, 95)))).all()


def test_patch_depends_on_its_draw_alone(dataset):
    patches = Patches(dataset, POLICIES["A"], seed=3)
    first, label = patches[5, 1]
    assert first.shape == (3, 128, 128)
    assert label == 1
    assert (patches[5, 1][0] == first).all()
    assert not (patches[6, 1][0] == first).all()


def test_each_network_is_left_without_other_sources():
    sources = [f"s{i:02}" for i in range(7)]
    made = Dataset.from_dict({"source": [*sources, "a", "b", "c"], "label": [0] * 7 + [1] * 3})
    assert left_out(made, "A") == ["s00", "s05", "a"]
    assert left_out(made, "B") == ["s01", "s06", "b"]
    assert left_out(made, "E") == ["s04"]
    assert left_out(made, "start") == []
    assert left_out(Dataset.from_dict({"source": ["a", "b"], "label": [0, 1]}), "A") == []  # or no label would be left
