"""What a verdict is worth, in a sentence: rates that the model's own evaluation measured, never the aims of its lines.

A picture's kind is unknown, so that of the views of a split (as collected, as delivered) the worse one is told.
"""

import math
from typing import Any


def sentences(report: dict[str, Any] | None) -> dict[str, str]:
    """A sentence for each verdict that was measured; none without an evaluation."""
    told: dict[str, str] = {}
    if report is None:
        return told
    called = _worst(report, "fpr", "test", "unseen")
    if called is not None:
        told["generated"] = f"Of {_like(called, 'photographs')} called generated."
    missed, unknown = _worst(report, "miss_rate", "test"), _worst(report, "miss_rate", "unseen")
    if missed is not None:
        told["real"] = f"Of {_like(missed, 'generated faces')} taken for photographs too."
        if unknown is not None and unknown > missed:
            more = round(unknown * _whole(missed))
            told["real"] += f" From generators that it never saw in training, as newer ones are, about {more}."
    undecided = _worst(report, "uncertain", "test", "unseen")
    if undecided is not None:
        told["uncertain"] = f"Of {_like(undecided, 'pictures')} left open."
    return told


def _worst(report: dict[str, Any], rate: str, *splits: str) -> float | None:
    """The highest rate among the views of these splits; too few pictures make none."""
    rates = [row.get(rate) for row in report["overall"] if row["split"] in splits]
    return max((rate for rate in rates if rate is not None), default=None)


def _like(rate: float, what: str) -> str:
    """`100 photographs like those we tested, about 1 is`: a count is understood where a percentage is not."""
    count = round(rate * _whole(rate))
    some = f"about {count} {'are' if count > 1 else 'is'}" if count else "none is"
    return f"{_whole(rate)} {what} like those we tested, {some}"


def _whole(rate: float) -> int:
    """Of how many a rate is told: of 100, or of more where it would be rounded to none of them."""
    return 100 if rate == 0 else max(100, 10 ** math.ceil(-math.log10(2 * rate)))
