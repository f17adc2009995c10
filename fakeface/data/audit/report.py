"""An audit as one HTML file that loads nothing from anywhere, and as JSON beside it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from ...configuration_fakeface import LABELS
from ...reports.html import COLOURS, svg, templates, thumbnail
from ...utils.errors import OptionError
from ...utils.files import clear_write_errors
from .probes import CLEAN_BELOW
from .run import Audit

TEMPLATE = Path(__file__).with_name("report.html")


def write_audit(audit: Audit, path: Path) -> Path:
    """Write the report to `path` and its JSON beside it, with the suffix `.json`; returns the path of the JSON.

    Raises:
        OutputError: a file cannot be written; the message names it.
        OptionError: the report would be its own JSON.
    """
    beside = path.with_suffix(".json")
    if beside == path:
        raise OptionError(f"{path}: the report is HTML, and its JSON goes beside it; name a file such as audit.html")
    with clear_write_errors(path, "name another file"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(as_html(audit), encoding="utf-8")
        beside.write_text(json.dumps(audit.report, indent=2) + "\n", encoding="utf-8")
    return beside


def as_html(audit: Audit) -> str:
    """The report as one HTML document; names and messages come from outside and are escaped."""
    pages = templates(TEMPLATE.parent, auc=_auc, interval=_interval, shade=_shade)
    report = {"command": "", "version": "", "model": "", **audit.report}
    leaking = [probe for probe in report["probes"] if probe["leaks"]]
    return pages.get_template(TEMPLATE.name).render(
        report=report,
        labels=LABELS,
        leaks=bool(leaking),
        unsure=any(probe["needed"] for probe in report["probes"]),
        clean_below=CLEAN_BELOW,
        overview=_overview(report["probes"]),
        heat=_heat(leaking),
        details=[_details(audit, probe) for probe in sorted(leaking, key=lambda probe: -probe["auc"])],
    )


def _details(audit: Audit, probe: dict[str, Any]) -> dict[str, Any]:
    sides = []
    for label, name in enumerate(LABELS):
        examples = [example for example in probe["examples"] if example["label"] == label]
        shown = [{**example, "thumbnail": thumbnail(audit.dataset[example["row"]]["image"])} for example in examples]
        sides.append({"label": name, "examples": shown})
    plot = _histograms(audit, list(probe["importances"])[:3])
    return {**probe, "sides": sides, "plot": plot}


def _heat(leaking: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows of sources and columns of probes, of the AUC of one source against the other label."""
    cells = {(row["source"], row["label"], probe["name"]): row for probe in leaking for row in probe["sources"]}
    keys = sorted({(label, source, row["n"]) for (source, label, _), row in cells.items()})
    rows = []
    for label, source, n in keys:
        found = [cells.get((source, label, probe["name"])) for probe in leaking]
        values = [cell["auc"] if cell else None for cell in found]
        rows.append({"source": source, "label": LABELS[label], "n": n, "cells": values})
    return {"columns": [probe["title"] for probe in leaking] if rows else [], "rows": rows}


def _overview(probes: list[dict[str, Any]]) -> Markup:
    """AUCs with their intervals, one line a probe."""
    shown = [probe for probe in probes if probe["auc"] is not None][::-1]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for y, probe in enumerate(shown):
            colour = COLOURS[1] if probe["leaks"] else "#52525b"
            axes.plot(probe["interval"], [y, y], color=colour, linewidth=2)
            axes.plot([probe["auc"]], [y], "o", color=colour)
        axes.axvline(0.5, color="#a1a1aa", linestyle=":")
        axes.set_yticks(range(len(shown)), [probe["title"] for probe in shown])
        axes.set_xlim(0.3, 1.02)
        axes.set_xlabel("AUC, generated against real")

    return svg(draw, (8.5, 0.6 + 0.34 * len(shown)), "AUC of each probe with its interval")


def _histograms(audit: Audit, columns: list[str]) -> Markup:
    """Distributions of a probe's most telling numbers, by label."""
    labels = np.asarray(audit.dataset["label"])

    def draw(figure: Any) -> None:
        for axes, column in zip(np.ravel(figure.subplots(1, len(columns))), columns, strict=True):
            values = audit.features[column].to_numpy()
            known = np.isfinite(values)
            low, high = np.quantile(values[known], [0.005, 0.995])
            edges = np.linspace(low, high if high > low else low + 1, 31)
            for label, name in enumerate(LABELS):
                own = np.clip(values[known & (labels == label)], edges[0], edges[-1])
                axes.hist(own, edges, density=True, histtype="step", linewidth=1.6, color=COLOURS[label], label=name)
            axes.set_title(column, fontsize=9)
            axes.set_yticks([])
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right upper")

    return svg(draw, (9, 2.4), "Distributions of " + ", ".join(columns))


def _auc(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _interval(value: list[float] | None) -> str:
    return "–" if value is None else f"({value[0]:.3f}–{value[1]:.3f})"


def _shade(value: float | None) -> str:
    """White at one half, to a red that black letters still stand out from."""
    strength = 0.0 if value is None else min(1.0, max(0.0, (value - 0.5) / 0.5))
    return f"rgb(255, {round(255 - 110 * strength)}, {round(255 - 120 * strength)})"
