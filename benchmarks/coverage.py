"""How often the 95 % intervals of `fakeface.metrics` hold the truth, by simulation.

    python benchmarks/coverage.py [--trials 2000] [--sizes 300 1000 3000]

Writes benchmarks/coverage.csv. Real and generated pictures have Gaussian margins one apart from the other; scores are
calibrated, or twice as sure as they may be, where figures that only rank are the same. The truth is the figure of two
million pictures. Of 2,000 trials, a coverage of 0.950 is read within 0.010 (two standard deviations); all figures of a
size are taken on the same trials, and so err together.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from figures_file import keep
from scipy.special import expit

from fakeface.metrics.counts import FIGURES, OF_PROBABILITIES
from fakeface.metrics.detection import detection_metrics

DISTANCE = 1.8  # in standard deviations: an AUC of 0.90
SURENESS = {"calibrated": 1.0, "too sure": 2.0}
TRUTH = 1_000_000  # pictures of each label
COLUMNS = ("figure", "scores", "n_real", "n_generated", "trials", "truth", "coverage")


def draw(n: int, sureness: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores of n real and n generated pictures."""
    labels = np.repeat([0, 1], n)
    log_odds = DISTANCE * (rng.normal(DISTANCE * labels) - DISTANCE / 2)
    return labels, expit(sureness * log_odds)


def measure(size: int, scores: str, trials: int) -> list[dict[str, Any]]:
    sureness = SURENESS[scores]
    names = tuple(FIGURES) if sureness == 1 else OF_PROBABILITIES
    truth = detection_metrics(*draw(TRUTH, sureness, np.random.default_rng(1)), names, resamples=0)
    held: dict[str, list[bool]] = {}
    for trial in range(trials):
        found = detection_metrics(*draw(size, sureness, np.random.default_rng((2, trial))), names, seed=trial)
        for name in (name for name in found if name.endswith("_interval")):
            low, high = found[name]
            held.setdefault(name.removesuffix("_interval"), []).append(low <= truth[name[:-9]] <= high)
    return [
        {"figure": name, "scores": scores, "n_real": size, "n_generated": size, "trials": len(hits)}
        | {"truth": f"{truth[name]:.4f}", "coverage": f"{np.mean(hits):.3f}"}
        for name, hits in held.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[300, 1000, 3000])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()
    rows = [row for size in options.sizes for scores in SURENESS for row in measure(size, scores, options.trials)]
    keep(options.out, rows, COLUMNS)


if __name__ == "__main__":
    main()
