"""The seed's table anew: logistic, cnn, resnet50-cnn and the Aggregated CNNs on the same held-out pictures.

    python benchmarks/seed_table.py --data "../shared/faces/pool-*.parquet" [--page docs/results.md]

Trains and scores what is missing below runs/ and takes what is there, so that the same command goes on after a stop.
Most of the time goes to the Aggregated CNNs, where a picture passes 1,000 times through an EfficientNet-B4: they judge
`--pictures` of each split, spread over it, and the others all. Writes benchmarks/seed_table.csv and .md, with AUC over
all pictures that an architecture takes and over those that all four judged, test pictures and unseen sources apart.
"""

import argparse
import csv
import io
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from datasets import DatasetDict

from fakeface.aggregated_cnns.model import PATCHES, SIDE, AggregatedCNNs
from fakeface.aggregated_cnns.scores import score_pictures
from fakeface.aggregated_cnns.training import RECORD, Schedule, Trainer
from fakeface.detector.runtime import fastest_dtype, pick_device
from fakeface.evaluation.inputs import held_out, read_scores
from fakeface.evaluation.subjects import weights_sha256
from fakeface.metrics.detection import detection_metrics
from fakeface.model_folder.opening import PROCESSOR, read_json
from fakeface.model_folder.weights import WEIGHTS
from fakeface.recipe import build_recipe
from fakeface.release.card import fill_block
from fakeface.reports.markdown import figure, table

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "checkpoints" / "fakeface-resnet50-cnn"
SPLITS = {"test": "test", "unseen": "unseen sources"}
COLUMNS = ("architecture", "split", "pictures", "n_real", "n_generated", "refused", "auc", "low", "high", "fed")
COLUMNS += ("weights_sha256",)


@dataclass(frozen=True)
class Judged:
    """An architecture's scores.

    Attributes:
        architecture: its name.
        fed: how a picture reaches it.
        weights_sha256: of what was scored.
        scores: rows with `split`, `sha256`, `label` and `score`.
        refused: pictures that it would not take, for each split.
    """

    architecture: str
    fed: str
    weights_sha256: str
    scores: pd.DataFrame
    refused: dict[str, int] = field(default_factory=dict)


def ours(architecture: str, data: list[str], runs: Path) -> Judged:
    """A model of ours: trained here by its recipe where that is not done, or the shipped one."""
    if architecture == "resnet50-cnn":
        model, report = SHIPPED, runs / "seed-table" / architecture
        command = ["-m", "fakeface", "evaluate", model, *(word for one in data for word in ("--data", one))]
        command += ["--out", report]
    else:
        model, report = runs / architecture / "model", runs / architecture
        command = [ROOT / "train.py", ROOT / "configs" / f"{architecture}.yaml", "--data", *data]
        command += ["--output", report, "--resume"]
    if not _is_of(report, model):
        print(f"{architecture}: no scores in {report} yet, so:", *command, flush=True)
        subprocess.run([sys.executable, *map(str, command)], check=True)
    scores, _ = read_scores(report / "scores.csv")
    scores = scores.loc[(scores["view"] == "clean") & scores["split"].isin(list(SPLITS))]
    shape = read_json(model, str(model), PROCESSOR)
    fed = f"{shape['size']} px, resized from the centre {shape['crop_fraction']:.3g}"
    return Judged(architecture, fed, weights_sha256(model), scores)


def _is_of(report: Path, model: Path) -> bool:
    """Whether a report is there, and of the weights that are there."""
    try:
        told = json.loads((report / "evaluation.json").read_text(encoding="utf-8"))["weights_sha256"]
    except FileNotFoundError:
        return False
    return (report / "scores.csv").is_file() and (model / WEIGHTS).is_file() and told == weights_sha256(model)


def aggregated(options: argparse.Namespace) -> Judged:
    """The Aggregated CNNs: the authors' weights, or five networks trained here."""
    recipe = build_recipe({"data": options.data})
    splits, _ = held_out(recipe, limit=options.pictures)
    folder, origin = options.authors, "the authors' weights"
    if folder is None:
        folder = options.runs / "aggregated-cnns"
        schedule = Schedule(start_steps=options.start_steps, steps=options.steps)
        Trainer(folder, schedule, options.weights).train(splits["train"])
        origin = _origin(folder)
    device = pick_device()
    detector = AggregatedCNNs.from_folder(folder, device=device, dtype=fastest_dtype(device))
    measured = DatasetDict({name: splits[name] for name in SPLITS if name in splits})
    scores, refused = score_pictures(detector, measured, options.runs / "seed-table", patches=options.patches)
    fed = f"native, {options.patches} patches of {SIDE} px in each of five networks, {origin}"
    fed += f"; {options.pictures} pictures of each split" if options.pictures else ""
    counts = {str(name): len(rows) for name, rows in refused.groupby("split")}
    return Judged("aggregated-cnns", fed, detector.sha256, scores, counts)


