"""The sentence beside a verdict: its figures are those of the evaluation, and of nothing else."""

from typing import Any

import pytest

from fakeface.app.rates import sentences


def report(**rates: Any) -> dict[str, Any]:
    """With these rates in the test's clean view; delivered pictures are half as often wrong."""
    rows = [{"split": "test", "view": "clean", **rates}, {"split": "validation", "view": "clean", "fpr": 0.9}]
    rows.append({"split": "test", "view": "delivered", **{name: rate and rate / 2 for name, rate in rates.items()}})
    return {"overall": rows}


def test_without_an_evaluation_nothing_is_said():
    assert sentences(None) == {}
    assert sentences(report(fpr=None, miss_rate=None, uncertain=None)) == {}


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (0.0, "Of 100 photographs like those we tested, none is called generated."),
        (0.0004, "Of 10000 photographs like those we tested, about 4 are called generated."),
        (0.0051, "Of 100 photographs like those we tested, about 1 is called generated."),
        (0.0123, "Of 100 photographs like those we tested, about 1 is called generated."),
        (0.27, "Of 100 photographs like those we tested, about 27 are called generated."),
    ],
)
def test_a_rate_is_told_as_a_count(rate: float, words: str):
    assert sentences(report(fpr=rate)) == {"generated": words}


def test_of_generators_that_it_never_saw_more_pass():
    measured = report(miss_rate=0.07, uncertain=0.3)
    assert (
        sentences(measured)["real"]
        == "Of 100 generated faces like those we tested, about 7 are taken for photographs too."
    )
    measured["overall"].append({"split": "unseen", "view": "clean", "miss_rate": 0.19, "uncertain": 0.5})
    assert sentences(measured)["real"].endswith("training, as newer ones are, about 19.")
    assert sentences(measured)["uncertain"] == "Of 100 pictures like those we tested, about 50 are left open."
    measured["overall"][-1]["miss_rate"] = 0.01
    assert "never saw" not in sentences(measured)["real"]
