"""Calibration finds the numbers that were put in, and thresholds that keep their promises."""

import numpy as np
import pytest
from scipy.special import expit

from fakeface.configuration_fakeface import FakeFaceConfig
from fakeface.evaluation.calibration import GROUPS, fit, fit_groups, fit_points, threshold_at_miss_rate
from fakeface.metrics.detection import detection_metrics


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
    with pytest.raises(ValueError, match=r"50 photographs cannot resolve a false-positive rate of 0\.01"):
        fit(*gaussian_margins(50, 200))


def test_views_of_a_photograph_are_no_more_photographs():
    """27 photographs, clean and delivered, are 54 margins; 2 % takes 50 photographs."""
    margins, labels = gaussian_margins(54, 200)
    told = r"27 photographs cannot .* rate of 0\.02, .*; take 23 more, of other people .* at least 1 in 27$"
    with pytest.raises(ValueError, match=told):
        fit(margins, labels, target_fpr=0.02, views=2)
    assert fit(margins, labels, target_fpr=0.04, views=2).target_fpr == 0.04
    assert fit(margins, labels, target_fpr=0.02).target_fpr == 0.02


def test_thresholds_of_groups_are_read_off_pictures_not_views():
    """At 1,000 pictures 2 faces have 5 beyond; 4,000 views of them are no reason to read the threshold off 20."""
    rng = np.random.default_rng(0)
    once = rng.logistic(-4, 1.3, 1_000)
    twice = np.concatenate([once] * 4)
    alone = float(expit(np.quantile(once, 0.99)))
    assert fit_groups(twice, alone, 0.01, views=4) == pytest.approx(fit_groups(once, alone, 0.01), rel=1e-3)


def test_margins_that_are_no_numbers_are_refused():
    margins, labels = gaussian_margins(200, 200)
    margins[:3] = np.nan
    with pytest.raises(ValueError, match="3 margins are not finite numbers"):
        fit(margins, labels)


@pytest.mark.parametrize("n", [1_000, 20_000])
def test_groups_of_real_faces_keep_the_rate_whatever_their_number(n: int):
    """Logits of a heavier tail than a normal one; at 1,000 most thresholds lie beyond the data."""
    rng = np.random.default_rng(0)
    real = rng.logistic(-4, 1.3, n)
    found = fit_groups(real, float(expit(np.quantile(real, 0.99))), 0.01)
    assert list(found) == [str(number) for number in GROUPS]
    assert list(found.values()) == sorted(found.values())
    for number in GROUPS:
        highest = rng.logistic(-4, 1.3, (40_000, number)).max(axis=1)
        rate = np.mean(expit(highest) >= found[str(number)])
        assert rate == pytest.approx(0.01, rel=0.35 if n > 10_000 else 0.8)


def test_the_calibration_carries_thresholds_of_groups_into_a_config():
    calibration = fit(*gaussian_margins(4_000, 4_000))
    config = FakeFaceConfig(architecture="cnn", image_size=16)
    calibration.store(config)
    assert config.group_thresholds == calibration.group_thresholds
    assert config.group_thresholds is not None
    assert min(config.group_thresholds.values()) >= config.threshold_generated
    assert FakeFaceConfig(**config.to_diff_dict()).group_thresholds == config.group_thresholds


@pytest.mark.parametrize("wrong", [{"1": 0.9}, {"many": 0.9}, {"2": 1.5}])
def test_broken_group_thresholds_are_refused(wrong: dict[str, float]):
    with pytest.raises(Exception, match=r"group_thresholds is .* it takes numbers of faces from 2 to scores"):
        FakeFaceConfig(architecture="cnn", image_size=16, group_thresholds=wrong)


