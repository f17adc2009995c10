"""benchmarks/cascade.py: its rows; the cascade has its own tests."""

from typing import Any

import pytest

from benchmarks.cascade import rated, row_of
from fakeface.detector.cascade import FAST_WAS_SURE


def told(score: float | None, verdict: str, *reasons: str) -> dict[str, Any]:
    return {"score": score, "verdict": verdict, "reasons": list(reasons)}


LABELS = {"a": 0, "b": 0, "c": 1, "d": 1, "e": 0}
THOROUGH = {
    "a": told(0.1, "real"), "b": told(0.6, "uncertain"), "c": told(0.9, "generated"), "d": told(0.95, "generated"),
    "e": told(None, "no face"),
}  # fmt: skip


def test_a_row_counts_what_the_fast_model_decided_and_where_verdicts_agree():
    both = {**THOROUGH, "a": told(0.2, "real", FAST_WAS_SURE), "b": told(0.97, "generated", "few faces", FAST_WAS_SURE)}
    row = row_of("cascade", both, THOROUGH, LABELS)
    assert (row["n_real"], row["n_generated"]) == (2, 2)  # without the picture that has no face
    assert (row["decided_by_fast"], row["agrees"]) == (0.5, 0.8)
    assert (row["auc"], row["fpr"], row["found"]) == (0.5, 0.5, 1.0)
    assert row_of("thorough", THOROUGH, THOROUGH, LABELS)["decided_by_fast"] == 0.0
    assert row_of("fast", THOROUGH, THOROUGH, LABELS)["agrees"] == 1.0


def test_rates_are_over_that_of_the_thorough_model():
    rows = [{"way": way} for way in ("fast", "thorough", "cascade")]
    found = rated(rows, {"fast": 2.0, "thorough": 10.0, "cascade": 4.0}, 100)
    assert [row["per_second"] for row in found] == [50.0, 10.0, 25.0]
    assert [row["ratio"] for row in found] == pytest.approx([5.0, 1.0, 2.5])
