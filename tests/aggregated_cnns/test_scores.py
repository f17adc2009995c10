"""Scores of a dataset by the Aggregated CNNs, kept as they come, and the command that writes them."""

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import DatasetDict
from PIL import Image
from torch import nn

from fakeface.aggregated_cnns.model import NETWORKS, AggregatedCNNs
from fakeface.aggregated_cnns.scores import main, score_pictures
from fakeface.aggregated_cnns.weights import make_network
from fakeface.evaluation.inputs import read_scores, whole


class Light(nn.Module):
    """Votes generated where a patch is light, by a logit of its mean; counts its patches."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = 0

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        self.patches += len(batch)
        mean = batch.mean((1, 2, 3))
        return torch.stack([-mean, mean], 1)


def detector(sha256: str = "a" * 64) -> AggregatedCNNs:
    return AggregatedCNNs([Light() for _ in NETWORKS], sha256, device="cpu")


@pytest.fixture(scope="module")
def splits(tmp_path_factory) -> DatasetDict:
    """Dark photographs and light generated pictures, one of each too small."""
    folder = tmp_path_factory.mktemp("pictures")
    for label, shade in (("real", 40), ("generated", 215)):
        for i, side in enumerate((128, 136, 200, 127)):
            file = folder / label / f"{label}-source" / f"{i}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (side, 160), (shade + i,) * 3).save(file)
    found, refused = whole([str(folder)])
    assert not refused
    return found


def test_scores_and_refusals_of_a_dataset(splits, tmp_path):
    scores, refused = score_pictures(detector(), splits, tmp_path, patches=2)
    assert list(scores["label"]) == [0, 0, 0, 1, 1, 1]
    assert (scores["score"] > 0).tolist() == [False] * 3 + [True] * 3
    assert np.allclose(scores[list(NETWORKS)].mean(axis=1), scores["score"])
    assert set(scores["split"]) == {"all"}
    assert set(scores["view"]) == {"clean"}
    assert list(refused["source"]) == ["real-source", "generated-source"]
    assert list(refused["refused"]) == ["too-small"] * 2
    scores.to_csv(tmp_path / "scores.csv", index=False)  # what `fakeface evaluate` reads
    read, _ = read_scores(tmp_path / "scores.csv")
    assert read["score"].tolist() == pytest.approx(scores["score"].tolist())


def test_stopped_run_goes_on_where_it_was_and_other_detectors_begin_anew(splits, tmp_path):
    first, again, other, finer = detector(), detector(), detector("b" * 64), detector()
    before, _ = score_pictures(first, splits, tmp_path, patches=1)
    assert first.networks[0].patches == 6
    (file,) = tmp_path.glob("*.jsonl")
    lines = [line for line in file.read_text().splitlines() if line]
    assert len(lines) == 8
    file.write_text("\n".join(lines[:5]) + "\n" + lines[5][:-2])  # a run killed in the middle of a line
    after, refused = score_pictures(again, splits, tmp_path, patches=1)
    assert again.networks[0].patches == 2  # of the three that were lost one is refused without a look
    pd.testing.assert_frame_equal(after, before)
    assert len(refused) == 2
    score_pictures(other, splits, tmp_path, patches=1)
    score_pictures(finer, splits, tmp_path, patches=2)
    assert (other.networks[0].patches, finer.networks[0].patches) == (6, 12)


def test_command_writes_scores_and_names_what_is_wrong(tmp_path, capsys):
    """As a user with five files runs it, first without the last of them; the networks are real."""
    for label in ("real", "generated"):
        for side in (128, 100):
            file = tmp_path / "pictures" / label / f"{side}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (side, side), "grey").save(file)
    torch.save(make_network().state_dict(), tmp_path / "method_A.pth")
    for name in "BCD":
        (tmp_path / f"method_{name}.pth").hardlink_to(tmp_path / "method_A.pth")
    command = [str(tmp_path), str(tmp_path / "pictures"), "--patches", "1", "--out", str(tmp_path / "scores.csv")]
    with pytest.raises(SystemExit) as refusal:
        main(command)
    assert refusal.value.code == (
        f"{tmp_path}: holds neither E.safetensors nor method_E.pth; all five networks are needed"
    )
    (tmp_path / "method_E.pth").hardlink_to(tmp_path / "method_A.pth")
    main(command)
    told = capsys.readouterr()
    assert "2 pictures refused, most of them as too-small" in told.err
    assert told.out.startswith("2 scores in ")
    assert len(pd.read_csv(tmp_path / "scores.csv")) == 2
    assert list(pd.read_csv(tmp_path / "scores-refused.csv")["refused"]) == ["too-small"] * 2
