"""What the detector says of pictures that are neither photographs of faces nor made by a model of faces.

    python benchmarks/out_of_scope.py [--page docs/results.md]
        "drawn faces=drawn" "rendered faces=rendered" "animals=animals" "things=things"

Each KIND=FOLDER is a row of each shipped model, or of --model alone. Writes benchmarks/out_of_scope.csv, whose rows of
other models stay: verdicts on the faces found in a picture, and, in the rows with --no-faces, on its centre square. The
committed rows are of

- drawn faces: 200 avatars in eight styles of DiceBear (npm), drawn by `benchmarks/drawn_faces.mjs`;
- rendered faces: people of Fluent Emoji (npm `@lobehub/fluent-emoji-3d` 1.1.0): `assets/`, 1f466 to 1f478, 1f481
  and 1f482;
- animals: photographs from PyPI's gradio (cheetahs, lion), scikit-image (cat) and imgaug (quokka);
- things: from PyPI's scikit-image brick, coffee, coins, grass, gravel, hubble_deep_field, moon, motorcycle_left and
  rocket, from scikit-learn china and flower, from gradio tower.
"""

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from figures_file import beside, keep

from fakeface import Detector, Result
from fakeface.faces import FaceFinder
from fakeface.images.load import PICTURE_SUFFIXES
from fakeface.model_folder import default_model
from fakeface.release.card import fill_block
from fakeface.reports.markdown import table

VERDICTS = ("real", "uncertain", "generated", "no face")
WAYS = {True: "faces that are found", False: "the centre, with --no-faces"}
COLUMNS = ("model", "kind", "judged", "n", "refused", *VERDICTS)


def row_of(model: str, kind: str, faces: bool, results: list[Result]) -> dict[str, Any]:
    """How often each verdict; pictures that cannot be read are left out and counted."""
    read = [result for result in results if result.error is None]
    counts = Counter(result.verdict for result in read)
    row: dict[str, Any] = {"model": model, "kind": kind, "judged": WAYS[faces]}
    row |= {"n": len(read), "refused": len(results) - len(read)}
    return row | {verdict: counts[verdict] for verdict in VERDICTS}


def as_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ["pictures", "judged", "model", "n", *VERDICTS]
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    shown = sorted(rows, key=lambda row: kinds.index(row["kind"]))
    counts = [[str(row[name]) for name in ("n", *VERDICTS)] for row in shown]
    names = [[row["kind"], row["judged"], f"`{row['model']}`"] for row in shown]
    return table(head, [[*name, *its] for name, its in zip(names, counts, strict=True)])


def judged(model: str | Path, finder: FaceFinder, kinds: dict[str, list[Path]]) -> list[dict[str, Any]]:
    """The rows of a model."""
    detectors = {way: Detector.from_pretrained(model, faces=finder if way else False) for way in WAYS}
    name = detectors[True].config.architecture
    return [
        row_of(name, kind, faces, list(detector.stream(files)))
        for kind, files in kinds.items()
        for faces, detector in detectors.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="+", metavar="KIND=FOLDER")
    parser.add_argument("--model", help="by default both shipped models, one after the other")
    parser.add_argument("--face-model", help="YuNet's ONNX file; by default the package's own")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    parser.add_argument("--page", type=Path, help="also write the table in there")
    options = parser.parse_args()
    finder = FaceFinder.from_pretrained(options.face_model)
    kinds: dict[str, list[Path]] = {}
    for given in options.kinds:
        kind, _, folder = given.partition("=")
        kinds[kind] = sorted(file for file in Path(folder).iterdir() if file.suffix.lower() in PICTURE_SUFFIXES)
        if not kinds[kind]:
            parser.error(f"{folder}: no pictures in it")
    models = [options.model] if options.model else [default_model(), default_model(fast=True)]
    rows = [row for model in models for row in judged(model, finder, kinds)]
    rows = beside(options.out, rows, "model")
    keep(options.out, rows, COLUMNS)
    print(as_markdown(rows))
    if options.page:
        fill_block(options.page, "out of scope", as_markdown(rows))


if __name__ == "__main__":
    main()
