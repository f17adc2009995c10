"""Pictures of many faces: real ones called generated, and one generated face among real ones that is found.

    python benchmarks/groups.py --data "../shared/faces/pool-*.parquet" --data "../shared/faces/modern-*.parquet" \\
        [--page docs/results.md] [--model runs/vit-b16-cnn/model] [--limit 600]

Writes benchmarks/groups.csv, and with --page the table there. Faces are held out, and scaled to a length in pixels;
most are smaller than 200 pixels and enlarged for that. Each is judged once at each length, through Detector, in a tile
of its own; a picture is a draw of tiles, and its verdict follows from the scores of its faces by the detector's rule:
the cut of a face lies within its tile, and nothing else of a picture enters its score but the place of its landmarks.
To show that, --composed pictures of each kind are put together and judged as pictures: the CSV says in how many the
verdict was the same, how many of their faces were found, and by how much scores changed.

Faces recur among the pictures, so the interval over pictures (Wilson's) holds for groups of these faces alone. The
share over faces is that of all groups that one could draw: 1 - (1 - p)^k, where p is the share of faces that reach the
threshold for k; its interval is that of p, and says what so many faces tell about others.
"""

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from datasets import Dataset, concatenate_datasets
from figures_file import as_columns, keep, read_figures, with_ends
from PIL import Image
from tqdm import tqdm

from fakeface import Detector, Result
from fakeface.configuration_fakeface import FakeFaceConfig
from fakeface.evaluation.inputs import held_out, recipe_for
from fakeface.evaluation.subjects import weights_sha256
from fakeface.faces import FaceFinder
from fakeface.images.load import load_picture
from fakeface.metrics.detection import wilson_interval
from fakeface.release.card import fill_block
from fakeface.reports.markdown import table
from fakeface.results import group_threshold, verdict
from fakeface.utils.spread import spread_evenly

COUNTS = (1, 2, 5, 10, 24, 50)
SIDES = (60, 120, 200)  # pixels of the longer side of a face's box
REAL, AMONG = "real faces alone", "one generated face among real ones"
FIGURES = ("called_generated", "uncertain", "over_faces")
SHOWN = ("called_generated", "uncertain")
COLUMNS = ("pictures", "side", "faces", "n", "n_faces", *with_ends(*FIGURES), "composed", "composed_same_verdict")
COLUMNS += ("composed_found", "composed_change", "weights_sha256")


class Seen(NamedTuple):
    """A face as it was judged: longer side of its box in pixels, and score."""

    side: float
    score: float


def seen_in(result: Result) -> list[Seen]:
    return [Seen(max(face.box[2] - face.box[0], face.box[3] - face.box[1]), face.score) for face in result.faces]


def picture_verdict(faces: Sequence[Seen], config: FakeFaceConfig) -> str:
    """What Detector says of a picture of these faces, judged once each; a test holds the two together."""
    large = [face.score for face in faces if face.side >= config.smallest_face]
    if not faces:
        return "no face"
    if not large:
        return "uncertain"
    found = verdict(max(large), config)
    return "uncertain" if found == "generated" and max(large) < group_threshold(len(large), config) else found


def tile(picture: Image.Image, side: float, wanted: int) -> Image.Image:
    """A picture scaled so that its face, `side` pixels long, is as long as wanted."""
    width, height = (max(1, round(length * wanted / side)) for length in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def composed(tiles: Sequence[Image.Image]) -> tuple[Image.Image, int, int]:
    """Tiles in a grid of cells as large as the largest of them; with the columns and the side of a cell in pixels."""
    across = math.ceil(math.sqrt(len(tiles)))
    cell = max(max(each.size) for each in tiles)
    canvas = Image.new("RGB", (across * cell, math.ceil(len(tiles) / across) * cell), (127, 127, 127))
    for place, each in enumerate(tiles):
        canvas.paste(each, (place % across * cell, place // across * cell))
    return canvas, across, cell


def compare(detector: Detector, tiles: Sequence[Image.Image], alone: Sequence[list[Seen]]) -> dict[str, float]:
    """The verdict and scores of a picture of tiles against those of the tiles.

    Raises:
        RuntimeError: `picture_verdict` is not the detector's rule.
    """
    canvas, across, cell = composed(tiles)
    result = detector(canvas)
    if picture_verdict(seen_in(result), detector.config) != result.verdict:
        raise RuntimeError(f"{result.verdict} is not what picture_verdict makes of the same faces: mend it")
    found: dict[int, float] = {}
    for face in result.faces:
        x, y = ((face.box[place] + face.box[place + 2]) / 2 for place in (0, 1))
        place = int(y // cell) * across + int(x // cell)
        found[place] = max(found.get(place, 0.0), face.score)
    both = [
        (found[place], max(face.score for face in own)) for place, own in enumerate(alone) if own and place in found
    ]
    return {
        "same": picture_verdict([one for own in alone for one in own], detector.config) == result.verdict,
        "found": len(both) / len(tiles),
        "change": float(np.mean([abs(there - here) for there, here in both])) if both else math.nan,
    }


def draws(real: int, count: int, pictures: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Places of as many real faces for each picture, none twice in one."""
    rng = np.random.default_rng((seed, count))
    for _ in range(pictures):
        yield rng.choice(real, count, replace=False)


def row_of(
    kind: str,
    side: int,
    count: int,
    real: Sequence[list[Seen]],
    generated: Sequence[list[Seen]],
    config: FakeFaceConfig,
    pictures: int,
) -> dict[str, Any]:
    """How often pictures of one kind are called generated and uncertain.

    Args:
        kind: `REAL` or `AMONG`.
        side, count: length of the faces, and how many real ones a picture has.
        real, generated: what was seen in each tile.
        config: with the thresholds.
        pictures: to draw.
    """
    rng = np.random.default_rng((1, count))
    called = []
    for places in draws(len(real), count, pictures):
        faces = [face for place in places for face in real[place]]
        if kind == AMONG:
            faces += generated[int(rng.integers(len(generated)))]
        called.append(picture_verdict(faces, config))
    found: dict[str, Any] = {}
    for name, word in zip(SHOWN, ("generated", "uncertain"), strict=True):
        found |= _share(name, called.count(word), pictures)
    if kind == REAL:
        limit = group_threshold(count, config)
        reach = sum(any(face.side >= config.smallest_face and face.score >= limit for face in own) for own in real)
        own = _share("over_faces", reach, len(real))
        ends = tuple(-math.expm1(count * math.log1p(-min(share, 1 - 1e-12))) for share in own["over_faces_interval"])
        found |= {"over_faces": 1 - (1 - own["over_faces"]) ** count, "over_faces_interval": ends}
    told = {"pictures": kind, "side": side, "faces": count, "n": pictures, "n_faces": len(real)}
    return told | as_columns(found, FIGURES)


def _share(name: str, part: int, n: int) -> dict[str, Any]:
    return {name: part / n, f"{name}_interval": wilson_interval(part, n)}


def as_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The table of the page, from rows as they stand in the CSV or as `row_of` gives them."""
    lines: dict[tuple[str, str], list[str]] = {}
    for row in (read_figures(kept, FIGURES) for kept in rows):
        line = lines.setdefault((row["pictures"], str(row["faces"])), [])
        line.append(_per_cent(row, "called_generated"))
    head = ["pictures", "real faces", *(f"called generated, faces of {side} px" for side in SIDES)]
    return table(head, [[kind, count, *cells] for (kind, count), cells in lines.items()])


def _per_cent(row: dict[str, Any], name: str) -> str:
    low, high = row[f"{name}_interval"]
    return f"{100 * row[name]:.1f} % ({100 * low:.1f}–{100 * high:.1f})"


def chosen(splits: Any, label: int, limit: int) -> Dataset:
    """At most so many held-out pictures of a label, spread over unseen sources and test; 0 for all."""
    parts = [splits[split] for split in ("unseen", "test") if split in splits]
    both = concatenate_datasets([part.select_columns(["image", "label"]) for part in parts])
    places = np.flatnonzero(np.asarray(both["label"][:]) == label)
    return both.select(places[spread_evenly(len(places), limit or len(places))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", required=True, help="of the training; repeatable")
    parser.add_argument("--model", type=Path, default=Path("runs/vit-b16-cnn/model"))
    parser.add_argument("--recipe", type=Path, help="to split the data by; by default the model's own")
    parser.add_argument("--limit", type=int, default=600, help="real faces; 0 for all")
    parser.add_argument("--generated", type=int, default=100, help="generated faces")
    parser.add_argument("--pictures", type=int, default=200, help="of each kind")
    parser.add_argument("--composed", type=int, default=1, help="of them put together and judged as pictures")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    parser.add_argument("--page", type=Path, help="also write the table in there")
    options = parser.parse_args()
    splits, _ = held_out(recipe_for(options.model, options.recipe, options.data), options.model)
    finder = FaceFinder.from_pretrained()
    detector = Detector.from_pretrained(options.model, faces=finder, dtype="auto")
    pictures: list[list[tuple[Image.Image, float]]] = []
    for label, limit in enumerate((options.limit, options.generated)):
        loaded = map(load_picture, chosen(splits, label, limit)["image"])
        found = ((picture, finder(picture)) for picture in tqdm(loaded, desc="Finding faces", unit="picture"))
        pictures.append([(picture, faces[0].side) for picture, faces in found if faces])
    if len(pictures[0]) < max(COUNTS):
        parser.error(f"{len(pictures[0])} real faces: a picture takes up to {max(COUNTS)}")
    rows: dict[tuple[str, int, int], dict[str, Any]] = {}
    for side in SIDES:
        real, generated = (
            [seen_in(result) for result in tqdm(
                detector.stream(tile(picture, longer, side) for picture, longer in each),
                total=len(each), desc=f"{side} px", unit="face",
            )]
            for each in pictures
        )  # fmt: skip
        for count in COUNTS:
            compared = []
            for places in draws(len(real), count, options.composed):
                tiles = [tile(*pictures[0][place], side) for place in places]  # pyright: ignore
                compared.append(compare(detector, tiles, [real[place] for place in places]))
            for kind in (REAL, AMONG):
                row = row_of(kind, side, count, real, generated, detector.config, options.pictures)
                checks = compared if kind == REAL else []
                row |= {"composed": len(checks), "composed_same_verdict": sum(one["same"] for one in checks)}
                for name in ("found", "change"):
                    mean = round(float(np.mean([one[name] for one in checks])), 4) if checks else None
                    row[f"composed_{name}"] = mean
                rows[kind, count, side] = row
    weights = weights_sha256(options.model)
    ordered = [rows[kind, count, side] for kind in (REAL, AMONG) for count in COUNTS for side in SIDES]
    keep(options.out, [{**row, "weights_sha256": weights} for row in ordered], COLUMNS)
    if options.page:
        fill_block(options.page, "groups", as_markdown(ordered))


if __name__ == "__main__":
    main()
