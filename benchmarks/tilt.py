"""What a tilted head, and a moved, scaled or padded square, do to verdicts, as users meet them: through Detector.

    python benchmarks/tilt.py --data "../shared/faces/pool-*.parquet" --data "../shared/faces/modern-*.parquet" \\
        [--page docs/results.md] [--model runs/vit-b16-cnn/model] [--limit 100] [--step 5]

Writes benchmarks/tilt.csv, and with --page the table there. Pictures are held out, of unseen sources as far as there
are enough, as many of each label. Each is turned on a larger canvas, of one colour, mirrored at the edges of the
picture, or a photograph without people (scikit-learn's samples), in steps to either side, and by quarters. At each
angle a third of the faces stands before each background, and another third at the next angle, so that a row has all
faces once; upright each face stands before all three.

Every figure is compared with the same faces upright before the same backgrounds, or with the published squares. AUC is
over the faces that were found both times, verdicts over all. Intervals are bootstrapped over faces, 95 %: the figures
of one face under many angles are not independent. At the default it judges 6,200 faces.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
from datasets import concatenate_datasets
from figures_file import as_columns, keep, read_figures, with_ends
from PIL import Image
from sklearn.datasets import load_sample_images
from tqdm import tqdm

from fakeface import Detector
from fakeface.evaluation.inputs import held_out, recipe_for
from fakeface.evaluation.subjects import weights_sha256
from fakeface.images.load import load_picture
from fakeface.release.card import fill_block
from fakeface.reports.markdown import table
from fakeface.utils.spread import spread_evenly

BACKGROUNDS = ("plain", "mirrored", "photograph")
PLAIN = (200, 200, 200)
ROOM = 1.42  # of the canvas over the longer side of the picture: its corners fit at 45 degrees
FURTHEST, QUARTERS = 45, (90, 180, 270)  # degrees
DRAWS = 1000
FIGURES = ("auc", "auc_change", "called_real", "called_real_change")
COLUMNS = ("change", "degrees", "background", "n_real", "n_generated", "judged", "no_face", "several")
COLUMNS += (*with_ends(*FIGURES), "weights_sha256")


def on_canvas(picture: Image.Image, degrees: float, side: int, background: np.ndarray | None) -> Image.Image:
    """A picture turned clockwise about the middle of a square canvas, in one bicubic step.

    Args:
        picture: RGB.
        degrees: to turn by.
        side: of the canvas in pixels.
        background: uint8 (side, side, 3); `None` for the mirror image of the picture.
    """
    matrix = cv2.getRotationMatrix2D(((picture.width - 1) / 2, (picture.height - 1) / 2), -degrees, 1.0)
    matrix[:, 2] += (side - picture.width) / 2, (side - picture.height) / 2
    size, pixels = (side, side), np.asarray(picture)
    if background is None:
        drawn = cv2.warpAffine(pixels, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        return Image.fromarray(drawn)
    drawn = cv2.warpAffine(pixels, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(np.ones(pixels.shape[:2], np.float32), matrix, size, flags=cv2.INTER_LINEAR)[:, :, None]
    return Image.fromarray((drawn * inside + background * (1 - inside)).round().astype(np.uint8))


def turned(picture: Image.Image, degrees: float, background: str, number: int) -> Image.Image:
    """A picture turned clockwise before one of `BACKGROUNDS`; the number picks photograph and place in it."""
    side = round(max(picture.size) * ROOM)
    side += (side - picture.width) % 2  # so that quarter turns meet whole pixels
    if background == "mirrored":
        return on_canvas(picture, degrees, side, None)
    if background == "plain":
        return on_canvas(picture, degrees, side, np.full((side, side, 3), PLAIN, np.uint8))
    photographs = load_sample_images().images
    photograph = Image.fromarray(photographs[number % len(photographs)])
    scale = max(1.0, side / min(photograph.size))
    photograph = photograph.resize((round(photograph.width * scale), round(photograph.height * scale)))
    rng = np.random.default_rng(number)
    left, top = (int(rng.integers(0, length - side + 1)) for length in photograph.size)
    return on_canvas(picture, degrees, side, np.asarray(photograph.crop((left, top, left + side, top + side))))


def moved(picture: Image.Image) -> Image.Image:
    """Right and down by 15 %; what comes in is the mirror image."""
    pad = round(0.15 * max(picture.size))
    pixels = np.pad(np.asarray(picture), ((pad, 0), (pad, 0), (0, 0)), mode="reflect")
    return Image.fromarray(pixels[: picture.height, : picture.width])


def cropped(picture: Image.Image) -> Image.Image:
    """The middle three quarters of either side."""
    return picture.crop((picture.width // 8, picture.height // 8, picture.width * 7 // 8, picture.height * 7 // 8))


def scaled(picture: Image.Image, factor: float) -> Image.Image:
    size = (round(picture.width * factor), round(picture.height * factor))
    return picture.resize(size, Image.Resampling.LANCZOS)


def padded(picture: Image.Image, across: float, down: float, colour: tuple[int, int, int]) -> Image.Image:
    """With borders as wide as these shares of the picture's sides."""
    beside, above = round(picture.width * across), round(picture.height * down)
    canvas = Image.new("RGB", (picture.width + 2 * beside, picture.height + 2 * above), colour)
    canvas.paste(picture, (beside, above))
    return canvas


