"""Write docs/shortcuts.md: what tells the label of a dataset without looking at faces, before and after matching.

python benchmarks/shortcuts.py "../shared/faces/pool-*.parquet" --limit 2000
"""

import argparse
import json
import shlex
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from datasets import Dataset

from fakeface.data.audit.features import Features
from fakeface.data.audit.run import audit
from fakeface.data.loading import open_dataset, take_evenly
from fakeface.data.matching import match_dataset
from fakeface.delivery.augment import augment, sample_rng
from fakeface.faces import FaceFinder
from fakeface.recipe import build_recipe, read_recipe
from fakeface.reports.markdown import table

PAGE = Path(__file__).parents[1] / "docs" / "shortcuts.md"
RECIPE = Path(__file__).parents[1] / "configs" / "resnet50-cnn.yaml"
AUGMENTATION = build_recipe(read_recipe(RECIPE)).augmentation_settings()


def in_training(picture: Any, index: int) -> Any:
    """The augmentation of the shipped checkpoint's training, as a picture meets it in the first epoch."""
    return augment(picture, sample_rng(0, 0, index), AUGMENTATION)


def probed(dataset: Dataset, finder: FaceFinder, workers: int) -> tuple[dict[str, Any], float]:
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

What gives the label away without looking at faces, in {words["n"]} pictures spread over the {words["of"]} of the
development pool, as collected and after `match_dataset` ([`fakeface data equalise`](audit.md)). Written by

<!-- not run: needs the development data -->

```sh
{words["command"]}
```

Each probe is a random forest that sees only what its row says: five-fold, with near duplicates and matched pictures in
one fold. AUC 0.5 is chance. Intervals hold for all probes of a column together at 95 %.

{table(["what the probe sees", "as collected", "matched"], rows)}

*As stored* is the whole file, *as fed* the square that the image processor cuts, *in training* that square after the
augmentation of training.

Matching kept {words["kept"]} of the {words["n"]} pictures ({words["left_out"]} had no counterpart, {words["refused"]}
could not be read). It shrank {words["shrunk"]} of them, and at least halved the finest detail of {words["softened"]}.
Measuring and probing took {words["seconds"]:.0f} s as collected and {words["seconds_matched"]:.0f} s matched, with
{words["workers"]} processes.

## What remains

After matching, the probe *surface, as fed* still tells these sources best from the other label:

{table(["source", "n", "AUC"], words["remaining"])}

Matching does not change the position of the face, which training's turns, zooms and shifts blur, nor the
`native` columns, which the pictures do not contain. It equalises averages over the fed square; sources still differ in
how light and detail are spread over a picture.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--limit", type=int, default=0, help="pictures, spread over the data; 0 for all")
    parser.add_argument("--faces", help="YuNet's ONNX file; by default the package's own")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    whole = open_dataset(options.data, records=True)
    dataset = take_evenly(whole, options.limit)
    finder = FaceFinder.from_pretrained(options.faces)
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
                "command": "python benchmarks/shortcuts.py " + shlex.join(sys.argv[1:]),
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
