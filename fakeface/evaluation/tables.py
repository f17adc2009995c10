"""The tables of a report, from a row for each picture and view."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd

from ..data.columns import FAMILY
from ..data.families import families_of
from ..delivery.sweep import SWEEP
from ..metrics.counts import FIGURES, RATES
from ..metrics.detection import detection_metrics, looks_swapped, wilson_interval
from ..metrics.selective import uncertainty
from ..results import Thresholds, verdict
from ..utils.errors import FakefaceError
from .scores import VIEWS
from .text import FIGURE_NAMES

# Below this many pictures a rate says nothing: one error is five per cent.
SMALLEST_ROW = 20
RANKING = ("auc", *RATES)
NAMELESS = ("unknown", "none", "")  # what stands for the generator of a generated picture that nobody names
MOST_VALUES = 12  # of a column of numbers; one with more is cut into quarters
MOST_NAMES = 100  # of a column of words
MISTAKES = 12  # pictures shown of each kind of mistake


class SliceError(FakefaceError):
    """A column cannot be sliced by; the message says why."""


def tabulate(
    scores: pd.DataFrame, config: Thresholds, *, slices: Sequence[str] = (), seen: Collection[str] | None = None
) -> dict[str, Any]:
    """All tables of a report.

    Args:
        scores: rows of `score_splits`; where they have a `family`, it wins over that of the generator's name.
        config: has the thresholds, and may have the `target_fpr` they were picked for, and other `operating_points`.
        slices: columns whose values get a row each.
        seen: generators that training saw; `None` where that is not known or the splits say it.

    Returns:
        `operating_point` and lists of rows: `overall` and `uncertainty` (per split and view), `points` (the same at
        the model's other operating points: false positives, and generated pictures found), `generators` (each
        against all real pictures of its split and view, with its family), `families` (each against the same real
        pictures), `real_sources` (false-positive rate), `slices`, `novelty` (seen, unseen and unknown generators, each
        against all real pictures), `sweep`, `summary` (the worst row beside the mean) and `mistakes`.
        `kept_out` is the false-positive rate of seen sources over validation and test together, all of which training
        never saw. `remarks` says in words what must not be overlooked.

    Raises:
        SliceError: a column has too many values, or is not there.
        ValueError: a score is not a number.
    """
    families = families_of(scores["generator"], scores.get(FAMILY))
    scores = scores.assign(verdict=[verdict(score, config) for score in scores["score"]], family=families)
    plain = cast(pd.DataFrame, scores[scores["view"].isin(VIEWS)])
    tables: dict[str, Any] = {
        "operating_point": {
            name: getattr(config, name) for name in ("threshold_generated", "threshold_real", "target_fpr")
        },
        **{name: [] for name in ("overall", "points", "uncertainty", "generators", "families")},
        **{name: [] for name in ("real_sources", "slices", "novelty")},
    }
    cut = {column: _cut(scores, column) for column in slices}
    for (split, view), rows in _groups(plain, "split", "view", sort=False):
        place = {"split": split, "view": view}
        real, generated = _of_label(rows, 0), _of_label(rows, 1)
        tables["overall"].append({**place, **_overall(rows)})
        for name, point in (getattr(config, "operating_points", None) or {}).items():
            tables["points"].append({**place, "point": name, **_at_point(real, generated, point)})
        if rows["score"].between(0, 1).all():  # else no score says how sure it is
            tables["uncertainty"].append({**place, **uncertainty(rows)})
        for (generator,), made in _groups(generated, "generator"):
            family = made[FAMILY].mode().iloc[0]  # the data may tell another of some of its pictures
            tables["generators"].append({**place, "generator": generator, "family": family, **_against(real, made)})
        for (family,), made in _groups(generated, FAMILY):
            count = {"n_generators": int(made["generator"].nunique())}
            tables["families"].append({**place, "family": family, **count, **_against(real, made)})
        for (source,), photographs in _groups(real, "source"):
            tables["real_sources"].append({**place, "source": source, **_rate(photographs, "fpr")})
        tables["novelty"] += [{**place, **row} for row in _novelty(real, generated, seen)]
        for column, values in cut.items():
            tables["slices"] += [{**place, "column": column, **row} for row in _slices(rows, values)]
    held_out = cast(pd.DataFrame, plain[plain["split"].isin(["validation", "test"])])
    tables["kept_out"] = [
        {"source": source, "view": view, **_rate(rows, "fpr")}
        for (source, view), rows in _groups(_of_label(held_out, 0), "source", "view")
    ]
    tables["sweep"] = _sweep(scores)
    tables["summary"] = summarise(tables)
    tables["mistakes"] = _mistakes(cast(pd.DataFrame, plain[plain["view"] == "clean"]))
    tables["remarks"] = remarks(tables)
    return tables


def _groups(rows: pd.DataFrame, *columns: str, sort: bool = True) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
    for key, group in rows.groupby(list(columns), sort=sort):
        yield cast(tuple[str, ...], key), group


def _of_label(rows: pd.DataFrame, label: int) -> pd.DataFrame:
    return cast(pd.DataFrame, rows[rows["label"] == label])


def _overall(rows: pd.DataFrame) -> dict[str, Any]:
    return {
        **_ranking(rows),
        **_rate(_of_label(rows, 0), "fpr"),
        **_rate(_of_label(rows, 1), "miss_rate"),
        "uncertain": float((rows.verdict == "uncertain").mean()),
    }


def _at_point(real: pd.DataFrame, generated: pd.DataFrame, point: Mapping[str, Any]) -> dict[str, Any]:
    """Which share of either label scores from the threshold of an operating point on."""
    found: dict[str, Any] = {"target_fpr": point["fpr"]}
    for name, rows in (("fpr", real), ("found", generated)):
        found |= _share(name, cast(pd.Series, rows["score"] >= point["threshold_generated"]))
    return found


def _ranking(rows: pd.DataFrame, names: Sequence[str] | None = None) -> dict[str, Any]:
    """Figures with n and their intervals; `None` where `refused` says why."""
    labels, scores = rows.label.to_numpy(), rows.score.to_numpy()
    return detection_metrics(labels, scores, names) if names else detection_metrics(labels, scores)


def _against(real: pd.DataFrame, made: pd.DataFrame) -> dict[str, Any]:
    """Figures of some generated pictures against all photographs."""
    return {**_ranking(pd.concat([real, made]), RANKING), **_rate(made, "miss_rate")}


def _rate(rows: pd.DataFrame, name: str) -> dict[str, Any]:
    """Share of one label's pictures with the opposite verdict: real called generated, or generated called real."""
    return _share(name, cast(pd.Series, rows.verdict == ("generated" if name == "fpr" else "real")))


