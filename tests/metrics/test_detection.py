"""The metrics against scikit-learn, against hand-counted literals, and at their edges."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from scipy.special import expit
from scored import TWO_RANKS, sample
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    log_loss,
    roc_auc_score,
    roc_curve,
)

from fakeface.metrics.counts import FIGURES
from fakeface.metrics.detection import (
    AveragePrecision,
    DetectionMetric,
    RocAuc,
    TprAtFpr,
    bootstrap_interval,
    detection_metrics,
    looks_swapped,
    rank_auc,
    threshold_at_fpr,
    wilson_interval,
)

GATHERED = """
import json, os, sys
import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader, TensorDataset
from fakeface.metrics import DetectionMetric

accelerator = Accelerator()
scores, labels = torch.tensor({scores}), torch.tensor({labels})
loader = accelerator.prepare(DataLoader(TensorDataset(scores, labels), batch_size=2))
metric = DetectionMetric(experiment_id=str(os.getpid()), cache_dir=sys.argv[1])
for batch in loader:
    predictions, references = accelerator.gather_for_metrics(batch)
    metric.add_batch(predictions=predictions, references=references)
found = metric.compute()
with open(f"{{sys.argv[1]}}/rank-{{accelerator.process_index}}-of-{{accelerator.num_processes}}.json", "w") as file:
    json.dump(found, file)
accelerator.end_training()
"""


def equal_error_rate(labels, scores):
    """Where the line through the points of scikit-learn's ROC crosses 1 - FPR."""
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    return brentq(lambda x: 1 - x - interp1d(fpr, tpr)(x), 0, 1, xtol=1e-13)


