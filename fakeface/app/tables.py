"""The rows of a batch, and the model's own evaluation as HTML tables."""

import csv
import io
import json
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from ..configuration_fakeface import FakeFaceConfig
from ..evaluation.text import overall_cells, remarks, with_families
from ..model_folder import ModelFolderError
from ..model_folder.opening import find_folder
from ..release.card import SPLIT_NAMES, CardError, fresh_report
from ..reports.markdown import figure, percent
from ..results import Result, group_threshold
from ..utils.text import inert

OF_FACE = ("face", "left", "top", "right", "bottom", "face_verdict", "face_score")
HEAD = ("pictures", "photographs + generated", "AUC", "found at 1 % false alarms", "photographs called generated")
HEAD += ("generated called photographs", "cannot tell", "calibration error")
NOT_MEASURED = "<p>The model's folder holds no evaluation of it, so this page cannot say how good it is.</p>"
WORST = 6


def face_rows(results: Sequence[Result], config: FakeFaceConfig, model: str) -> list[dict[str, Any]]:
    """A row for each face, or for a picture without any, with the thresholds by which the verdicts were read off.

    Args:
        results: of pictures.
        config: of the model that judged them.
        model: what it is called.
    """
    rows = []
    for result in results:
        of_picture = {
            "picture": result.picture,
            "verdict": result.verdict,
            "score": result.score and round(result.score, 6),
            "faces": len(result.faces),
            "reasons": "; ".join(result.reasons),
            "error": result.error,
        }
        lines = {
            "threshold_real": config.threshold_real,
            "threshold_generated": config.threshold_generated,
            "threshold_picture": group_threshold(max(len(result.faces), 1), config),
            "model": model,
        }
        for number, face in enumerate(result.faces, start=1):
            edges = dict(zip(("left", "top", "right", "bottom"), map(round, face.box), strict=True))
            of_face = {"face": number, **edges, "face_verdict": face.verdict, "face_score": round(face.score, 6)}
            rows.append({**of_picture, **of_face, **lines})
        if not result.faces:
            rows.append({**of_picture, **dict.fromkeys(OF_FACE), **lines})
    return rows


def links(rows: Sequence[dict[str, Any]]) -> str:
    """Links that save rows as CSV and as JSON Lines, which stand in the links themselves: the server keeps no file."""
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    files = {"csv": (csv_text(rows).encode("utf-8-sig"), "text/csv")}  # spreadsheets look for the mark
    files["jsonl"] = (lines.encode(), "application/jsonl")
    return " ".join(
        f'<a class="save" download="fakeface.{kind}" href="data:{type_};base64,{b64encode(content).decode("ascii")}">'
        f"Save as {kind.upper()}</a>"
        for kind, (content, type_) in files.items()
    )


def csv_text(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as CSV."""
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\r\n")
    table.writerow(rows[0] if rows else ())
    table.writerows([_one_line("" if cell is None else cell) for cell in row.values()] for row in rows)
    return buffer.getvalue()


def _one_line(cell: object) -> object:
    return inert("".join(c if c.isprintable() else " " for c in str(cell)))


def report_of(model: str | Path) -> dict[str, Any] | None:
    """The evaluation in a model's folder; none where it has none, or that of another model."""
    try:
        return fresh_report(find_folder(str(model), files=("config.json", "evaluation.json", "model.safetensors")))
    except (CardError, ModelFolderError):
        return None


def evaluation_page(report: dict[str, Any] | None) -> str:
    """How good the model is, and where it fails."""
    if report is None:
        return NOT_MEASURED
    return "".join((_overall(report), _worst(report), _families(report), _sources(report), _remarks(report)))


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
    for row in with_families(report["generators"]):
        if row["split"] == "validation" or row["miss_rate"] is None:  # too few pictures for a rate
            continue
        known = missed.get(row["generator"])
        if known is None or row["miss_rate"] > known["miss_rate"]:
            missed[row["generator"]] = row
    worst = sorted(missed.values(), key=lambda row: -row["miss_rate"])[:WORST]
    rows = [
        [row["generator"], row["family"], *_place(row), percent(row, "miss_rate"), figure(row, "auc")] for row in worst
    ]
    head = ("generator", "family", "pictures", "called photographs", "AUC")
    return "<h2>Where it fails</h2>" + html_table("The generators it misses most", head, rows)


def _families(report: dict[str, Any]) -> str:
    """Every family of generators; nothing where the report was written before there were any."""
    rows = [
        [row["family"], *_place(row), str(row["n_generated"]), percent(row, "miss_rate"), figure(row, "auc")]
        for row in report.get("families", [])
        if row["split"] != "validation"
    ]
    head = ("family", "pictures", "n", "called photographs", "AUC")
    return html_table("Families of generators", head, rows) if rows else ""


def _place(row: dict[str, Any]) -> list[str]:
    return [f"{SPLIT_NAMES[row['split']]}, {row['view']}"]


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
