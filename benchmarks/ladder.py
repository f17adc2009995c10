"""What each part of the training recipe adds: rungs of benchmarks/ladder.yaml, trained and measured alike.

    python benchmarks/ladder.py --data "../shared/faces/pool-*.parquet" --trunk-weights ../shared/weights/….safetensors

Trains what is missing below runs/ladder and takes what is there, so that the same command goes on after a stop. Writes
benchmarks/quality.csv: for each rung, seed, split and view the figures of `fakeface evaluate --dtype auto`, with 95 %
intervals. All rungs get the same delivered pictures, those of `configs/resnet50-cnn.yaml`, and the same *moved* ones,
since a model that knows where faces of a generator stand ranks well without knowing faces. Whether a rung is kept is
decided on validation pictures; the rows of test pictures and unseen sources only tell.
"""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from figures_file import keep, with_ends
from train_runs import ROOT, train_command

from fakeface.recipe import build_recipe, read_recipe
from fakeface.release.card import fill_block
from fakeface.reports.markdown import table

MOVED = "moved 10 %"  # the step of the sweep
SPLITS = ("validation", "test", "unseen")
SHOWN = {
    "auc": "auc",
    "auc_real_changed": "auc_real_changed",
    "auc_generated_changed": "auc_generated_changed",
    "tpr_at_fpr_0.01": "tpr_at_1_percent_fpr",
    "ece": "ece",
    "fpr": "fpr",
}
COLUMNS = ("rung", "kept", "seed", "split", "view", "n_real", "n_generated", *with_ends(*SHOWN.values()))
COLUMNS += ("n_ffhq", *with_ends("fpr_ffhq"))


def recipes(ladder: dict[str, Any]) -> list[tuple[str, bool, dict[str, Any]]]:
    """Name, whether it is kept, and recipe of each rung."""
    found, base = [], dict(ladder["schedule"])
    for rung in ladder["rungs"]:
        recipe = {**base, **rung["changes"]}
        kept = rung.get("kept", True)
        found.append((rung["name"], kept, recipe))
        if kept:
            base = recipe
    return found


def measured(run: Path, recipe: dict[str, Any], seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """The evaluation of a rung, which is trained and measured first where it was not."""
    model, file = run / "model", run.with_suffix(".yaml")
    written = yaml.safe_dump({**recipe, "seed": seed, "output": str(run), "measure": False}, sort_keys=True)
    if not model.exists() or file.read_text() != written:
        shutil.rmtree(run, ignore_errors=True)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(written)
        # Copies that match the labels take longer to make than a rung to train; train.py makes them anew where it must.
        if others := list(file.parent.glob("*/matched")):
            shutil.copytree(max(others, key=lambda other: other.stat().st_mtime), run / "matched")
        words, environment = train_command(file, "--data", *options.data, "--trunk-weights", options.trunk_weights)
        finish(words, environment)
        shutil.rmtree(run / "checkpoints", ignore_errors=True)
    judge = ROOT / "configs" / "resnet50-cnn.yaml"
    ours, its = (build_recipe(one) for one in (yaml.safe_load(written), read_recipe(judge)))
    if any(getattr(ours, key) != getattr(its, key) for key in ("hold_out", "split_fractions", "split_seed", "limit")):
        raise SystemExit(f"{options.ladder}: splits the pictures otherwise than {judge}, which they are measured by")
    report = model / "evaluation.json"
    if not report.exists():
        words = [sys.executable, "-m", "fakeface", "evaluate", str(model), "--dtype", "auto"]
        words += ["--step", MOVED, "--recipe", str(judge)]
        _, environment = train_command()
        finish(words + [word for data in options.data for word in ("--data", data)], environment)
    return json.loads(report.read_text(encoding="utf-8"))


def finish(words: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(words, env=environment, stdout=subprocess.DEVNULL)
    if done.returncode != 0:
        raise SystemExit(f"failed with exit code {done.returncode}: {shlex.join(words)}")


def rows_of(name: str, kept: bool, seed: int, report: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    aligned = [row for row in report["kept_out"] if (row["source"], row["view"]) == ("ffhq", "clean")]
    for found in [*report["overall"], *report["sweep"]]:
        row: dict[str, Any] = {"rung": name, "kept": "yes" if kept else "no", "seed": seed}
        row |= {key: found[key] for key in ("split", "view", "n_real", "n_generated")}
        for key, column in SHOWN.items():
            low, high = found.get(f"{key}_interval") or ("", "")
            row |= {column: found.get(key, ""), f"{column}_low": low, f"{column}_high": high}
        if aligned and aligned[0]["fpr"] is not None:
            low, high = aligned[0]["fpr_interval"]
            row |= {
                "n_ffhq": aligned[0]["fpr_n"],
                "fpr_ffhq": aligned[0]["fpr"],
                "fpr_ffhq_low": low,
                "fpr_ffhq_high": high,
            }
        else:
            row |= dict.fromkeys(("n_ffhq", "fpr_ffhq", "fpr_ffhq_low", "fpr_ffhq_high"), "")
        rows.append({key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()})
    return rows


def as_markdown(rows: list[dict[str, Any]]) -> str:
    """The AUCs of the first seed, and the false positives on the source that is aligned as StyleGAN's faces are."""
    found: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    for row in rows:
        if row["seed"] == rows[0]["seed"]:
            found.setdefault(row["rung"], {})[row["split"], row["view"]] = row
    cells = []
    for name, own in found.items():
        places = [own.get((split, view)) for split in SPLITS for view in ("clean", "delivered", MOVED)]
        aucs = [f"{float(row['auc']):.3f}" if row else "–" for row in places]
        shown = own["test", "clean"]
        cells.append([name, shown["kept"], *aucs, _aligned(shown)])
    views = [f"{split}, {view}" for split in SPLITS for view in ("clean", "delivered", "moved")]
    return table(["and then", "kept", *views, "FFHQ called generated"], cells)


def _aligned(row: dict[str, Any]) -> str:
    """Of validation and test photographs together, clean."""
    if row["fpr_ffhq"] == "":
        return "–"
    rate, low, high = (100 * float(row[f"fpr_ffhq{end}"]) for end in ("", "_low", "_high"))
    return f"{rate:.1f} % ({low:.1f}–{high:.1f}) of {row['n_ffhq']}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ladder", type=Path, default=Path(__file__).with_suffix(".yaml"))
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--trunk-weights", default="hub")
    parser.add_argument("--rungs", type=int, help="only the first so many")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/ladder"))
    parser.add_argument("--page", type=Path, help="also write the table in there")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("quality.csv"))
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for seed in options.seeds:
        rungs = recipes(yaml.safe_load(options.ladder.read_text()))[: options.rungs]
        for number, (name, kept, recipe) in enumerate(rungs):
            report = measured(options.runs / f"seed-{seed}-rung-{number}", recipe, seed, options)
            rows += rows_of(name, kept, seed, report)
    keep(options.out, rows, COLUMNS)
    if options.page:
        fill_block(options.page, "ladder", as_markdown(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