@pytest.mark.parametrize("steps", [0, 50, 7])
@pytest.mark.parametrize("seed", range(5))
def test_agreement_with_scikit_learn(seed, steps):
    labels, scores = sample(seed, n=4000, steps=steps)
    found = detection_metrics(labels, scores, resamples=0)
    halves = np.where(labels == 1, 0.5 / (labels == 1).sum(), 0.5 / (labels == 0).sum())
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    expected = {
        "auc": roc_auc_score(labels, scores),
        "average_precision": average_precision_score(labels, scores),
        "tpr_at_fpr_0.01": tpr[fpr <= 0.01].max(),
        "tpr_at_fpr_0.005": tpr[fpr <= 0.005].max(),
        "tpr_at_fpr_0.001": tpr[fpr <= 0.001].max(),
        "balanced_accuracy": balanced_accuracy_score(labels, scores >= 0.5),
        "eer": equal_error_rate(labels, scores),
        "brier": brier_score_loss(labels, scores, sample_weight=halves),
        "nll": log_loss(labels, scores, sample_weight=halves),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    assert expected.keys() | {"ece"} == FIGURES.keys()
    assert (found["n_real"], found["n_generated"]) == ((labels == 0).sum(), (labels == 1).sum())


def test_the_metric_class_gives_the_same(tmp_path):
    labels, scores = sample(0)
    metric = DetectionMetric(cache_dir=str(tmp_path))
    metric.add_batch(predictions=scores[:300], references=labels[:300])
    metric.add_batch(predictions=scores[300:], references=labels[300:])
    assert metric.compute() == detection_metrics(labels, scores)


def test_a_class_for_one_figure_computes_that_one(tmp_path):
    labels, scores = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
    found = RocAuc(cache_dir=str(tmp_path)).compute(predictions=scores, references=labels, resamples=0)
    assert found == {"n_real": 2, "n_generated": 2, "auc": 0.75, "refused": {}}
    found = AveragePrecision(cache_dir=str(tmp_path)).compute(predictions=scores, references=labels, resamples=0)
    assert found is not None
    assert found["average_precision"] == pytest.approx(5 / 6)
    assert TprAtFpr.names == ("tpr_at_fpr_0.01", "tpr_at_fpr_0.005", "tpr_at_fpr_0.001")


def test_two_ranks_that_gather_give_the_figures_of_one(repo, tmp_path):
    labels, scores = [0, 1, 0, 1, 1, 0, 1], [0.125, 0.75, 0.5, 0.25, 0.875, 0.375, 0.625]
    program = tmp_path / "gathered.py"
    program.write_text(GATHERED.format(scores=scores, labels=labels))
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(repo)}
    words = [sys.executable, *TWO_RANKS, str(program), str(tmp_path)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    expected = json.loads(json.dumps(detection_metrics(np.array(labels), np.array(scores))))
    assert expected["n_generated"] == 4
    for rank in (0, 1):
        assert json.loads((tmp_path / f"rank-{rank}-of-2.json").read_text()) == expected


# ---- operating points


@pytest.mark.parametrize(
    ("scores", "fpr", "just_above"),
    [
        ([0.1, 0.2, 0.3, 0.4], 0.25, 0.3),  # 0.4 may pass
        ([0.4, 0.1, 0.3, 0.2], 0.25, 0.3),
        ([0.1, 0.2, 0.3, 0.4], 0.5, 0.2),
        ([0.1, 0.2, 0.3, 0.4], 0.49, 0.3),  # half of 0.49 x 4 pictures is nobody
        ([0.1, 0.2, 0.4, 0.4], 0.25, 0.4),  # two are tied, one may pass: neither does
        ([0.1, 0.4, 0.4, 0.4], 0.5, 0.4),
        ([0.0, 0.0, 0.0, 0.0], 0.5, 0.0),
    ],
)
def test_threshold_at_fpr(scores, fpr, just_above):
    assert threshold_at_fpr(np.array(scores), fpr) == np.nextafter(just_above, 1)


@pytest.mark.parametrize("fpr", [0.01, 0.07, 0.1, 1 / 3])
@pytest.mark.parametrize("steps", [0, 20])
def test_at_most_the_allowed_share_reaches_the_threshold_and_no_lower_one_would_do(fpr, steps):
    labels, scores = sample(3, steps=steps)
    real = scores[labels == 0]
    threshold = threshold_at_fpr(real, fpr)
    assert np.mean(real >= threshold) <= fpr
    below = real[real < threshold].max()
    assert np.mean(real >= below) > fpr


def test_no_threshold_up_to_one_suffices():
    assert threshold_at_fpr(np.ones(10), 0.1) == 1.0


def test_the_threshold_of_a_share_that_floats_cannot_hold():
    # 100 x 0.07 is 7.000000000000001, 49 x (1 / 49) is 0.9999999999999999
    assert threshold_at_fpr(np.arange(100) / 100, 0.07) == np.nextafter(0.92, 1)
    assert threshold_at_fpr(np.arange(49) / 49, 1 / 49) == np.nextafter(47 / 49, 1)


@pytest.mark.parametrize(("n", "fpr", "needed"), [(99, 0.01, 100), (33, 0.03, 34), (0, 0.5, 2)])
def test_too_few_real_pictures_are_refused(n, fpr, needed):
    message = f"{n} real pictures cannot resolve a false-positive rate of {fpr}: at least {needed}"
    with pytest.raises(ValueError, match=message):
        threshold_at_fpr(np.zeros(n), fpr)
    assert threshold_at_fpr(np.zeros(needed), fpr) > 0


# ---- edges


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_are_refused(bad):
    with pytest.raises(ValueError, match="2 scores are not finite numbers"):
        detection_metrics(np.array([0, 1, 1]), np.array([0.5, bad, bad]))


def test_labels_that_are_no_labels_are_refused():
    with pytest.raises(ValueError, match=r"labels must be 0 \(real\) and 1 \(generated\)"):
        detection_metrics(np.array([0, 2]), np.array([0.1, 0.9]))


@pytest.mark.parametrize(("label", "word"), [(0, "real"), (1, "generated")])
def test_one_label_alone_gives_no_figures_and_the_reason(label, word):
    found = detection_metrics(np.full(200, label), np.linspace(0, 1, 200))
    counts = {"n_real": 200 * (label == 0), "n_generated": 200 * (label == 1)}
    refused = dict.fromkeys(FIGURES, f"it takes pictures of both labels, and all are {word}")
    assert found == counts | dict.fromkeys(FIGURES) | {"refused": refused}


def test_no_pictures_give_no_figures():
    found = detection_metrics(np.array([], int), np.array([]))
    assert (found["n_real"], found["n_generated"], found["auc"]) == (0, 0, None)
    assert found["refused"]["auc"] == "there are no pictures"


@pytest.mark.parametrize(("fpr", "needed"), [(0.01, 100), (0.005, 200), (0.001, 1000)])
def test_too_few_real_pictures_for_a_rate_are_said(fpr, needed):
    name = f"tpr_at_fpr_{fpr}"
    for n, known in ((needed - 1, False), (needed, True)):
        found = detection_metrics(np.array([0] * n + [1]), np.linspace(0, 1, n + 1), resamples=10)
        assert (found[name] is not None) is known
        assert found["auc"] == 1.0
        if not known:
            reason = f"{n} real pictures cannot resolve a false-positive rate of {fpr}: at least {needed}"
            assert found["refused"][name] == reason
            assert f"{name}_interval" not in found


def test_scores_that_are_no_probabilities_only_rank():
    found = detection_metrics(np.array([0, 0, 1, 1]), np.array([-3.0, 0.5, 0.2, 7.0]))
    assert found["auc"] == 0.75
    assert found["brier"] is None
    assert found["refused"]["ece"] == "scores outside 0 to 1 are not probabilities"


def test_swapped_labels_are_noticed_and_bad_luck_is_not():
    labels, scores = sample(0)
    assert looks_swapped(detection_metrics(1 - labels, scores))
    assert not looks_swapped(detection_metrics(labels, scores))
    rng = np.random.default_rng(1)
    assert not looks_swapped(detection_metrics(labels, rng.random(len(labels))))
    assert not looks_swapped(detection_metrics(np.array([0, 1]), np.array([0.9, 0.1]), names=["brier"]))


# ---- intervals


@pytest.mark.parametrize("steps", [0, 50, 7])
def test_rank_auc_is_scikit_learns(steps):
    labels, scores = sample(3, steps=steps)
    assert rank_auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_bootstrap_holds_the_point_estimate_and_follows_its_seed():
    labels, scores = sample(0, n=200)
    low, high = bootstrap_interval(labels, scores, "auc", resamples=100)
    assert low < rank_auc(labels, scores) < high
    assert 0.01 < high - low < 0.2
    assert bootstrap_interval(labels, scores, "auc", resamples=100) == (low, high)
    assert bootstrap_interval(labels, scores, "auc", resamples=100, seed=1) != (low, high)


def test_bootstrap_narrows_with_the_level_and_with_more_pictures():
    def width(n, **options):
        low, high = bootstrap_interval(*sample(0, n=n), "auc", resamples=100, **options)
        return high - low

    assert width(200, level=0.5) < width(200)
    assert width(3200) < width(200) / 2.5


@pytest.mark.parametrize(("name", "size"), [("auc", 200), ("tpr_at_fpr_0.01", 300), ("brier", 200), ("ece", 300)])
def test_nineteen_in_twenty_intervals_hold_the_truth(name, size):
    """By simulation on calibrated scores of Gaussian margins; benchmarks/coverage.py does all figures, at length."""

    def draw(n, rng):
        labels = np.repeat([0, 1], n)
        return labels, expit(2 * (rng.normal(2 * labels) - 1))

    truth = detection_metrics(*draw(200_000, np.random.default_rng(0)), [name], resamples=0)[name]
    held = 0
    for trial in range(400):
        pictures = draw(size, np.random.default_rng((1, trial)))
        low, high = bootstrap_interval(*pictures, name, resamples=300, seed=trial)
        held += low <= truth <= high
    assert 0.93 <= held / 400 <= 0.97


def test_bootstrap_leaves_the_global_generator_alone():
    def draw_after(action):
        np.random.seed(0)
        action()
        return np.random.random()

    def resample():
        bootstrap_interval(np.array([0, 1]), np.array([0.1, 0.9]), "auc", resamples=5)

    assert draw_after(resample) == draw_after(lambda: None)


@pytest.mark.parametrize(
    ("successes", "n", "interval"),
    [  # Newcombe (1998), table I, method 3; the others by the formula
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
        (20, 20, (0.8389, 1.0)),
    ],
)
def test_wilson_interval(successes, n, interval):
    assert wilson_interval(successes, n) == pytest.approx(interval, abs=5e-5)
