"""The report of leaving one out, as Markdown and as CSV."""

import csv
import io
from typing import Any

from .evaluation_text import FIGURE_NAMES, figure, percent, remarks, summary_table, table

FIGURES = {
    "generators": ("auc", "tpr_at_fpr_0.01", "miss_rate"),
    "real_sources": ("fpr",),
}
RATES = ("fpr", "miss_rate")
UNTRAINED = "kept out of all"  # what no training saw, so there is no figure to set beside


def markdown(report: dict[str, Any]) -> str:
    """The tables: generators and real sources, held out and seen, and the worst row beside the mean."""
    parts = remarks(report)
    for name, kind, title, n in (
        ("generators", "generator", "Generators left out of training", "n_generated"),
        ("real_sources", "source", "Real sources left out of training", "fpr_n"),
    ):
        head = [kind, "view", *(["n real"] if name == "generators" else []), "n"]
        for key in FIGURES[name]:
            head += [f"{FIGURE_NAMES[key]}, held out", f"{FIGURE_NAMES[key]}, seen"]
        rows = []
        for row in report[name]:
            cells = [row[kind], row["view"], *([str(row["n_real"])] if name == "generators" else []), str(row[n])]
            for key in FIGURES[name]:
                cells += [_cell(row, key), _cell(row["seen"], key) if row["seen"] else UNTRAINED]
            rows.append(cells)
        parts.append(f"### {title}\n\n{table(head, rows)}")
    title, head, rows = summary_table(report)
    parts.append(f"### {title}\n\n{table(head, rows)}")
    return "\n\n".join(parts) + "\n"


def _cell(row: dict[str, Any], key: str) -> str:
    return percent(row, key) if key in RATES else figure(row, key)


def as_csv(report: dict[str, Any]) -> str:
    """Every figure on a line of its own: of what, held out or seen, value, interval and n."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["kind", "name", "training", "view", "figure", "value", "low", "high", "n_real", "n_generated"])
    for name, kind in (("generators", "generator"), ("real_sources", "source")):
        for row in report[name]:
            for training, found in (("held out", row), ("seen", row["seen"])):
                for key in FIGURES[name] if found else ():
                    low_high = found.get(f"{key}_interval") or ("", "")
                    n_real = found["fpr_n"] if key == "fpr" else 0 if key == "miss_rate" else found["n_real"]
                    n_made = found["miss_rate_n"] if key == "miss_rate" else 0 if key == "fpr" else found["n_generated"]
                    writer.writerow(
                        [kind, row[kind], training, row["view"], key, found[key], *low_high, n_real, n_made]
                    )
    return text.getvalue()
