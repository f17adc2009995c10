"""Figures on counts: hand-counted literals, ties, resamples; test_detection.py compares them with scikit-learn."""

import numpy as np
import pytest
from scipy.special import expit
from scored import sample

from fakeface.metrics.counts import count, ece, ece_interval, resampled, tpr_at_fpr, tpr_draws


def test_tpr_at_fpr_counts_ties_as_refused():
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    scores = np.array([0.1, 0.2, 0.5, 0.9, 0.5, 0.6, 0.7, 0.1])
    assert tpr_at_fpr(count(labels, scores), 0.25) == 0.5


def test_real_pictures_that_score_one_are_not_let_through():
    labels = np.array([0, 0, 0, 0, 1, 1])
    assert tpr_at_fpr(count(labels, np.array([0.1, 0.2, 1.0, 1.0, 0.9, 1.0])), 0.25) == 0.0


def test_scores_in_32_bits_give_the_same_rate():
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    scores = np.array([0.1, 0.2, 0.5, 0.9, 0.5, 0.6, 0.7, 0.1], np.float32)
    assert tpr_at_fpr(count(labels, scores), 0.25) == 0.5


def test_calibration_error_of_literals():
    labels, scores = np.array([0, 0, 1, 1]), np.array([0.1, 0.3, 0.7, 0.9])
    assert ece(count(labels, scores), bins=10) == pytest.approx(0.2)
    assert ece(count(labels, scores), bins=1) == pytest.approx(0.0)  # half of them at 0.5 on average
    assert ece(count(labels, labels.astype(float))) == 0.0
    assert ece(count(labels, 1.0 - labels)) == 1.0


def test_calibration_error_does_not_depend_on_the_share_of_labels():
    labels, scores = sample(0)
    once = ece(count(labels, scores))
    real = labels == 0
    labels, scores = np.append(labels, np.repeat(labels[real], 3)), np.append(scores, np.repeat(scores[real], 3))
    assert ece(count(labels, scores)) == pytest.approx(once)


def test_bootstrap_draws_each_label_as_often_as_it_is_there():
    labels, scores = np.array([0] * 5 + [1] * 2), np.array([0.1, 0.2, 0.2, 0.3, 0.5, 0.5, 0.6])
    (counts,) = resampled(labels, scores, 50, np.random.default_rng(0))
    assert counts.values.tolist() == [0.1, 0.2, 0.3, 0.5, 0.6]
    assert counts.real.sum(axis=1).tolist() == [5] * 50
    assert counts.generated.sum(axis=1).tolist() == [2] * 50
    assert counts.generated[:, :3].sum() == 0
    # Two of five photographs score 0.2, so two fifths of the draws do.
    assert counts.real[:, 1].mean() == pytest.approx(2, abs=0.4)


def test_many_scores_are_drawn_some_resamples_at_a_time():
    parts = list(resampled(*sample(0, n=100_000), 5, np.random.default_rng(0)))
    assert [len(part.real) for part in parts] == [2, 2, 1]


def test_the_calibration_error_that_noise_alone_would_give_is_no_evidence():
    """Of 200 calibrated scores the error is some 0.05 by noise; bootstrap intervals then lie above the truth, 0."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 100)
    found = [count(labels, expit(2 * (rng.normal(2 * labels) - 1))) for _ in range(40)]
    assert np.mean([ece(sample) for sample in found]) > 0.04
    lows = [ece_interval(sample, 0.95, 300, rng)[0] for sample in found]
    assert np.mean(np.array(lows) == 0) > 0.9


def test_the_interval_of_real_gaps_lies_around_them_and_narrows():
    labels = np.repeat([0, 1], 20_000)
    scores = expit(4 * (np.random.default_rng(0).normal(2 * labels) - 1))  # twice as sure as is right
    widths = []
    for step in (100, 1):
        sample = count(labels[::step], scores[::step])
        low, high = ece_interval(sample, 0.95, 300, np.random.default_rng(1))
        assert 0 < low < ece(sample)[0] < high + 0.02
        widths.append(high - low)
    assert widths[1] < widths[0] / 5
    assert low < 0.0755 < high  # the error of two million such pictures


def test_perfect_scores_have_no_calibration_error_to_bound():
    labels = np.array([0, 0, 1, 1])
    assert ece_interval(count(labels, labels.astype(float)), 0.95, 100, np.random.default_rng(0)) == (0.0, 0.0)


def test_draws_of_a_rate_lie_around_it_and_open_downwards_where_one_false_positive_is_allowed():
    labels, scores = sample(0, n=20_000)
    for fpr, spread in ((0.01, 0.03), (0.05, 0.03)):
        draws = tpr_draws(labels, scores, fpr, 500, np.random.default_rng(0))
        assert np.median(draws) == pytest.approx(tpr_at_fpr(count(labels, scores), fpr)[0], abs=spread)
    few_labels, few = np.repeat([0, 1], 100), np.concatenate([np.linspace(0, 0.5, 100), np.linspace(0.4, 1, 100)])
    draws = tpr_draws(few_labels, few, 0.01, 500, np.random.default_rng(0))
    # In e^-1 of the draws no photograph lies above the threshold, which then is farther up than the highest score of
    # one, but hardly above all generated pictures: the ROC is concave.
    assert 0.05 < np.mean(draws < 0.7) < 0.45
    assert np.mean(draws < 0.2) < 0.02


def test_no_generated_picture_found_is_no_certainty_that_none_would_be():
    labels, scores = np.repeat([0, 1], [400, 50]), np.concatenate([np.linspace(0.5, 1, 400), np.linspace(0, 0.4, 50)])
    draws = tpr_draws(labels, scores, 0.01, 500, np.random.default_rng(0))
    assert 0.02 < np.quantile(draws, 0.975) < 0.1
