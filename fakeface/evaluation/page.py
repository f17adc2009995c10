"""A report as one HTML page that loads nothing: tables, curves, and the worst mistakes as pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from datasets import DatasetDict
from markupsafe import Markup
from sklearn.metrics import roc_curve

from ..configuration_fakeface import LABELS
from ..metrics.counts import BINS
from ..metrics.selective import risk_and_coverage
from ..reports.html import COLOURS, svg, templates, thumbnail
from ..utils.files import clear_write_errors
from ..utils.spread import spread_evenly
from .text import tables

TEMPLATE = Path(__file__).with_name("page.html")
LOWEST_FPR = 1e-3  # where the ROC begins; fewer false positives than in a thousand are not resolved by most sets
MOST_POINTS = 400  # of a curve
LINES = {"clean": "-", "delivered": "--"}


def write_page(path: Path, scores: pd.DataFrame, report: dict[str, Any], splits: DatasetDict | None = None) -> None:
    """Write the page of a report.

    Args:
        path: of the page.
        scores, report: from `fakeface.evaluation.evaluate`.
        splits: for the pictures of mistakes; without it they are named only.

    Raises:
        OutputError: the page cannot be written.
    """
    with clear_write_errors(path, "name another folder with --out"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(as_html(scores, report, splits), encoding="utf-8")


def as_html(scores: pd.DataFrame, report: dict[str, Any], splits: DatasetDict | None = None) -> str:
    """The page; names and messages come from outside and are escaped."""
    two_labels = [row for row in report["overall"] if row["auc"] is not None and row["split"] != "validation"]
    parts = [(row["split"], row["view"], _part(scores, row["split"], row["view"])) for row in two_labels]
    clean = [(split, rows) for split, view, rows in parts if view == "clean"]
    probabilities = [(split, rows) for split, rows in clean if rows["score"].between(0, 1).all()]
    return (
        templates(TEMPLATE.parent)
        .get_template(TEMPLATE.name)
        .render(
            report=report,
            tables=tables(report),
            roc=_roc(parts) if parts else "",
            reliability=_reliability(probabilities) if probabilities else "",
            histograms=_histograms(probabilities, report["operating_point"]) if probabilities else "",
            coverage=_coverage(probabilities, report["uncertainty"]) if probabilities else "",
            sweep=_sweep(report["sweep"]) if report["sweep"] else "",
            mistakes=_mistakes(report["mistakes"], splits),
        )
    )


def _part(scores: pd.DataFrame, split: str, view: str) -> pd.DataFrame:
    return scores.loc[(scores["split"] == split) & (scores["view"] == view)]


def _roc(parts: Sequence[tuple[str, str, pd.DataFrame]]) -> Markup:
    splits = list(dict.fromkeys(split for split, _, _ in parts))

    def draw(drawing: Any) -> None:
        axes = drawing.subplots()
        for split, view, rows in parts:
            fpr, tpr, _ = roc_curve(rows["label"], rows["score"])
            # All points of the lowest rates, which the log axis draws wide, and some of the others: a page need not
            # hold one for every picture.
            at = np.union1d(np.arange(min(MOST_POINTS, len(fpr))), spread_evenly(len(fpr), MOST_POINTS))
            axes.plot(
                np.maximum(fpr[at], LOWEST_FPR / 10), tpr[at], LINES[view], drawstyle="steps-post",
                color=f"C{splits.index(split)}", label=f"{split}, {view}",
            )  # fmt: skip
        chance = np.geomspace(LOWEST_FPR, 1, 50)
        axes.plot(chance, chance, ":", color="#a1a1aa", label="chance")
        _log_scale(axes.set_xscale, axes.xaxis)
        axes.set_xlim(LOWEST_FPR, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel("false-positive rate")
        axes.set_ylabel("generated pictures found")
        axes.grid(alpha=0.3)
        axes.legend(loc="upper left", fontsize=8)

    return svg(draw, (7.5, 4.5), "ROC with the false-positive rate on a log axis")


def _log_scale(set_scale: Any, axis: Any) -> None:
    """A log axis with plain numbers: matplotlib's own labels are formulas, which `svg` leaves as they are."""
    from matplotlib.ticker import NullFormatter

    set_scale("log")
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def _reliability(parts: Sequence[tuple[str, pd.DataFrame]]) -> Markup:
    def draw(drawing: Any) -> None:
        axes = drawing.subplots()
        axes.plot([0, 1], [0, 1], ":", color="#a1a1aa")
        for split, rows in parts:
            mean_score, share = reliability(rows["label"].to_numpy(), rows["score"].to_numpy())
            axes.plot(mean_score, share, "o-", markersize=4, label=split)
        axes.set_xlabel("mean score of a bin")
        axes.set_ylabel("share generated")
        axes.set_aspect("equal")
        axes.legend(loc="upper left", fontsize=8)

    return svg(draw, (4.8, 4.5), "Reliability diagram")


