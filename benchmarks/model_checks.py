"""Write docs/model-checks.md: what the shipped model's scores hang on beside what a generator leaves in a face.

python benchmarks/model_checks.py [--limit 600] [--data "../shared/faces/pool-*.parquet"]
    [--model runs/resnet50-cnn-taught/model]
"""

import argparse
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from backgrounds import background_table
from datasets import Dataset
from PIL import Image, ImageDraw, ImageFilter
from tqdm import tqdm

from fakeface import Detector, FakeFaceForImageClassification
from fakeface.data.audit.features import Features, face_outline
from fakeface.data.audit.one_sided import one_sided
from fakeface.data.audit.probes import PROBES, family_level, out_of_fold, too_few
from fakeface.data.audit.run import measured, together
from fakeface.evaluation.inputs import held_out, recipe_for
from fakeface.evaluation.subjects import weights_sha256
from fakeface.explain.layers import features_at, logits_from
from fakeface.faces import FaceFinder
from fakeface.images.load import load_picture
from fakeface.metrics.detection import detection_metrics
from fakeface.reports.markdown import figure, table

PAGE = Path(__file__).parents[1] / "docs" / "model-checks.md"
BLUR = 0.08  # of the shorter side: sigma of what hides a region; hue stays, structure does not
FEATHER = 0.03  # of the shorter side: how soft the border of the hidden region is, so that it draws no line
BATCH = 16
LABELS = ("real", "generated")
# What a publisher's record of the file tells is not part of the picture.
SEEN = tuple(probe for probe in PROBES if probe.name != "native")
NUMBERS = {
    "stored.size.width": "width in pixels",
    "stored.bytes.per_pixel": "bytes per pixel",
    "fed.sharpness.laplacian": "sharpness",
    "fed.light.mean": "light",
    "fed.colour.saturation": "saturation",
    "face.side": "size of the face",
    "face.nose_x": "place of the nose, across",
    "face.nose_y": "place of the nose, down",
}

Box = tuple[float, float, float, float]


def hidden(picture: Image.Image, box: Box) -> tuple[Image.Image, Image.Image]:
    """A picture with everything outside a box blurred away, and with everything inside."""
    side = min(picture.size)
    blurred = picture.filter(ImageFilter.GaussianBlur(BLUR * side))
    inside = Image.new("L", picture.size)
    ImageDraw.Draw(inside).rectangle(box, fill=255)
    inside = inside.filter(ImageFilter.GaussianBlur(FEATHER * side))
    return Image.composite(picture, blurred, inside), Image.composite(blurred, picture, inside)


def outside(map: np.ndarray, box: Box, seen: Box) -> tuple[float, float]:
    """Shares outside a box, of a map's sum and of the area that the model saw.

    Args:
        map: (height, width), from 0, and 0 outside of `seen`.
        box, seen: left, top, right, bottom in pixels.
    """
    height, width = map.shape
    y, x = np.mgrid[:height, :width] + 0.5

    def within(area: Box) -> np.ndarray:
        return (x >= area[0]) & (x < area[2]) & (y >= area[1]) & (y < area[3])

    out = ~within(box)
    return float(map[out].sum() / map.sum()) if map.any() else float("nan"), float(out[within(seen)].mean())


@torch.inference_mode()
def looked_at(detector: Detector, pictures: list[Image.Image]) -> tuple[np.ndarray, np.ndarray]:
    """Scores (n,), and the mean of each channel of the trunk's last feature map, (n, channels)."""
    model = detector.model
    assert isinstance(model, FakeFaceForImageClassification), "an ONNX file has no trunk to look into"
    arrays = np.stack([detector.processor.to_array(picture) for picture in pictures])
    found = features_at(model, "trunk", torch.from_numpy(arrays).to(model.device))
    scores = logits_from(model, "trunk", found).float().softmax(-1)[:, 1]
    return scores.cpu().numpy(), found.float().mean((2, 3)).cpu().numpy()


def batches(rows: Dataset) -> Iterator[list[Image.Image]]:
    for at in tqdm(range(0, len(rows), BATCH), desc="Pictures"):
        yield [load_picture(image) for image in rows[at : at + BATCH]["image"]]


def one_sided_table(detector: Detector, rows: Dataset, labels: np.ndarray) -> str:
    found = one_sided(detector, rows, labels)
    cells = [["none", *[figure(found[0], "auc")] * 3, ""]]
    for row in found:
        changed = ("auc_both_changed", "auc_real_changed", "auc_generated_changed")
        aucs = [figure(row, key) for key in changed]
        cells.append([row["transform"], *aucs, f"{row['shift_real']:+.2f} and {row['shift_generated']:+.2f}"])
    head = [
        "change",
        "AUC, both labels changed",
        "only real",
        "only generated",
        "shift of the mean score, real and generated",
    ]
    return table(head, cells)


def face_table(detector: Detector, finder: FaceFinder, rows: Dataset, labels: np.ndarray) -> tuple[str, str]:
    """AUC with either region hidden, and the share of maps outside the face."""
    scores: list[np.ndarray] = []
    kept: list[int] = []
    shares: list[tuple[int, float, float]] = []
    for i, image in enumerate(tqdm(rows["image"], desc="Faces")):
        picture = load_picture(image)
        faces = finder(picture)
        if not faces:
            continue
        box = face_outline(faces[0].box)
        kept.append(i)
        side = min(picture.size)
        everywhere = picture.filter(ImageFilter.GaussianBlur(BLUR * side))
        scores.append(looked_at(detector, [picture, *hidden(picture, box), everywhere])[0])
        seen = detector.processor.crop_box(*picture.size)
        map = detector.explain(picture).map
        if map.any():
            shares.append((int(labels[i]), *outside(map, box, seen)))
    told, found = labels[kept], np.stack(scores)
    names = ("as it is", "all but the face blurred away", "the face blurred away", "everything blurred away")
    cells = [[name, figure(detection_metrics(told, found[:, i], ("auc",)), "auc")] for i, name in enumerate(names)]
    frame = pd.DataFrame(shares, columns=["label", "map", "area"])
    maps = []
    for label, word in enumerate(LABELS):
        own = frame[frame["label"] == label]
        maps.append([word, str(len(own)), f"{100 * own['map'].mean():.0f} %", f"{100 * own['area'].mean():.0f} %"])
    return (
        table([f"{len(kept)} pictures with a face", "AUC"], cells),
        table(["maps for *generated*", "n", "of the map outside the face's square", "of the area there"], maps),
    )


