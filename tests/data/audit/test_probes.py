"""Probes: they find what is there, and nothing where nothing is."""

import numpy as np
import pandas as pd
import pytest

from fakeface.data.audit.probes import (
    CLEAN_BELOW,
    PROBES,
    Probe,
    family_level,
    most_telling,
    out_of_fold,
    per_source,
    run_probes,
    too_few,
)

SHARPNESS = next(probe for probe in PROBES if probe.name == "sharpness")
LIGHT = next(probe for probe in PROBES if probe.name == "light")


def table(shift, n=160, seed=0):
    """Two columns of which the first is `shift` larger for generated pictures; labels in turn, groups of one."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    features = pd.DataFrame(
        {"fed.sharpness.laplacian": rng.normal(size=n) + shift * labels, "fed.light.mean": rng.normal(size=n)}
    )
    return features, labels, np.arange(n)


def test_a_leak_is_found_and_what_is_none_is_not():
    found, quiet = run_probes(*table(4.0), probes=[SHARPNESS, LIGHT])
    assert found.auc is not None
    assert found.auc >= 0.95
    assert found.leaks
    assert quiet.interval is not None
    assert quiet.interval[0] < 0.5 < quiet.interval[1]
    assert not quiet.leaks


def test_one_number_that_never_varies_gives_exactly_one_half():
    features, _, groups = table(0.0)
    features["fed.light.mean"] = 1.0
    # Unequal labels, so that the shares of the folds differ: a forest that knows nothing then says what it saw most.
    labels = (np.arange(160) % 3 == 0).astype(int)
    (finding,) = run_probes(features, labels, groups, probes=[LIGHT])
    assert finding.auc == pytest.approx(0.5, abs=0.01)
    assert not finding.leaks


def test_scores_out_of_fold_are_spread_as_chance_alone_would():
    features, labels, groups = table(0.0)
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(20):
        scores, _ = out_of_fold(features.to_numpy(), labels, groups, 0, trees=10)
        real, generated = np.sort(scores[labels == 0]), scores[labels == 1]
        auc = (np.searchsorted(real, generated) / len(real)).mean()
        # The spread of an AUC by chance, after Mann and Whitney (1947). One in twenty is farther out than twice that.
        alarms += abs(auc - 0.5) > 2 * np.sqrt(161 / (12 * 80 * 80))
        labels = rng.permutation(labels)
    assert alarms <= 4


def test_near_duplicates_stay_in_one_fold():
    # Ten copies each of sixteen pictures, labelled by chance: told right only by remembering a copy.
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(size=(16, 1)), 10, axis=0)
    labels, groups = np.repeat(np.arange(16) % 2, 10), np.repeat(np.arange(16), 10)
    features = pd.DataFrame({"fed.light.mean": values[:, 0]})
    (together,) = run_probes(features, labels, groups, probes=[LIGHT])
    (apart,) = run_probes(features, labels, np.arange(160), probes=[LIGHT])
    assert together.auc is not None
    assert apart.auc is not None
    assert together.auc < 0.7 < 0.95 < apart.auc


def test_missing_numbers_are_taken():
    features, labels, groups = table(4.0)
    features.loc[::3, "fed.sharpness.laplacian"] = np.nan
    (finding,) = run_probes(features, labels, groups, probes=[SHARPNESS])
    assert finding.auc is not None
    assert finding.auc > 0.75


def test_what_cannot_be_measured_is_skipped_with_the_reason():
    features, labels, groups = table(0.0)
    (finding,) = run_probes(features, labels, groups, probes=[Probe("x", "X", ("face.",), "", "")])
    assert (finding.auc, finding.leaks) == (None, False)
    assert finding.skipped == "the dataset has nothing to measure it by"
    assert too_few(labels[:30], groups[:30]) == "only 15 real pictures: at least 20 are needed"
    assert too_few(labels, np.arange(160) % 2) == "the real pictures are near duplicates of 1 only: 5 are needed"
    assert too_few(labels, groups) == ""


def test_as_many_pictures_as_needed_do_tell():
    """An audit of 54 pictures once said that no probe told the label, with intervals up to 0.885."""
    features, labels, groups = table(0.0, n=54)
    (few,) = run_probes(features, labels, groups, probes=[LIGHT])
    assert few.interval is not None
    assert few.interval[1] >= CLEAN_BELOW
    assert few.needed is not None
    assert few.needed > few.n == 54
    (enough,) = run_probes(*table(0.0, n=1600), probes=[LIGHT])
    assert enough.interval is not None
    assert enough.interval[1] < CLEAN_BELOW
    assert (enough.leaks, enough.needed) == (False, None)


def test_the_level_grows_with_the_number_of_probes():
    assert family_level(1) == pytest.approx(0.95)
    assert family_level(10) == pytest.approx(0.995)


def test_sources_and_pictures_that_are_told_best_come_first():
    features, labels, groups = table(0.0)
    sources = np.where(labels == 0, "camera", np.where(np.arange(160) % 4 == 1, "sharp", "plain"))
    features["fed.sharpness.laplacian"] += 6 * (sources == "sharp")
    (finding,) = run_probes(features, labels, groups, probes=[SHARPNESS])
    rows = per_source(finding, labels, sources.tolist())
    assert rows[0]["source"] == "sharp"
    assert rows[0]["auc"] > 0.9 > rows[-1]["auc"]
    assert [row["n"] for row in rows if row["source"] == "camera"] == [80]
    telling = most_telling(finding, labels, 3)
    assert [int(labels[i]) for i in telling] == [0, 0, 0, 1, 1, 1]
    assert all(sources[i] == "sharp" for i in telling[3:])


def test_equal_seeds_give_equal_findings():
    first, second = (run_probes(*table(1.0), probes=[SHARPNESS], seed=3)[0] for _ in range(2))
    assert (first.auc, first.interval) == (second.auc, second.interval)
    assert (first.scores == second.scores).all()
