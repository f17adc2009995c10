"""What the verdict `uncertain` is good for: the pictures it sets aside, and the errors it saves.

Risk and coverage as El-Yaniv and Wiener (2010) have them: coverage is the share of pictures that get a verdict, risk
the share of wrong ones among these.
"""

from typing import Any

import numpy as np
import pandas as pd

from .detection import wilson_interval

FORCED = 0.5  # of a calibrated score: the likelier label, where one must be said


def risk_and_coverage(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Risk at each coverage, when the pictures whose scores are nearest to 0.5 are set aside first.

    Args:
        labels: 0 real, 1 generated, (n,).
        scores: 0 to 1, (n,).

    Returns:
        Coverage, rising to 1, and risk, one of each for every distance from 0.5 that occurs: pictures with the same
        one come and go together.
    """
    sureness = np.abs(scores - FORCED)
    order = np.argsort(-sureness, kind="stable")
    wrong = (scores[order] >= FORCED) != (labels[order] == 1)
    taken = np.arange(1, len(order) + 1)
    last = np.append(np.diff(sureness[order]) != 0, True)
    return (taken / len(order))[last], (np.cumsum(wrong) / taken)[last]


def uncertainty(rows: pd.DataFrame) -> dict[str, Any]:
    """What was set aside, and the errors with and without that.

    Args:
        rows: `label`, `score` and `verdict` of pictures, at least one.

    Returns:
        `uncertain`: share without a verdict. `forced_error`: share of wrong labels if 0.5 decided about every picture.
        `decided_error`: share of wrong verdicts among the pictures that got one, `None` if none did. `saved`: share of
        the forced errors that are not wrong verdicts, `None` if there are none. Errors have n and a Wilson interval;
        `n_real` and `n_generated` are of all pictures.
    """
    labels = rows["label"].to_numpy()
    forced = int(((rows["score"].to_numpy() >= FORCED) != (labels == 1)).sum())
    decided = rows[rows["verdict"] != "uncertain"]
    wrong = int(((decided["verdict"] == "generated") != (decided["label"] == 1)).sum())
    return {
        "n_real": int((labels == 0).sum()),
        "n_generated": int((labels == 1).sum()),
        "uncertain": 1 - len(decided) / len(rows),
        **_share("forced_error", forced, len(rows)),
        **_share("decided_error", wrong, len(decided)),
        "saved": 1 - wrong / forced if forced else None,
    }


def _share(name: str, wrong: int, n: int) -> dict[str, Any]:
    if not n:
        return {f"{name}_n": 0, name: None}
    return {f"{name}_n": n, name: wrong / n, f"{name}_interval": wilson_interval(wrong, n)}
