"""Write docs/shortcuts.md: what tells the label of a dataset without looking at faces, before and after matching.

python docs/shortcuts.py "../shared/faces/pool-*.parquet" --limit 2000 --faces ../shared/weights/face_….onnx
"""

import argparse
import json
import shlex
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from fakeface.data.audit import audit
from fakeface.data.augment import augment, sample_rng
from fakeface.data.features import Features
from fakeface.data.loading import open_dataset
from fakeface.data.matching import match_dataset
from fakeface.evaluation import table
from fakeface.faces import FaceFinder
from fakeface.recipe import build_recipe, read_recipe

PAGE = Path(__file__).with_name("shortcuts.md")
RECIPE = Path(__file__).parents[1] / "configs" / "resnet50-cnn.yaml"
AUGMENTATION = build_recipe(read_recipe(RECIPE)).augmentation_settings()


def in_training(picture: Any, index: int) -> Any:
    """The augmentation of the shipped checkpoint's training, as a picture meets it in the first epoch."""
    return augment(picture, sample_rng(0, 0, index), AUGMENTATION)


def probed(dataset: Dataset, finder: FaceFinder | None, workers: int) -> tuple[dict[str, Any], float]:
    started = time.monotonic()
    report = audit(dataset, measure=Features(find_faces=finder), workers=workers).report
    return {probe["name"]: probe for probe in report["probes"]}, time.monotonic() - started


def cell(probe: dict[str, Any]) -> str:
    if probe["auc"] is None:
        return "–"
    low, high = probe["interval"]
    return f"{probe['auc']:.3f} ({low:.3f}–{high:.3f})"


def fed_in_training(dataset: Dataset, workers: int) -> dict[str, Any]:
    report = audit(dataset, measure=Features(prepare=in_training), workers=workers).report
    return next(probe for probe in report["probes"] if probe["name"] == "surface-fed")


def page(rows: list[list[str]], words: dict[str, Any]) -> str:
    return f"""# Shortcuts in the development data

What tells real from generated without looking at faces, in {words["n"]} pictures spread over the {words["of"]} of the
development pool, as collected and after `match_dataset` (`fakeface data equalise`). Written by

    {words["command"]}

Each probe is a random forest that sees only what its row says: five-fold, near duplicates and matched pictures kept
together. AUC 0.5 is chance. Intervals hold for all probes of a column together at 95 %.

{table(["what the probe sees", "as collected", "matched"], rows)}

*As stored* is the whole file, *as fed* the square that the image processor cuts, *in training* that square after the
augmentation of training.

Matching kept {words["kept"]} of the {words["n"]} pictures ({words["left_out"]} had no counterpart, {words["refused"]}
could not be read). It shrank {words["shrunk"]} of them, and halved the finest detail, or more, of {words["softened"]}.
Measuring and probing took {words["seconds"]:.0f} s as collected and {words["seconds_matched"]:.0f} s matched, with
{words["workers"]} processes.

## What remains

Sources that the probe *surface, as fed* still tells best from the other label, after matching:

{table(["source", "n", "AUC"], words["remaining"])}

Matching does not touch the face's position, which training's turns, zooms and shifts blur, nor what stands in the
`native` columns, which is not in the pictures. What it equalises are averages over the fed square; how light and detail
are spread over a picture still differs between sources.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--limit", type=int, default=0, help="pictures, spread over the data; 0 for all")
    parser.add_argument("--faces", help="the face model; without it face positions are left out")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    whole = open_dataset(options.data, records=True)
    chosen = np.linspace(0, len(whole) - 1, options.limit or len(whole)).astype(int)
    dataset = whole.select(chosen)
    finder = FaceFinder.from_pretrained(options.faces) if options.faces else None
    before, seconds = probed(dataset, finder, options.workers)
    matched = match_dataset(dataset, workers=options.workers)
    after, seconds_matched = probed(matched.dataset, finder, options.workers)
    rows = [[probe["title"], cell(probe), cell(after[name])] for name, probe in before.items()]
    trained = [cell(fed_in_training(part, options.workers)) for part in (dataset, matched.dataset)]
    rows.append(["Surface, in training", *trained])
    done = Counter()
    for record in map(json.loads, matched.dataset["history"]):
        done["shrunk"] += record["side"] < record["side_before"] and record["side"] < 280
        done["softened"] += record["detail"] < 0.5
    PAGE.write_text(
        page(
            rows,
            {
                "n": len(dataset),
                "of": len(whole),
                "command": "python docs/shortcuts.py " + shlex.join(sys.argv[1:]),
                "kept": len(matched.dataset),
                "left_out": len(matched.left_out),
                "refused": len(matched.refused),
                "shrunk": done["shrunk"],
                "softened": done["softened"],
                "seconds": seconds,
                "seconds_matched": seconds_matched,
                "workers": options.workers,
                "remaining": [
                    [row["source"], str(row["n"]), f"{row['auc']:.3f}"] for row in after["surface-fed"]["sources"][:6]
                ],
            },
        )
    )
    print(PAGE.read_text())


if __name__ == "__main__":
    main()