def _share(name: str, which: pd.Series) -> dict[str, Any]:
    """The share of pictures that are so, with n and interval; `None` of too few."""
    n = len(which)
    if n < SMALLEST_ROW:
        return {f"{name}_n": n, name: None}
    share, interval = float(which.mean()), wilson_interval(int(which.sum()), n)
    return {f"{name}_n": n, name: share, f"{name}_interval": interval}


def _novelty(real: pd.DataFrame, generated: pd.DataFrame, seen: Collection[str] | None) -> Iterator[dict[str, Any]]:
    if seen is None:
        return
    nameless = generated["generator"].isin(NAMELESS)  # seen or not: nobody knows
    known = generated["generator"].isin(list(seen)) & ~nameless
    for word, which in (("seen", known), ("unseen", ~known & ~nameless), ("unknown", nameless)):
        made = cast(pd.DataFrame, generated[which])
        if len(made):
            yield {"generators": word, "names": sorted(set(made["generator"])), **_against(real, made)}


def _cut(scores: pd.DataFrame, column: str) -> pd.Series:
    """The value of a column for each row in words; numbers of many values become quarters of their pictures."""
    if column not in scores:
        raise SliceError(f"no column {column!r} to slice by; found {', '.join(scores.columns)}")
    values = cast(pd.Series, scores[column])
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > MOST_VALUES:
        quarters = cast(pd.Series, pd.qcut(values, 4, labels=False, duplicates="drop"))
        ends = values.groupby(quarters).agg(["min", "max"])
        values = quarters.map({i: f"{low:g} to {high:g}" for i, low, high in ends.itertuples()})
    elif values.nunique() > MOST_NAMES:
        raise SliceError(f"column {column!r} has {values.nunique()} values: slice by one with at most {MOST_NAMES}")
    return values.where(values.notna(), "(none)").astype(str)


def _slices(rows: pd.DataFrame, values: pd.Series) -> Iterator[dict[str, Any]]:
    for (value,), part in _groups(rows.assign(slice=values.loc[rows.index]), "slice"):
        yield {"value": value, **_rate(_of_label(part, 0), "fpr"), **_rate(_of_label(part, 1), "miss_rate")}