AS_IT_IS = "as published"
FRAMINGS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "moved by 15 %": moved,
    "cropped to three quarters": cropped,
    "shrunk to half": lambda picture: scaled(picture, 0.5),
    "enlarged twice": lambda picture: scaled(picture, 2.0),
    "grey all around": lambda picture: padded(picture, 0.5, 0.5, (127, 127, 127)),
    "black bars": lambda picture: padded(picture, 0.5, 0.0, (0, 0, 0)),
}


class Showing(NamedTuple):
    """How a face is shown: what was changed, before what, and its place among the faces; 0 degrees is upright."""

    change: str
    degrees: int | None
    background: str
    face: int


def showings(faces: int, step: int = 5) -> Iterator[Showing]:
    """All that is judged, face by face.

    Args:
        faces: how many there are.
        step: degrees between angles.
    """
    turns = [degrees for degrees in range(-FURTHEST, FURTHEST + 1, step) if degrees]
    for face in range(faces):
        for background in BACKGROUNDS:
            yield Showing("turned", 0, background, face)
        for place, degrees in enumerate((*turns, *QUARTERS)):
            yield Showing("turned", degrees, BACKGROUNDS[(face + place) % len(BACKGROUNDS)], face)
        for change in (AS_IT_IS, *FRAMINGS):
            yield Showing(change, None, "", face)


def show(picture: Image.Image, how: Showing) -> Image.Image:
    if how.degrees is not None:
        return turned(picture, how.degrees, how.background, how.face)
    return FRAMINGS[how.change](picture) if how.change in FRAMINGS else picture


def rows_of(judged: pd.DataFrame) -> list[dict[str, Any]]:
    """A row for each angle, for each background over all angles, and for each framing.

    Args:
        judged: a row for each `Showing`, with its fields, and `label`, `score` (NaN where no face was found),
            `verdict` and `found`, how many faces were.
    """
    upright = (judged["degrees"] == 0) | (judged["change"] == AS_IT_IS)
    known = judged.loc[upright].set_index(["face", "background"])[["score", "verdict"]].add_suffix("_before")
    both = judged.join(known, on=["face", "background"])
    labels = judged.drop_duplicates("face").set_index("face")["label"].sort_index().to_numpy()
    weights = draw_weights(labels)
    angles = both["degrees"].dropna()
    parts = {("turned", str(int(angle)), "all"): both.loc[both["degrees"] == angle] for angle in np.unique(angles)}
    leaning = both.loc[(both["degrees"] != 0) & (both["degrees"].abs() <= FURTHEST)]
    for background in BACKGROUNDS:
        parts["turned", "all to 45", background] = leaning.loc[leaning["background"] == background]
    parts["turned", "all to 45", "all"] = leaning
    parts |= {(name, "", ""): both.loc[both["change"] == name] for name in (AS_IT_IS, *FRAMINGS)}
    rows = []
    for (change, degrees, background), part in parts.items():
        faces = {f"n_{name}": part.loc[part["label"] == label, "face"].nunique()
                 for label, name in enumerate(("real", "generated"))}  # fmt: skip
        counts = {"judged": len(part), "no_face": int((part["found"] == 0).sum()),
                  "several": int((part["found"] > 1).sum())}  # fmt: skip
        told = as_columns(figures_of(part, weights), FIGURES)
        rows.append({"change": change, "degrees": degrees, "background": background, **faces, **counts, **told})
    return rows


