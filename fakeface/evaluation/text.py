"""A report in Markdown, and the cells that cards and pages share with it."""

from collections.abc import Sequence
from typing import Any

from ..data.families import family_of
from ..reports.markdown import escaped, figure, percent, table

FIGURE_NAMES = {
    "auc": "AUC",
    "average_precision": "average precision",
    "tpr_at_fpr_0.01": "TPR at 1 % FPR",
    "tpr_at_fpr_0.005": "TPR at 0.5 % FPR",
    "tpr_at_fpr_0.001": "TPR at 0.1 % FPR",
    "balanced_accuracy": "balanced accuracy",
    "auc_real_changed": "AUC, only real changed",
    "auc_generated_changed": "AUC, only generated changed",
    "eer": "EER",
    "ece": "ECE",
    "brier": "Brier",
    "nll": "NLL",
    "fpr": "false positives",
    "miss_rate": "missed",
    "found": "found",
    "forced_error": "wrong if all were decided",
    "decided_error": "wrong among the decided",
}
RATES = ("fpr", "miss_rate", "found", "forced_error", "decided_error")
SHARES = {"uncertain": "uncertain", "saved": "errors saved"}  # without an interval

Table = tuple[str, list[str], list[list[str]]]  # title, head, rows


def tables(report: dict[str, Any]) -> list[Table]:
    """All tables of a report as text, those without rows left out."""
    return [table for table in _tables(report) if table[2]]


def _tables(report: dict[str, Any]) -> list[Table]:
    place = ["split", "view"]
    other = ["average_precision", "tpr_at_fpr_0.005", "tpr_at_fpr_0.001", "balanced_accuracy", "eer", "brier", "nll"]
    both = ["fpr_n", "fpr", "miss_rate_n", "miss_rate"]
    return [
        ("Overall", [*place, *OVERALL], [[*_cells(row, place), *overall_cells(row)] for row in report["overall"]]),
        _table("Overall, the other figures", report["overall"], [*place, *other]),
        _table("Other operating points", report.get("points", []), ["point", *place, "target_fpr", *AT_POINT]),
        _table("What uncertain is good for", report.get("uncertainty", []), [*place, *UNCERTAINTY]),
        summary_table(report),
        _table(
            "Generators",
            with_families(report["generators"]),
            ["generator", "family", *place, "n_generated", *RANKED, "miss_rate"],
        ),
        _table(
            "Families of generators",
            report.get("families", []),
            ["family", *place, "n_generators", "n_generated", *RANKED, "miss_rate"],
        ),
        _table(
            "Generators that training saw, and others",
            report.get("novelty", []),
            ["generators", *place, "n_real", "n_generated", *RANKED, "miss_rate"],
        ),
        _table("Real sources", report["real_sources"], ["source", *place, "fpr_n", "fpr"]),
        _table("Slices", report.get("slices", []), ["column", "value", *place, *both]),
        _table("Delivery sweep", report.get("sweep", []), ["view", "split", *RANKED, *ONE_SIDED, "fpr", "miss_rate"]),
    ]


def with_families(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of generators with their families; reports of versions before 0.2 say none, and then names decide."""
    return [{"family": family_of(row["generator"]), **row} for row in rows]


def summary_table(report: dict[str, Any]) -> Table:
    """The worst row of each table beside the mean of its rows."""
    head = ["split", "view", "of", "figure", "rows", "mean", "worst", "which"]
    return "The worst row beside the mean", head, [_summary_cells(row) for row in report.get("summary", [])]


OVERALL = ["real + generated", "AUC", "TPR at 1 % FPR", "false positives", "missed", "uncertain", "ECE"]
RANKED = ("auc", "tpr_at_fpr_0.01")
ONE_SIDED = ("auc_real_changed", "auc_generated_changed")
AT_POINT = ("fpr_n", "fpr", "found_n", "found")
UNCERTAINTY = ("uncertain", "forced_error_n", "forced_error", "decided_error_n", "decided_error", "saved")
HEADS = {
    "source": "real source",
    "n_generators": "generators",
    "n_generated": "n",
    "fpr_n": "n real",
    "miss_rate_n": "n generated",
    "found_n": "n generated",
    "target_fpr": "aim",
}
HEADS |= {"forced_error_n": "n", "decided_error_n": "n decided", **SHARES}


def _table(title: str, rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> Table:
    head = [FIGURE_NAMES.get(column, HEADS.get(column, column)) for column in columns]
    return title, head, [_cells(row, columns) for row in rows]


def _cells(row: dict[str, Any], columns: Sequence[str]) -> list[str]:
    return [cell(row, column) for column in columns]


def cell(row: dict[str, Any], name: str) -> str:
    """One value of a row as text, with its interval if it is a figure."""
    if name in RATES:
        return percent(row, name)
    if name in SHARES:
        return "–" if row[name] is None else f"{100 * row[name]:.1f} %"
    return figure(row, name) if name in FIGURE_NAMES else str(row[name])


def _summary_cells(row: dict[str, Any]) -> list[str]:
    show = percent if row["figure"] in RATES else figure
    mean = f"{100 * row['mean']:.1f} %" if row["figure"] in RATES else f"{row['mean']:.3f}"
    words = [row["split"], row["view"], row["of"].replace("_", " "), FIGURE_NAMES[row["figure"]], str(row["rows"])]
    return [*words, mean, show(row, "worst"), row["worst_row"]]


def markdown(report: dict[str, Any]) -> str:
    """The tables of a report, and what must not be overlooked, as Markdown."""
    parts = remarks(report)
    parts += [f"### {title}\n\n{table(head, rows)}" for title, head, rows in tables(report)]
    return "\n\n".join(parts) + "\n"


def remarks(report: dict[str, Any]) -> list[str]:
    """What must not be overlooked, as a Markdown list: one part, or none."""
    said = [f"- {escaped(remark)}" for remark in report.get("remarks", [])]
    return ["\n".join(said)] if said else []


def overall_cells(row: dict[str, Any]) -> list[str]:
    """The figures of an `overall` row: n, AUC, TPR at 1 % FPR, false positives, missed, uncertain, ECE."""
    return [
        f"{row['n_real']} + {row['n_generated']}",
        figure(row, "auc"),
        figure(row, "tpr_at_fpr_0.01"),
        percent(row, "fpr"),
        percent(row, "miss_rate"),
        f"{100 * row['uncertain']:.1f} %",
        "–" if row["ece"] is None else f"{row['ece']:.3f}",
    ]
