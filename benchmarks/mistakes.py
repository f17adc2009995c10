"""Write docs/mistakes.md: the pictures that the shipped model gets most wrong, and what they have in common.

fakeface evaluate runs/resnet50-cnn-taught/model --data "../shared/faces/pool-*.parquet" --dtype auto --out runs/full
python benchmarks/mistakes.py runs/full/scores.csv --data "../shared/faces/pool-*.parquet" [--sheets runs/mistakes]
    [--doubtful configs/doubtful-labels.txt]

The groups were told apart by eye on the sheets that --sheets writes, which hold others' pictures and stay out of the
repository. --doubtful names the pictures whose label is in doubt, for the recipe key `leave_out`.
"""

import argparse
import json
import shlex
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from fakeface.data.loading import checked, open_dataset
from fakeface.data.measures import colour, light, sharpness
from fakeface.images.load import load_picture
from fakeface.metrics.detection import detection_metrics
from fakeface.reports.markdown import figure, table
from fakeface.reports.sheets import flowing, sheet

PAGE = Path(__file__).parents[1] / "docs" / "mistakes.md"
WORST = 50
KINDS = {
    "photographs with the highest scores": (0, ("validation", "test", "unseen")),
    "generated pictures of seen generators with the lowest scores": (1, ("validation", "test")),
    "generated pictures of unseen sources with the lowest scores": (1, ("unseen",)),
}
LFW_SIDE = 250  # pixels, of all pictures of Labeled Faces in the Wild (Huang et al., 2007)


