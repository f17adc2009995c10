"""Calibration finds the numbers that were put in, and thresholds that keep their promises."""

import numpy as np
import pytest
from scipy.special import expit

from fakeface.calibration import fit, threshold_at_miss_rate
from fakeface.configuration_fakeface import FakeFaceConfig
from fakeface.metrics import detection_metrics


def gaussian_margins(n_real=40_000, n_generated=40_000, variance=8.0, seed=0):
    """Margins N(-1, variance) of real and N(3, variance) of generated pictures.

    At equal shares the log odds of `generated` are exactly linear in the margin m: (4 m - 4) / variance.
    With variance 8 that is m / 2 - 0.5: temperature 2 and bias -0.5.
    """
    rng = np.random.default_rng(seed)
    margins = np.concatenate([rng.normal(-1, variance**0.5, n_real), rng.normal(3, variance**0.5, n_generated)])
    return margins, np.repeat([0, 1], [n_real, n_generated])


def test_known_temperature_and_bias_are_recovered():
    calibration = fit(*gaussian_margins())
    assert calibration.temperature == pytest.approx(2.0, rel=0.03)
    assert calibration.bias == pytest.approx(-0.5, abs=0.03)


@pytest.mark.parametrize(("variance", "temperature", "bias"), [(4.0, 1.0, -1.0), (2.0, 0.5, -2.0), (40.0, 10.0, -0.1)])
def test_other_known_numbers_are_recovered(variance, temperature, bias):
    calibration = fit(*gaussian_margins(variance=variance))
    assert calibration.temperature == pytest.approx(temperature, rel=0.05)
    assert calibration.bias == pytest.approx(bias, rel=0.05, abs=0.03)


def test_the_share_of_each_label_does_not_matter():
    calibration = fit(*gaussian_margins(n_real=60_000, n_generated=6_000))
    assert calibration.temperature == pytest.approx(2.0, rel=0.06)
    assert calibration.bias == pytest.approx(-0.5, abs=0.06)


def test_calibrated_scores_mean_what_they_say():
    margins, labels = gaussian_margins()
    calibration = fit(margins, labels)
    scores = expit(margins / calibration.temperature + calibration.bias)
    calibrated, uncalibrated = (
        detection_metrics(labels, found, ["ece"], resamples=0)["ece"] for found in (scores, expit(margins))
    )
    assert calibrated < 0.01 < 0.05 < uncalibrated


@pytest.mark.parametrize("target_fpr", [0.01, 0.05, 0.2])
def test_thresholds_keep_their_rates(target_fpr):
    margins, labels = gaussian_margins(2_000, 1_000)
    calibration = fit(margins, labels, target_fpr=target_fpr, target_miss_rate=0.02)
    scores = expit(margins / calibration.temperature + calibration.bias)
    assert calibration.target_fpr == target_fpr
    real_called_generated = np.mean(scores[labels == 0] >= calibration.threshold_generated)
    assert target_fpr - 1 / 2_000 <= real_called_generated <= target_fpr
    assert np.mean(scores[labels == 1] <= calibration.threshold_real) == pytest.approx(0.02)
    assert 0 <= calibration.threshold_real < calibration.threshold_generated <= 1


def test_thresholds_never_cross():
    # Separable, so that the threshold for 5 % misses lies far above the one for 1 % false positives.
    margins = np.concatenate([np.linspace(-9, -5, 200), np.linspace(5, 9, 200)])
    calibration = fit(margins, np.repeat([0, 1], 200))
    assert calibration.threshold_real == calibration.threshold_generated < 0.5


def test_separable_pictures_do_not_give_certainty():
    margins = np.concatenate([np.linspace(-9, -5, 200), np.linspace(5, 9, 200)])
    calibration = fit(margins, np.repeat([0, 1], 200))
    assert calibration.temperature >= 0.2 - 1e-9


@pytest.mark.parametrize(
    ("scores", "rate", "just_below"),
    [
        ([0.1, 0.2, 0.3, 0.4], 0.25, 0.2),  # 0.1 may be missed
        ([0.1, 0.2, 0.3, 0.4], 0.2, 0.1),  # none may
        ([0.1, 0.1, 0.3, 0.4], 0.25, 0.1),  # two are tied, one may be missed: neither is
        (list(np.arange(1, 22) / 100), 0.05, 0.02),  # one of 21; the plain quantile would miss two
    ],
)
def test_threshold_at_miss_rate(scores, rate, just_below):
    assert threshold_at_miss_rate(np.array(scores), rate) == np.nextafter(just_below, 0)


def test_the_config_takes_all_five_numbers(tmp_path):
    calibration = fit(*gaussian_margins(1_000, 1_000))
    config = FakeFaceConfig(architecture="cnn", image_size=32)
    calibration.store(config)
    config.save_pretrained(tmp_path)
    loaded = FakeFaceConfig.from_pretrained(tmp_path)
    assert {name: getattr(loaded, name) for name in vars(calibration)} == vars(calibration)


def test_one_label_alone_is_refused():
    with pytest.raises(ValueError, match="calibration needs pictures of both labels"):
        fit(np.zeros(200), np.zeros(200, int))


def test_too_few_real_pictures_are_refused():
    with pytest.raises(ValueError, match=r"50 real pictures cannot resolve a false-positive rate of 0\.01"):
        fit(*gaussian_margins(50, 200))


def test_margins_that_are_no_numbers_are_refused():
    margins, labels = gaussian_margins(200, 200)
    margins[:3] = np.nan
    with pytest.raises(ValueError, match="3 margins are not finite numbers"):
        fit(margins, labels)
