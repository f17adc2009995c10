"""The card of a built dataset, its `README.md`, from the record of the build."""

from __future__ import annotations

from collections import Counter
from typing import Any

import yaml

from ...reports.markdown import table
from ...results import LABELS
from .shards import SPLITS

_REASONS = {
    "contradiction": "stands in the set under both labels",
    "crashed": "the decoder crashed on it, or ran out of memory",
    "near-unseen": "a near duplicate of a picture that is held out",
    "no-face": "no face was found in it",
    "original-rejected": "a reconstruction of a photograph that was rejected",
}


def dataset_card(record: dict[str, Any]) -> str:
    """Markdown with the front matter that the Hub reads, from what `build.json` holds."""
    pictures = record["counts"]["pictures"]
    splits = [split for split in SPLITS if any(row["split"] == split for row in pictures)]
    rejected = record["counts"]["rejected"]
    front = {
        "license": "other",
        "license_name": "mixed",
        "task_categories": ["image-classification"],
        "tags": ["image-forensics", "face", "fakeface"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": f"data/{split}-*.parquet"} for split in splits],
            }
        ],
    }
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False)}---",
        "# Real and generated faces",
        "Built by `fakeface data build`; `build.json` holds the recipe, the versions and the files' fingerprints. "
        "Labels: `real` is 0, `generated` is 1.",
        "## Pictures",
        table(["split", *LABELS], _by_split(pictures, splits)),
        table(["source", "generator", "label", *splits], _by_source(pictures, splits)),
        f"Near duplicates (perceptual hashes within {record['recipe']['distance']} of 64 bits) share a `group`, and a "
        f"group never stands on two sides; there are {record['counts']['groups']:,} groups.",
        "## History",
        _history(record["history"]),
        *_reconstructions(record.get("autoencoder")),
        "## Rejected",
        table(["reason", "what it means", "n"], [[r, _REASONS.get(r, ""), f"{n:,}"] for r, n in rejected.items()])
        if rejected
        else "Nothing was rejected.",
        "## Sources and licences",
        "The pictures keep the licences of their sources; so does whatever is built from them. Read these before you "
        "pass the dataset on.",
        table(["source", "licence", "conditions"], [_licence(source) for source in record["sources"].values()]),
    ]
    return "\n\n".join(parts) + "\n"


def _licence(source: dict[str, Any]) -> list[str]:
    title = f"[{source['title']}]({source['homepage']})" if source["homepage"] else source["title"]
    return [title, source["licence"], source["conditions"] or "–"]


def _by_split(pictures: list[dict[str, Any]], splits: list[str]) -> list[list[str]]:
    totals: Counter[tuple[str, str]] = Counter()
    for row in pictures:
        totals[row["split"], row["label"]] += row["n"]
    return [[split, *(f"{totals[split, label]:,}" for label in LABELS)] for split in splits]


def _by_source(pictures: list[dict[str, Any]], splits: list[str]) -> list[list[str]]:
    totals: dict[tuple[str, str, str], Counter[str]] = {}
    for row in pictures:
        cell = totals.setdefault((row["source"], row["generator"], row["label"]), Counter())
        cell[row["split"]] += row["n"]
    return [[*key, *(f"{cell[split]:,}" for split in splits)] for key, cell in sorted(totals.items())]


def _history(history: dict[str, Any] | str) -> str:
    if history == "native":
        return "Every picture file is as its source ships it. Formats and sizes alone may tell the labels apart."
    settings = ", ".join(f"{key} {value}" for key, value in history.items()) if isinstance(history, dict) else history
    return f"Every picture, whatever its label, went through one history: {settings}. `native_*` columns keep what was."


def _reconstructions(autoencoder: dict[str, str] | None) -> list[str]:
    if autoencoder is None:
        return []
    return [
        f"Pictures of the generator `reconstruction:{autoencoder['name']}` are photographs of the same source, passed "
        "through that autoencoder before the history; each shares its `group` and `split` with its original, and its "
        "`native_*` and `phash` are the original's."
    ]