def reliability(labels: np.ndarray, scores: np.ndarray, bins: int = BINS) -> tuple[np.ndarray, np.ndarray]:
    """Mean score and share of generated pictures of the bins that have any, each label weighing one half.

    Args:
        labels: 0 real, 1 generated, both there, (n,).
        scores: 0 to 1, (n,).
        bins: of equal width, as of the expected calibration error.
    """
    weights = np.where(labels == 1, 0.5 / (labels == 1).sum(), 0.5 / (labels == 0).sum())
    bin_of = np.minimum((scores * bins).astype(int), bins - 1)
    total, score, generated = (np.bincount(bin_of, weights * of, bins) for of in (np.ones_like(scores), scores, labels))
    there = total > 0
    return score[there] / total[there], generated[there] / total[there]


def _histograms(parts: Sequence[tuple[str, pd.DataFrame]], point: dict[str, Any]) -> Markup:
    def draw(drawing: Any) -> None:
        for axes, (split, rows) in zip(np.ravel(drawing.subplots(1, len(parts))), parts, strict=True):
            for label, name in enumerate(LABELS):
                own = rows["score"][rows["label"] == label]
                axes.hist(own, np.linspace(0, 1, 41), histtype="step", linewidth=1.6, color=COLOURS[label], label=name,
                          weights=np.full(len(own), 1 / len(own)))  # fmt: skip
            for threshold in (point["threshold_real"], point["threshold_generated"]):
                axes.axvline(threshold, color="#a1a1aa", linestyle=":")
            _log_scale(axes.set_yscale, axes.yaxis)
            axes.set_title(split, fontsize=9)
            axes.set_xlabel("score")
        drawing.legend(*drawing.axes[0].get_legend_handles_labels(), loc="outside right upper")

    return svg(draw, (9, 3), "Scores by label, with the thresholds")


def _coverage(parts: Sequence[tuple[str, pd.DataFrame]], told: list[dict[str, Any]]) -> Markup:
    decided = {row["split"]: 1 - row["uncertain"] for row in told if row["view"] == "clean"}

    def draw(drawing: Any) -> None:
        axes = drawing.subplots()
        for i, (split, rows) in enumerate(parts):
            coverage, risk = risk_and_coverage(rows["label"].to_numpy(), rows["score"].to_numpy())
            at = spread_evenly(len(coverage), MOST_POINTS)
            axes.plot(coverage[at], risk[at], color=f"C{i}", label=split)
            axes.axvline(decided[split], color=f"C{i}", linestyle=":")
        axes.set_xlim(0, 1)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("coverage: share of pictures that are decided")
        axes.set_ylabel("risk: share of these that is wrong")
        axes.grid(alpha=0.3)
        axes.legend(loc="upper left", fontsize=8)

    return svg(draw, (7.5, 3.5), "Risk and coverage")


def _sweep(rows: list[dict[str, Any]]) -> Markup:
    families = list(dict.fromkeys(row["family"] for row in rows))
    splits = list(dict.fromkeys(row["split"] for row in rows))

    def draw(drawing: Any) -> None:
        grid = np.ravel(drawing.subplots(-(-len(families) // 3), 3, sharey=True, squeeze=False))
        for axes, family in zip(grid, families, strict=False):
            for i, split in enumerate(splits):
                own = [
                    row for row in rows if (row["family"], row["split"]) == (family, split) and row["auc"] is not None
                ]
                own.sort(key=lambda row: row["strength"])
                strengths = [row["strength"] for row in own]
                axes.plot(strengths, [row["auc"] for row in own], "o-", markersize=3, color=f"C{i}", label=split)
                ends = [[row["auc_interval"][end] for row in own] for end in (0, 1)]
                axes.fill_between(strengths, *ends, alpha=0.15, color=f"C{i}")
            ticks = sorted({row["strength"] for row in rows if row["family"] == family})
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], fontsize=7)
            axes.set_title(family, fontsize=9)
            axes.grid(alpha=0.3)
        for axes in grid[len(families) :]:
            axes.axis("off")
        drawing.supylabel("AUC")
        drawing.legend(*grid[0].get_legend_handles_labels(), loc="outside right upper")

    return svg(draw, (9, 2.2 * -(-len(families) // 3)), "AUC along the delivery sweep")


def _mistakes(rows: list[dict[str, Any]], splits: DatasetDict | None) -> list[dict[str, Any]]:
    """Sections of wrong verdicts, with their pictures where there are any."""
    sections = []
    for split in dict.fromkeys(row["split"] for row in rows):
        hashes = splits[split]["sha256"][:] if splits and split in splits else []
        place = {sha256: i for i, sha256 in enumerate(hashes)}
        for label, words in ((0, "Photographs called generated"), (1, "Generated pictures called real")):
            own = [row for row in rows if (row["split"], row["label"]) == (split, label)]
            shown = [
                {**row, "thumbnail": thumbnail(splits[split][place[row["sha256"]]]["image"])}
                if splits and row["sha256"] in place
                else {**row, "thumbnail": ""}
                for row in own
            ]
            if shown:
                sections.append({"title": f"{words}, {split}", "pictures": shown})
    return sections


__all__ = ["as_html", "reliability", "write_page"]