def worst(scores: pd.DataFrame, label: int, splits: tuple[str, ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The surest mistakes of a label in some splits, the worst first, and all pictures they are among."""
    among = scores.loc[(scores["label"] == label) & scores["split"].isin(list(splits))]
    ordered = among.sort_values(["score", "sha256"], ascending=[label == 1, True])
    return ordered.head(WORST), among


def measured(picture: Image.Image) -> dict[str, float]:
    """What the worst are compared in with all pictures of their kind."""
    seen = light(picture)
    return {
        "sharpness (log of the Laplacian's spread)": sharpness(picture)["laplacian"],
        "light (mean luma)": seen["mean"],
        "contrast (spread of luma)": seen["spread"],
        "saturation": colour(picture)["saturation"],
        "width in pixels": float(picture.width),
    }


def auc_cell(rows: pd.DataFrame) -> str:
    return figure(detection_metrics(rows["label"].to_numpy(), rows["score"].to_numpy(), ("auc",)), "auc")


def doubtful_table(scores: pd.DataFrame, threshold: float) -> str:
    """What the pictures of `lfw-crop` that are too wide for it look like to the model.

    Args:
        scores: of validation and test pictures, clean, with `native_width`.
        threshold: from which scores the verdict is `generated`.
    """
    wide = (scores["source"] == "lfw-crop") & (scores["native_width"] > LFW_SIDE)
    made = scores.loc[scores["source"] == "interfacegan-ffhq-crop"]
    parts: dict[str, pd.DataFrame] = {
        f"lfw-crop, up to {LFW_SIDE} px": scores.loc[(scores["source"] == "lfw-crop") & ~wide],
        f"lfw-crop, over {LFW_SIDE} px": scores.loc[wide],
        "ffhq": scores.loc[scores["source"] == "ffhq"],
    }
    cells = []
    for name, own in parts.items():
        median = "–" if own.empty else f"{own['score'].median():.2f}"
        called = str(int((own["score"] >= threshold).sum()))
        cells.append([name, str(len(own)), called, median, auc_cell(pd.concat([own, made]))])
    for name, rows in (("all pictures", scores), ("all but those", scores.loc[~wide])):
        called = str(int((rows.loc[rows["label"] == 0, "score"] >= threshold).sum()))
        cells.append([name, str(len(rows)), called, "", auc_cell(rows)])
    return table(
        [
            "validation and test",
            "n",
            "real called generated",
            "median score",
            "AUC against interfacegan-ffhq-crop, or of all",
        ],
        cells,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", type=Path, help="scores.csv of `fakeface evaluate`")
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--sheets", type=Path, help="folder for the pictures, to look at")
    parser.add_argument("--doubtful", type=Path, help="text file for the sha256 of pictures whose label is in doubt")
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    data, _ = checked(open_dataset(options.data, columns=["native_width"]))
    place = {sha256: row for row, sha256 in enumerate(data["sha256"])}
    scores = pd.read_csv(options.scores)
    scores = scores.loc[scores["view"] == "clean"].drop_duplicates("sha256")
    widths = np.array(data["native_width"])
    scores["native_width"] = [widths[place[sha256]] for sha256 in scores["sha256"]]
    sections = []
    for kind, (label, splits) in KINDS.items():
        own, among = worst(scores, label, splits)
        counts, all_of = Counter(own["source"]), Counter(among["source"])
        shares = [[source, str(n), f"{100 * n / all_of[source]:.0f} %"] for source, n in counts.most_common()]
        found = [measured(load_picture(data[place[sha256]]["image"])) for sha256 in among["sha256"]]
        values = pd.DataFrame(found, index=pd.Index(among["sha256"]))
        medians = [part.median() for part in (values.loc[own["sha256"]], values)]
        rows = [[name, *(f"{middle[name]:.3g}" for middle in medians)] for name in values.columns]
        title = f"The {WORST} {kind}"
        sections.append(
            f"### {title}\n\nScores from {own['score'].min():.2f} to {own['score'].max():.2f}.\n\n"
            + table(["source", "of them", "of its pictures"], shares)
            + "\n\n"
            + table(["median of", "these", f"all {len(among)}"], rows)
        )
        if options.sheets:
            options.sheets.mkdir(parents=True, exist_ok=True)
            cells = [
                (load_picture(data[place[row["sha256"]]]["image"]), f"{row['source']} {row['score']:.2f}")
                for _, row in own.iterrows()
            ]
            sheet(flowing([[cell] for cell in cells])).save(options.sheets / f"{kind.replace(' ', '-')}.png")
    report = json.loads(options.scores.with_name("evaluation.json").read_text(encoding="utf-8"))
    threshold = report["operating_point"]["threshold_generated"]
    doubtful = doubtful_table(scores.loc[scores["split"] != "unseen"], threshold)
    wide = np.flatnonzero((np.array(data["source"]) == "lfw-crop") & (widths > LFW_SIDE))
    if options.doubtful:
        named = sorted(data["sha256"][row] for row in wide)
        options.doubtful.write_text(DOUBTFUL_HEAD + "".join(f"{sha256}\n" for sha256 in named), encoding="utf-8")
    options.page.write_text(
        PAGE_TEXT.format(
            command="python benchmarks/mistakes.py " + shlex.join(sys.argv[1:]),
            sections="\n\n".join(sections),
            doubtful=doubtful,
            side=LFW_SIDE,
            wide=len(wide),
            weights=report["weights_sha256"],
            lfw=int((np.array(data["source"]) == "lfw-crop").sum()),
        ),
        encoding="utf-8",
    )
    print(options.page.read_text(encoding="utf-8"))


DOUBTFUL_HEAD = """\
# Pictures of lfw-crop that are too wide to be of Labeled Faces in the Wild: see docs/mistakes.md.
# Written by python benchmarks/mistakes.py … --doubtful configs/doubtful-labels.txt
"""

PAGE_TEXT = """# What the shipped model gets most wrong

Clean pictures that training never saw, judged by the weights with sha256
`{weights}`. This command wrote the tables, after the `fakeface evaluate` at the top of that
script:

<!-- not run: needs the development data -->

```sh
{command}
```

A person sorted the groups below by eye, on the sheets that `--sheets` writes.

## Groups

**Photographs taken for generated ones** are evenly lit portraits of one adult who looks into the camera: publicity
pictures with retouched skin (faceshape, celeba-hq, mebeauty), studio light on a plain background, soft backgrounds.
Most show women in make-up. Children, glasses, old skin, grey and blurred pictures are rare among them.

**Generated pictures taken for photographs.** Of the generators that training knew, most come from InterFaceGAN's
walks through ProGAN and StyleGAN: hard light, dark or burnt-out backgrounds, turned heads, hats and sunglasses,
and colours that no camera gives. Several have holes and smears that a person sees at once, and that 160 pixels hardly
show. Those of unseen sources are NVIDIA's own StyleGAN2 samples without a visible flaw, and SFHQ's, whose even
frontal pose and painted hair would make a person suspicious. The model has learned what a generator leaves in skin and
eyes, and not what is odd in a picture.

## Doubtful labels

{wide} of the {lfw} pictures of `lfw-crop` were wider than {side} pixels when they were collected. Pictures of Labeled
Faces in the Wild are {side} pixels wide, so no crop of one can be wider. These come from somewhere else, most likely
from the collection that `interfacegan-ffhq-crop` was taken from: width, JPEG quality and framing are those of that
generated source, and on a sheet a person cannot tell the two apart. Nor can the model:

{doubtful}

It is not known whether they are photographs of FFHQ in the same crop or generated pictures with the wrong label;
on FFHQ's own photographs the model does not fail in this way. They are also in the training data, where they contradict
similar pictures, and they are the only pictures of `lfw-crop` that the model calls generated.
[The checkpoint](checkpoint.md#without-the-doubtful-photographs) has trainings without them
(`leave_out: configs/doubtful-labels.txt`). Published figures include them, because they carry the pool's labels, and
leaving out what a model gets wrong flatters it.

## The worst, counted

{sections}
"""


if __name__ == "__main__":
    main()
