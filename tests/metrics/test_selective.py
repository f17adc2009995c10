"""Errors that the verdict `uncertain` saves, counted by hand."""

import numpy as np
import pandas as pd
import pytest

from fakeface.metrics.selective import risk_and_coverage, uncertainty


def rows(labels, scores, verdicts):
    return pd.DataFrame({"label": labels, "score": scores, "verdict": verdicts})


def test_errors_with_and_without_it():
    words = ["real", "uncertain", "uncertain", "uncertain", "uncertain", "generated", "real", "generated"]
    found = uncertainty(rows([0, 0, 0, 0, 1, 1, 1, 1], [0.1, 0.4, 0.6, 0.9, 0.4, 0.8, 0.1, 0.9], words))
    assert (found["n_real"], found["n_generated"], found["uncertain"]) == (4, 4, 0.5)
    assert (found["forced_error_n"], found["forced_error"]) == (8, 0.5)  # 0.6, 0.9 | 0.4, 0.1
    assert (found["decided_error_n"], found["decided_error"]) == (4, 0.25)
    assert found["saved"] == 0.75
    low, high = found["decided_error_interval"]
    assert 0 < low < 0.25 < high < 1


def test_nothing_decided_and_nothing_wrong():
    found = uncertainty(rows([0, 1], [0.3, 0.7], ["uncertain"] * 2))
    assert (found["uncertain"], found["forced_error"], found["decided_error"], found["saved"]) == (1, 0, None, None)


def test_the_surest_come_first_and_equals_come_together():
    labels, scores = np.array([0, 0, 1, 1, 1]), np.array([0.0, 0.75, 1.0, 0.25, 0.375])
    coverage, risk = risk_and_coverage(labels, scores)
    assert coverage == pytest.approx([0.4, 0.8, 1.0])  # 0.75 and 0.25 are equally unsure
    assert risk == pytest.approx([0, 2 / 4, 3 / 5])