def test_named_points_keep_their_rates_beyond_the_data_too():
    rng = np.random.default_rng(1)
    real, fresh = rng.logistic(-4, 1.3, 4_000), rng.logistic(-4, 1.3, 400_000)
    points = fit_points(real, float(expit(np.quantile(real, 0.99))), 0.01)
    assert list(points) == ["strict", "triage"]
    for name, rel in (("strict", 0.5), ("triage", 0.1)):
        point = points[name]
        rate = np.mean(expit(fresh) >= point["threshold_generated"])
        assert rate == pytest.approx(point["fpr"], rel=rel), name
        assert point["threshold_low"] <= point["threshold_generated"] <= point["threshold_high"]
        assert point["n_real"] == 4_000
        assert point["n_beyond"] == (expit(real) >= point["threshold_generated"]).sum()
        groups = point["group_thresholds"]
        assert list(groups.values()) == sorted(groups.values())
        assert min(groups.values()) >= point["threshold_generated"]
    assert points["triage"]["n_beyond"] == 200
    # Of five real faces together.
    highest = rng.logistic(-4, 1.3, (100_000, 5)).max(axis=1)
    assert np.mean(expit(highest) >= points["triage"]["group_thresholds"]["5"]) == pytest.approx(0.05, rel=0.2)


@pytest.mark.parametrize(("n", "names"), [(19, []), (20, ["triage"]), (999, ["triage"]), (1_000, ["strict", "triage"])])
def test_a_point_that_the_photographs_cannot_give_is_left_out(n: int, names: list[str]):
    real = np.random.default_rng(0).logistic(-4, 1.3, n)
    assert list(fit_points(real, 0.9, 0.01)) == names


def test_named_points_count_photographs_not_their_views():
    """1,000 photographs twice over give the point of once, with its interval; 999 give none at 1 in 1000."""
    once = np.random.default_rng(0).logistic(-4, 1.3, 1_000)
    twice = fit_points(np.tile(once, 2), 0.5, 0.01, views=2)
    assert list(fit_points(np.tile(once[:999], 2), 0.5, 0.01, views=2)) == ["triage"]
    for name, point in fit_points(once, 0.5, 0.01).items():
        groups, its = point.pop("group_thresholds"), twice[name]
        assert its.pop("group_thresholds") == pytest.approx(groups, rel=1e-3)
        assert its == pytest.approx(point, rel=1e-3)


@pytest.mark.parametrize("target_fpr", [0.0005, 0.001, 0.01, 0.05, 0.2])
def test_a_lower_rate_never_has_the_lower_threshold(target_fpr: float):
    calibration = fit(*gaussian_margins(4_000, 4_000), target_fpr=target_fpr)
    points = calibration.operating_points
    assert points is not None
    rates = {target_fpr: calibration.threshold_generated}
    for point in points.values():
        assert rates.setdefault(point["fpr"], point["threshold_generated"]) == point["threshold_generated"]
    thresholds = [threshold for _, threshold in sorted(rates.items())]
    assert thresholds == sorted(thresholds, reverse=True)


def test_named_points_are_stored_and_bounds_of_a_cascade_fall_with_the_old_thresholds():
    calibration = fit(*gaussian_margins(2_000, 2_000))
    config = FakeFaceConfig(architecture="cnn", image_size=16, cascade={"real_up_to": 0.1, "generated_from": 0.99})
    calibration.store(config)
    assert config.operating_points == calibration.operating_points
    assert FakeFaceConfig(**config.to_diff_dict()).operating_points == config.operating_points
    assert config.cascade is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"strict": {"fpr": 0.001}},
        {"strict": {"fpr": 0.001, "threshold_generated": 1.5}},
        {"strict": {"fpr": float("nan"), "threshold_generated": 0.5}},
        {"strict": {"fpr": 0.001, "threshold_generated": 0.5, "group_thresholds": {"1": 0.6}}},
        {"default": {"fpr": 0.001, "threshold_generated": 0.5}},
    ],
)
def test_broken_operating_points_are_refused(wrong: dict[str, dict[str, float]]):
    with pytest.raises(Exception, match=r"operating_points has .* a point takes fpr and threshold_generated from 0"):
        FakeFaceConfig(architecture="cnn", image_size=16, operating_points=wrong)  # pyright: ignore[reportArgumentType]
