"""The CSV of a batch, and the model's own evaluation as HTML tables."""

import csv
import io
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from fakeface import ModelFolderError, Result
from fakeface.card import SPLIT_NAMES, CardError, fresh_report
from fakeface.evaluation_text import figure, overall_cells, percent, remarks
from fakeface.model_folder import find_folder

COLUMNS = ("picture", "score", "verdict", "faces", "reasons", "error")
HEAD = ("pictures", "photographs + generated", "AUC", "found at 1 % false alarms", "photographs called generated")
HEAD += ("generated called photographs", "cannot tell", "calibration error")
NOT_MEASURED = "<p>The model's folder holds no evaluation of it, so this page cannot say how good it is.</p>"
WORST = 6


def csv_link(results: Sequence[Result]) -> str:
    """A link that saves the results as CSV, which stands in the link itself: the server keeps no file."""
    content = b64encode(csv_text(results).encode("utf-8-sig")).decode("ascii")  # spreadsheets look for the mark
    return f'<a class="save" download="fakeface.csv" href="data:text/csv;base64,{content}">Save as CSV</a>'


def csv_text(results: Sequence[Result]) -> str:
    """A row for each result, in order."""
    buffer = io.StringIO()
    rows = csv.writer(buffer, lineterminator="\r\n")
    rows.writerow(COLUMNS)
    for result in results:
        score = "" if result.score is None else f"{result.score:.6f}"
        words = (result.verdict or "", len(result.faces), "; ".join(result.reasons), result.error or "")
        rows.writerow(_inert(cell) for cell in (result.picture, score, *words))
    return buffer.getvalue()


def _inert(cell: object) -> str:
    """A cell that spreadsheets do not take for a formula: names of files are a stranger's."""
    text = "".join(c if c.isprintable() else " " for c in str(cell))
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def evaluation_page(model: str | Path) -> str:
    """How good the model is, and where it fails, from the evaluation in its folder."""
    try:
        folder = find_folder(str(model), files=("config.json", "evaluation.json", "model.safetensors"))
        report = fresh_report(folder)
    except (CardError, ModelFolderError):
        return NOT_MEASURED
    return "".join((_overall(report), _worst(report), _sources(report), _remarks(report)))


def _overall(report: dict[str, Any]) -> str:
    rows = [
        [f"{SPLIT_NAMES[row['split']]}, {row['view']}", *overall_cells(row)]
        for row in report["overall"]
        if row["split"] != "validation"
    ]
    return (
        "<h2>How good it is</h2><p>Measured on pictures that training never saw. <i>Delivered</i> pictures went "
        "through rescaling, blur, noise and one or two more saves, as pictures on the web do. <i>Unseen sources</i> "
        "are collections and generators of which training had no picture. In brackets: 95 % intervals.</p>"
        + html_table("At the lines that verdicts use", HEAD, rows)
    )


def _worst(report: dict[str, Any]) -> str:
    """The generators it misses most, each in the view that is worst."""
    missed: dict[str, dict[str, Any]] = {}
    for row in report["generators"]:
        known = missed.get(row["generator"])
        if row["split"] != "validation" and (known is None or row["miss_rate"] > known["miss_rate"]):
            missed[row["generator"]] = row
    worst = sorted(missed.values(), key=lambda row: -row["miss_rate"])[:WORST]
    rows = [
        [row["generator"], f"{SPLIT_NAMES[row['split']]}, {row['view']}", percent(row, "miss_rate"), figure(row, "auc")]
        for row in worst
    ]
    head = ("generator", "pictures", "called photographs", "AUC")
    return "<h2>Where it fails</h2>" + html_table("The generators it misses most", head, rows)


def _sources(report: dict[str, Any]) -> str:
    wrong: dict[str, dict[str, Any]] = {}
    for row in (*report["kept_out"], *(row for row in report["real_sources"] if row["split"] == "unseen")):
        known = wrong.get(row["source"])
        if row["fpr"] is not None and (known is None or row["fpr"] > known["fpr"]):
            wrong[row["source"]] = row
    worst = sorted(wrong.values(), key=lambda row: -row["fpr"])[:WORST]
    rows = [[row["source"], row["view"], str(row["fpr_n"]), percent(row, "fpr")] for row in worst]
    head = ("photographs from", "view", "n", "called generated")
    return html_table("The photographs it gets wrong most", head, rows)


def _remarks(report: dict[str, Any]) -> str:
    items = "".join(f"<li>{escape(line[2:])}</li>" for part in remarks(report) for line in part.splitlines())
    command = f"<p>Figures from <code>{escape(report['command'])}</code></p>"
    return f'<ul class="remarks">{items}</ul>{command}' if items else command


def html_table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that scrolls within itself on a narrow screen, by keyboard too."""
    top = "".join(f'<th scope="col">{escape(text)}</th>' for text in head)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(text)}</td>" for text in others)}</tr>'
        for first, *others in rows
    )
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )
