"""What the detector says of pictures that are neither photographs of faces nor made by a model of faces.

    python benchmarks/out_of_scope.py [--page docs/results.md]
        "drawn faces=drawn" "rendered faces=rendered" "animals=animals" "things=things"

Each KIND=FOLDER is a row. Writes benchmarks/out_of_scope.csv: verdicts on the faces found in a picture, and, in the
rows with --no-faces, on its centre square. The committed rows are of

- drawn faces: 200 avatars in eight styles of DiceBear (npm), drawn by `benchmarks/drawn_faces.mjs`;
- rendered faces: people of Fluent Emoji (npm `@lobehub/fluent-emoji-3d` 1.1.0): `assets/`, 1f466 to 1f478, 1f481
  and 1f482;
- animals: photographs from PyPI's gradio (cheetahs, lion), scikit-image (cat) and imgaug (quokka);
- things: from PyPI's scikit-image brick, coffee, coins, grass, gravel, hubble_deep_field, moon, motorcycle_left and
  rocket, from scikit-learn china and flower, from gradio tower.
"""

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from figures_file import keep

from fakeface import Detector, Result
from fakeface.faces import FaceFinder
from fakeface.images.load import PICTURE_SUFFIXES
from fakeface.release.card import fill_block
from fakeface.reports.markdown import table

VERDICTS = ("real", "uncertain", "generated", "no face")
WAYS = {True: "faces that are found", False: "the centre, with --no-faces"}
COLUMNS = ("kind", "judged", "n", "refused", *VERDICTS)


def row_of(kind: str, faces: bool, results: list[Result]) -> dict[str, Any]:
    """How often each verdict; pictures that cannot be read are left out and counted."""
    read = [result for result in results if result.error is None]
    counts = Counter(result.verdict for result in read)
    row: dict[str, Any] = {"kind": kind, "judged": WAYS[faces], "n": len(read), "refused": len(results) - len(read)}
    return row | {verdict: counts[verdict] for verdict in VERDICTS}


def as_markdown(rows: list[dict[str, Any]]) -> str:
    head = ["pictures", "judged", "n", *VERDICTS]
    return table(head, [[row["kind"], row["judged"], *(str(row[key]) for key in ("n", *VERDICTS))] for row in rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="+", metavar="KIND=FOLDER")
    parser.add_argument("--model", help="by default the shipped model that judges best")
    parser.add_argument("--face-model", help="YuNet's ONNX file; by default the package's own")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    parser.add_argument("--page", type=Path, help="also write the table in there")
    options = parser.parse_args()
    finder = FaceFinder.from_pretrained(options.face_model)
    detectors = {way: Detector.from_pretrained(options.model, faces=finder if way else False) for way in WAYS}
    rows = []
    for given in options.kinds:
        kind, _, folder = given.partition("=")
        files = sorted(file for file in Path(folder).iterdir() if file.suffix.lower() in PICTURE_SUFFIXES)
        if not files:
            parser.error(f"{folder}: no pictures in it")
        rows += [row_of(kind, faces, list(detector.stream(files))) for faces, detector in detectors.items()]
    keep(options.out, rows, COLUMNS)
    print(as_markdown(rows))
    if options.page:
        fill_block(options.page, "out of scope", as_markdown(rows))


if __name__ == "__main__":
    main()
