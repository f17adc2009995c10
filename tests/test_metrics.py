"""The metrics against scikit-learn, against hand-counted literals, and at their edges."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score, roc_curve

from fakeface.metrics import (
    DetectionMetric,
    bootstrap_interval,
    detection_metrics,
    expected_calibration_error,
    rank_auc,
    threshold_at_fpr,
    tpr_at_fpr,
    wilson_interval,
)


def sample(seed, n=700, steps=0):
    """Labels and overlapping scores; `steps` rounds the scores, so that many are tied."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    scores = 1 / (1 + np.exp(-rng.normal(2 * labels - 1, 1.5)))
    return labels, np.round(scores * steps) / steps if steps else scores


def auc(labels, scores):
    return float(roc_auc_score(labels, scores))


@pytest.mark.parametrize("steps", [0, 50, 7])
@pytest.mark.parametrize("seed", range(5))
def test_agreement_with_scikit_learn(seed, steps):
    labels, scores = sample(seed, steps=steps)
    found = detection_metrics(labels, scores)
    assert found["auc"] == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert found["average_precision"] == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, scores >= 0.5), abs=1e-12)
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    assert found["tpr_at_fpr_0.01"] == pytest.approx(tpr[fpr <= 0.01].max(), abs=1e-12)
    assert (found["n_real"], found["n_generated"]) == ((labels == 0).sum(), (labels == 1).sum())


def test_the_metric_class_gives_the_same(tmp_path):
    labels, scores = sample(0)
    metric = DetectionMetric(cache_dir=str(tmp_path))
    metric.add_batch(predictions=scores[:300], references=labels[:300])
    metric.add_batch(predictions=scores[300:], references=labels[300:])
    assert metric.compute() == detection_metrics(labels, scores)


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


def test_tpr_at_fpr_counts_ties_as_refused():
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    scores = np.array([0.1, 0.2, 0.5, 0.9, 0.5, 0.6, 0.7, 0.1])
    assert tpr_at_fpr(labels, scores, 0.25) == 0.5


def test_real_pictures_that_score_one_are_not_let_through():
    labels = np.array([0, 0, 0, 0, 1, 1])
    assert tpr_at_fpr(labels, np.array([0.1, 0.2, 1.0, 1.0, 0.9, 1.0]), 0.25) == 0.0


def test_scores_in_32_bits_give_the_same_rate():
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    scores = np.array([0.1, 0.2, 0.5, 0.9, 0.5, 0.6, 0.7, 0.1], np.float32)
    assert tpr_at_fpr(labels, scores, 0.25) == 0.5


# ---- edges


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_are_refused(bad):
    with pytest.raises(ValueError, match="2 scores are not finite numbers"):
        detection_metrics(np.array([0, 1, 1]), np.array([0.5, bad, bad]))


@pytest.mark.parametrize("label", [0, 1])
def test_one_label_alone_gives_no_figures(label):
    found = detection_metrics(np.full(200, label), np.linspace(0, 1, 200))
    counts = {"n_real": 200 * (label == 0), "n_generated": 200 * (label == 1)}
    none = dict.fromkeys(["auc", "average_precision", "balanced_accuracy", "tpr_at_fpr_0.01"])
    assert found == counts | none


def test_no_pictures_give_no_figures():
    found = detection_metrics(np.array([], int), np.array([]))
    assert (found["n_real"], found["n_generated"], found["auc"]) == (0, 0, None)


def test_99_real_pictures_are_too_few_for_one_percent():
    for n, known in ((99, False), (100, True)):
        found = detection_metrics(np.array([0] * n + [1]), np.linspace(0, 1, n + 1))
        assert (found["tpr_at_fpr_0.01"] is not None) is known
        assert found["auc"] == 1.0


# ---- calibration error


def test_calibration_error_of_literals():
    labels, scores = np.array([0, 0, 1, 1]), np.array([0.1, 0.3, 0.7, 0.9])
    assert expected_calibration_error(labels, scores, bins=10) == pytest.approx(0.2)
    assert expected_calibration_error(labels, scores, bins=1) == pytest.approx(0.0)  # half of them at 0.5 on average
    assert expected_calibration_error(labels, labels.astype(float)) == 0.0
    assert expected_calibration_error(labels, 1.0 - labels) == 1.0


def test_calibration_error_does_not_depend_on_the_share_of_labels():
    labels, scores = sample(0)
    once = expected_calibration_error(labels, scores)
    real = labels == 0
    labels, scores = np.append(labels, np.repeat(labels[real], 3)), np.append(scores, np.repeat(scores[real], 3))
    assert expected_calibration_error(labels, scores) == pytest.approx(once)


def test_calibration_error_of_one_label_is_no_number():
    assert np.isnan(expected_calibration_error(np.zeros(3, int), np.zeros(3)))


# ---- intervals


@pytest.mark.parametrize("steps", [0, 50, 7])
def test_rank_auc_is_scikit_learns(steps):
    labels, scores = sample(3, steps=steps)
    assert rank_auc(labels, scores) == pytest.approx(auc(labels, scores), abs=1e-12)


def test_bootstrap_holds_the_point_estimate_and_follows_its_seed():
    labels, scores = sample(0, n=200)
    low, high = bootstrap_interval(labels, scores, auc, resamples=100)
    assert low < auc(labels, scores) < high
    assert 0.01 < high - low < 0.2
    assert bootstrap_interval(labels, scores, auc, resamples=100) == (low, high)
    assert bootstrap_interval(labels, scores, auc, resamples=100, seed=1) != (low, high)


def test_bootstrap_narrows_with_the_level_and_with_more_pictures():
    def width(n, **options):
        low, high = bootstrap_interval(*sample(0, n=n), auc, resamples=100, **options)
        return high - low

    assert width(200, level=0.5) < width(200)
    assert width(3200) < width(200) / 2.5


def test_bootstrap_draws_each_label_as_often_as_it_is_there():
    labels, scores = np.array([0] * 5 + [1] * 2), np.linspace(0, 1, 7)
    assert bootstrap_interval(labels, scores, lambda y, _: float(y.sum()), resamples=20) == (2.0, 2.0)


def test_bootstrap_leaves_the_global_generator_alone():
    def draw_after(action):
        np.random.seed(0)
        action()
        return np.random.random()

    def resample():
        bootstrap_interval(np.array([0, 1]), np.array([0.1, 0.9]), auc, resamples=5)

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