def draw_weights(labels: np.ndarray, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """How often each face is in each bootstrap draw, (1 + draws, n), stratified by label; the first has each once."""
    rng = np.random.default_rng(seed)
    weights = np.ones((1 + draws, len(labels)))
    for label in (0, 1):
        n = int((labels == label).sum())
        weights[1:, labels == label] = rng.multinomial(n, np.full(n, 1 / n), draws)
    return weights


def figures_of(part: pd.DataFrame, weights: np.ndarray) -> dict[str, Any]:
    """AUC, the share of generated faces called real, and how far both are from before, each with its interval."""
    scored = part.loc[part["score"].notna() & part["score_before"].notna()]
    after, before = (auc_draws(scored, column, weights) for column in ("score", "score_before"))
    generated = part.loc[part["label"] == 1]
    own = weights[:, generated["face"].to_numpy()]
    real, was = (
        own @ (generated[column] == "real").to_numpy(float) / own.sum(1) for column in ("verdict", "verdict_before")
    )
    drawn = {"auc": after, "auc_change": after - before, "called_real": real, "called_real_change": real - was}
    found: dict[str, Any] = {}
    for name, values in drawn.items():
        low, high = np.quantile(values[1:], (0.025, 0.975))
        found |= {name: float(values[0]), f"{name}_interval": (float(low), float(high))}
    return found


def auc_draws(part: pd.DataFrame, column: str, weights: np.ndarray) -> np.ndarray:
    """AUC of a column of scores in each draw, (draws,); every judgement weighs as its face does."""
    (real, of_real), (generated, of_generated) = (
        (part.loc[part["label"] == label, column].to_numpy(), part.loc[part["label"] == label, "face"].to_numpy())
        for label in (0, 1)
    )
    above = (generated > real[:, None]) + 0.5 * (generated == real[:, None])
    left, right = weights[:, of_real], weights[:, of_generated]
    return np.einsum("dg,dg->d", left @ above, right) / (left.sum(1) * right.sum(1))


def as_markdown(rows: list[dict[str, Any]]) -> str:
    """The table of the page, from rows as they stand in the CSV or as `rows_of` gives them."""
    head = ["faces", "photographs + generated", "AUC", "change of AUC", "generated called real", "its change, points"]
    cells = []
    for row in (read_figures(kept, FIGURES) for kept in rows):
        name = row["change"]
        if row["degrees"]:
            before = "" if row["background"] == "all" else f", {row['background']} background"
            name = (
                f"turned by {row['degrees'].replace('all to', '5 to')}°{before}" if row["degrees"] != "0" else "upright"
            )
        cells.append([name, f"{row['n_real']} + {row['n_generated']}", *(_told(row, figure) for figure in FIGURES)])
    return table(head, cells)


def _told(row: dict[str, Any], name: str) -> str:
    """A figure with its interval; shares in per cent, changes with their sign."""
    value, (low, high) = row[name], row[f"{name}_interval"]
    scale, digits = (100, 1) if name.startswith("called") else (1, 3)
    sign = "+" if name.endswith("change") else ""
    share = " %" if name == "called_real" else ""
    ends = " to ".join(f"{scale * end:{sign}.{digits}f}" for end in (low, high))
    return f"{scale * value:{sign}.{digits}f}{share} ({ends})"


def chosen(splits: Any, limit: int) -> Any:
    """As many pictures of each label, spread over those of unseen sources; of the test pictures what is missing."""
    parts = []
    for label in (0, 1):
        left = limit
        for split in ("unseen", "test"):
            if split in splits and left:
                part = splits[split]
                sources = part["source"][:]
                places = [place for place, its in enumerate(part["label"][:]) if its == label]
                places.sort(key=lambda place: sources[place])
                taken = [places[place] for place in spread_evenly(len(places), left)]
                parts.append(part.select(taken))
                left -= len(taken)
    return concatenate_datasets(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", required=True, help="of the training; repeatable")
    parser.add_argument("--model", type=Path, default=Path("runs/vit-b16-cnn/model"))
    parser.add_argument("--recipe", type=Path, help="to split the data by; by default the model's own")
    parser.add_argument("--limit", type=int, default=100, help="faces of each label")
    parser.add_argument("--step", type=int, default=5, help="degrees between the angles")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    parser.add_argument("--page", type=Path, help="also write the table in there")
    options = parser.parse_args()
    splits, _ = held_out(recipe_for(options.model, options.recipe, options.data), options.model)
    rows = chosen(splits, options.limit)
    detector = Detector.from_pretrained(options.model, dtype="auto")
    pictures = [load_picture(image) for image in rows["image"]]
    plan = list(showings(len(pictures), options.step))
    shown = (show(pictures[how.face], how) for how in plan)
    labels = rows["label"][:]
    judged = [
        {**how._asdict(), "label": labels[how.face], "score": np.nan if result.score is None else result.score,
         "verdict": result.verdict, "found": len(result.faces)}
        for how, result in zip(plan, tqdm(detector.stream(shown), total=len(plan), unit="face"), strict=True)
    ]  # fmt: skip
    found = rows_of(pd.DataFrame(judged))
    weights = weights_sha256(options.model)
    keep(options.out, [{**row, "weights_sha256": weights} for row in found], COLUMNS)
    if options.page:
        fill_block(options.page, "tilt", as_markdown(found))


if __name__ == "__main__":
    main()