def _origin(folder: Path) -> str:
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    schedule = record["schedule"]
    steps = f"{schedule['steps']} steps of {schedule['batch_size']} patches each"
    if record["start"] is None:
        return f"from scratch: {schedule['start_steps']} steps together, then {steps}"
    return f"from {record['start']}, {steps}"


def rows_of(judged: list[Judged]) -> list[dict[str, Any]]:
    """A row for each architecture, split, and choice of pictures: all that it accepts, or those common to all.

    Raises:
        ValueError: two architectures tell different labels of a picture.
    """
    rows = []
    for split in SPLITS:
        parts = [one.scores.loc[one.scores["split"] == split].drop_duplicates("sha256") for one in judged]
        common = set.intersection(*(set(part["sha256"]) for part in parts))
        labels = {tuple(part[part["sha256"].isin(common)].sort_values("sha256")["label"]) for part in parts}
        if len(labels) > 1:
            raise ValueError(f"{split}: the scores do not agree on the labels; remove them below runs/ and run again")
        for one, part in zip(judged, parts, strict=True):
            for pictures, chosen in (("accepted", part), ("common", part[part["sha256"].isin(common)])):
                found = detection_metrics(np.array(chosen["label"]), np.array(chosen["score"]), ["auc"])
                rows.append(
                    {
                        "architecture": one.architecture,
                        "split": split,
                        "pictures": pictures,
                        **found,
                        "refused": one.refused.get(split, 0),
                        "fed": one.fed,
                        "weights_sha256": one.weights_sha256,
                    }
                )
    return rows


def as_csv(rows: list[dict[str, Any]]) -> str:
    """A line for each row; the interval's ends in columns of their own."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        figures = (row["auc"], *row.get("auc_interval", (None, None)))
        rounded = ["" if value is None else f"{value:.4f}" for value in figures]
        writer.writerow([*(row[name] for name in COLUMNS[:6]), *rounded, row["fed"], row["weights_sha256"]])
    return text.getvalue()


def as_markdown(rows: list[dict[str, Any]]) -> str:
    """A line for each architecture; each AUC with its interval and the number of real and generated pictures."""
    lines: dict[str, list[str]] = {}
    for row in rows:
        n = f"{row['n_real']} + {row['n_generated']}" + (f", refused {row['refused']}" if row["refused"] else "")
        cell = figure(row, "auc") + ("" if row["pictures"] == "common" else f"; {n}")
        lines.setdefault(f"`{row['architecture']}`", [row["fed"]]).append(cell)
    common = {row["split"]: f"{row['n_real']} + {row['n_generated']}" for row in rows if row["pictures"] == "common"}
    head = ["AUC", "how it is fed"]
    for split, name in SPLITS.items():
        head += [f"{name}, all that it takes", f"{name}, the same {common[split]}"]
    return table(head, [[name, *cells] for name, cells in lines.items()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, help="what the shipped model was trained on")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs", help="folder of what is trained and scored")
    parser.add_argument("--weights", type=Path, help="ImageNet weights of a B4 for the five networks to start from")
    parser.add_argument("--start-steps", type=int, default=Schedule.start_steps, help="of the network they start from")
    parser.add_argument("--steps", type=int, default=Schedule.steps, help="of each of the five networks")
    parser.add_argument("--authors", type=Path, help="folder with method_A.pth to method_E.pth, to train none")
    parser.add_argument("--patches", type=int, default=PATCHES, help="for each of the five networks and each picture")
    parser.add_argument("--pictures", type=int, default=200, help="of each split for the five networks; 0 for all")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(""), help="of the two files, no suffix")
    parser.add_argument("--page", type=Path, help="also write the table in there")
    options = parser.parse_args()
    if min(options.patches, options.steps, options.start_steps) < 1 or options.pictures < 0:
        parser.error("--patches, --steps and --start-steps take 1 or more, --pictures 0 or more")
    try:
        judged = [
            ours(architecture, options.data, options.runs) for architecture in ("logistic", "cnn", "resnet50-cnn")
        ]
        rows = rows_of([*judged, aggregated(options)])
        text = as_markdown(rows)
        options.out.with_suffix(".csv").write_text(as_csv(rows), encoding="utf-8")
        options.out.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
        if options.page:
            fill_block(options.page, "seed table", text)
    except (ValueError, subprocess.CalledProcessError) as error:
        sys.exit(f"seed_table.py: {error}")
    print(text)


if __name__ == "__main__":
    main()