def _sweep(scores: pd.DataFrame) -> list[dict[str, Any]]:
    """A row for each step and split. Where the clean pictures are there too, it has the AUC with one label changed.

    A detector that goes by what the step changes, and not by what a generator leaves, ranks that label's pictures anew:
    its AUC moves far more than with both changed ("Fake or JPEG?", 2024, on how format leaks are found).
    """
    swept = cast(pd.DataFrame, scores[scores["view"].isin(list(SWEEP))])
    clean = cast(pd.DataFrame, scores[scores["view"] == "clean"])
    found = []
    for (split, view), rows in _groups(swept, "split", "view", sort=False):
        real, generated = _of_label(rows, 0), _of_label(rows, 1)
        own = cast(pd.DataFrame, clean[clean["split"] == split])
        means = {"mean_real": real["score"].mean(), "mean_generated": generated["score"].mean()}
        found.append(
            {"split": split, "view": view, "family": SWEEP[view].family, "strength": float(SWEEP[view].strength)}
            | {**_ranking(rows, RANKING), **_rate(real, "fpr"), **_rate(generated, "miss_rate")}
            | {name: None if np.isnan(mean) else float(mean) for name, mean in means.items()}
            | _one_sided("auc_real_changed", real, _of_label(own, 1))
            | _one_sided("auc_generated_changed", generated, _of_label(own, 0))
        )
    return found


def _one_sided(name: str, changed: pd.DataFrame, clean: pd.DataFrame) -> dict[str, Any]:
    """AUC of the changed pictures of one label against the clean ones of the other; nothing where these are missing."""
    if clean.empty:
        return {}
    figures = _ranking(pd.concat([changed, clean]), ["auc"])
    return {key.replace("auc", name): figures[key] for key in ("auc", "auc_interval") if key in figures}


def summarise(tables: dict[str, Any]) -> list[dict[str, Any]]:
    """Of each table's rows of one split and view: the mean, and the worst row by name."""
    found = []
    for table, name, figure, worst_of in (
        ("generators", "generator", "auc", min),
        ("generators", "generator", "tpr_at_fpr_0.01", min),
        ("generators", "generator", "miss_rate", max),
        ("families", "family", "auc", min),
        ("real_sources", "source", "fpr", max),
    ):
        rows = [row for row in tables.get(table, []) if row[figure] is not None]
        for split, view in dict.fromkeys((row["split"], row["view"]) for row in rows):
            own = [row for row in rows if (row["split"], row["view"]) == (split, view)]
            worst = worst_of(own, key=lambda row: row[figure])
            found.append(
                {"split": split, "view": view, "of": table, "figure": figure, "rows": len(own)}
                | {"mean": float(np.mean([row[figure] for row in own]))}
                | {"worst": worst[figure], "worst_interval": worst[f"{figure}_interval"], "worst_row": worst[name]}
            )
    return found


def _mistakes(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The pictures with the surest wrong verdicts, of each label and split."""
    found = []
    columns = ["split", "sha256", "label", "source", "generator", "score"]
    for (_, label), own in _groups(rows, "split", "label", sort=False):
        wrong = cast(pd.DataFrame, own[own.verdict == ("generated", "real")[int(label)]])
        order = np.lexsort((wrong["sha256"], wrong["score"] * (1 if label else -1)))
        found += cast(pd.DataFrame, wrong.iloc[order][:MISTAKES][columns]).to_dict("records")
    return found


def remarks(tables: dict[str, Any]) -> list[str]:
    """What must not be overlooked, in words: swapped labels, one label alone, rates that cannot be stated."""
    found = []
    unstated: dict[tuple[str, str], list[str]] = {}
    for row in tables["overall"]:
        where = f"{row['split']}, {row['view']}"
        if looks_swapped(row):
            words = f"AUC {row['auc']:.3f} is far under 0.5: labels or scores are the wrong way round"
            found.append(f"{where}: {words}; check what the labels mean, or name the right one with --generated-label")
        if set(row["refused"]) == set(FIGURES):
            found.append(f"{where}: no figure that takes both labels can be stated: {row['refused']['auc']}")
            continue
        for name, reason in row["refused"].items():
            unstated.setdefault((FIGURE_NAMES[name], reason), []).append(where)
    found += [f"{name} is not stated for {'; '.join(places)}: {reason}" for (name, reason), places in unstated.items()]
    if any(row["generator"] == "unknown" for row in tables["generators"]):
        found.append("pictures without the name of their generator stand together as `unknown`")
    return found