def probe_table(detector: Detector, finder: FaceFinder, rows: Dataset, workers: int) -> tuple[str, str]:
    """What each probe of the audit tells of the score within a label, and what the features tell of single numbers."""
    measure = Features(detector.processor.size, float(detector.processor.crop_fraction), finder)
    rows, values, phashes, _ = measured(rows, measure, workers)
    groups, label = together(rows, phashes), np.array(rows["label"])
    scores, features = zip(*(looked_at(detector, pictures) for pictures in batches(rows)), strict=True)
    score, feature = np.concatenate(scores), np.concatenate(features)
    columns = {probe.title: [name for name in values if name.startswith(probe.prefixes)] for probe in SEEN}
    told = {title: values[names].to_numpy(float) for title, names in columns.items() if names}
    level = family_level(len(LABELS) * (len(told) + len(NUMBERS)))
    cells = []
    for title, own in told.items():
        row = [title]
        for its in range(len(LABELS)):
            of = (label == its) & ~np.isnan(own).all(1)
            row.append(chance_cell(own[of], score[of], groups[of], level))
        cells.append(row)
    known = []
    for column, name in NUMBERS.items():
        number, row = values[column].to_numpy(float), [name]
        for its in range(len(LABELS)):
            of = (label == its) & np.isfinite(number)
            row.append(chance_cell(feature[of], number[of], groups[of], level))
        known.append(row)
    heads = ("real", "generated")
    return (
        table(["a forest that sees", *(f"tells high scores of {word} pictures" for word in heads)], cells),
        table(["forests on the features tell, above the median", *(f"{word} pictures" for word in heads)], known),
    )


def chance_cell(values: np.ndarray, target: np.ndarray, groups: np.ndarray, level: float) -> str:
    """AUC of forests that guess from values (n, k) whether a number (n,) is above its median; a dash if it never is."""
    high = (target > np.median(target)).astype(int)
    if too_few(high, groups) or not np.nanstd(values, 0).any():
        return "–"
    ranks, _ = out_of_fold(values, high, groups, seed=0)
    return figure(detection_metrics(high, ranks, ("auc",), level=level), "auc")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["../shared/faces/pool-*.parquet"])
    parser.add_argument("--model", default="runs/resnet50-cnn-taught/model")
    parser.add_argument("--face-model", help="YuNet's ONNX file; by default the package's own")
    parser.add_argument("--limit", type=int, default=600, help="test pictures, spread over the split; 0 for all")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    splits, _ = held_out(recipe_for(Path(options.model), None, options.data), Path(options.model), limit=options.limit)
    rows = splits["test"]
    labels = np.array(rows["label"])
    detector = Detector.from_pretrained(options.model, faces=False)
    finder = FaceFinder.from_pretrained(options.face_model)
    hidden_table, map_table = face_table(detector, finder, rows, labels)
    probes, known = probe_table(detector, finder, rows, options.workers)
    options.page.write_text(
        PAGE_TEXT.format(
            n=len(rows),
            weights=weights_sha256(options.model),
            command="python benchmarks/model_checks.py " + shlex.join(sys.argv[1:]),
            one_sided=one_sided_table(detector, rows, labels),
            hidden=hidden_table,
            maps=map_table,
            backgrounds=background_table(detector, finder, rows, labels),
            probes=probes,
            known=known,
        ),
        encoding="utf-8",
    )
    print(options.page.read_text(encoding="utf-8"))


PAGE_TEXT = """# What the shipped model's scores depend on

On {n} test pictures of the development pool, in their publishers' framing, judged by the weights with sha256
`{weights}`. Written by

<!-- not run: needs the development data -->

```sh
{command}
```

## One label changed at a time

A change that weakens a generator's traces costs a detector the same whether both labels go through it or the generated
pictures alone. A detector that has learned how the labels differ in sharpness, size, colour or position loses or gains
most when one label alone is changed, and hardly anything when both are.

{one_sided}

## Face and background

What remains of the AUC when everything outside a square around the face (1.2 times its box) is blurred away, or
everything inside. Training had no pictures blurred like this, so a drop may also be the model's surprise.

{hidden}

{maps}

The face itself, an oval by its landmarks with a soft border, as the model cuts it, on other grounds. A model that goes
by the background falls to one minus its AUC where the labels exchange theirs. Where pictures of one label exchange
them, only the cut can cost anything: what the last row loses beyond that one hangs on the background. The change is
that of the same pictures, with its own 95 % interval.

{backgrounds}

## Probes of the audit, applied to the model

The probes are those of [Shortcuts](shortcuts.md): random forests that see no content, only size, light, colour,
sharpness or the position of the face. Here they predict, within one label, whether the model's score lies above that
label's median: 0.5 means that the score does not depend on what they see. Intervals hold for both tables together at
95 %.

{probes}

The other way round: forests on the model's features (the mean of each channel of the trunk's last map). The head does
not have to use what the features contain, but it could.

{known}
"""


if __name__ == "__main__":
    main()
