"""Bring the two labels' size, sharpness, light and colour together over a whole dataset.

Each photograph is grouped with a generated picture that is most like it in these (an optimal assignment), and all of a
group come down to what every one of them has: the smallest side, the least contrast and colour, the least detail at
every scale, and in between the mean light and colour. Then all are saved by one history. Nothing is invented: pictures
are shrunk, softened and toned, never enlarged or sharpened. Afterwards the members of a group differ in content, and in
whatever these measures do not see.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, Image, Value
from PIL import Image as PILImage
from scipy.fft import dctn, idctn
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from ..delivery.augment import sample_rng
from ..images.load import PictureError, load_picture
from ..utils.files import clear_write_errors, replace_folder
from .equalise import History, resized, save
from .loading import DataError
from .measures import bytes_per_pixel, centre_square, colour, greyness, light, sharpness

# Groups are found within random blocks of this many pictures of a label, so that time grows linearly with the data;
# a thousand candidates are enough to find one that is alike in ten measures.
BLOCK = 1024
# Pictures in a group, which are in memory together and come down to the worst of them. Where one label is rarer than
# that, what is left of the other has no counterpart.
LARGEST_GROUP = 64
# Mean distance between RGB channels, in grey levels, under which a picture counts as grey: JPEG leaves about 1.
GREY = 3.0
# Edges of the bands of spatial frequency, as shares of Nyquist, in which detail is brought together. Below are light
# and pose; within a band, what is narrow (the peaks of a generator's upsampling) stands out as it did.
BANDS = np.geomspace(1 / 32, 1.0, 9)
QUANTILES = (0.02, 0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95, 0.98)  # of luma, whose shadows and highlights are matched
STEEPEST = 3.0  # of the curve that matches them: a plain background must not become noise
ROUNDING = 1 / 12  # power of the noise of rounding to whole grey levels
SHARD = 2000  # pictures in a parquet file
FED_SIDE = 160  # pixels; pictures are compared as the shipped model's processor feeds them


@dataclass(frozen=True)
class Matched:
    """What `match_dataset` made.

    Attributes:
        dataset: the columns of the old one, with `image` replaced, plus `pair` (the group's number: keep its members
            on one side of a split) and `history` (JSON: what was done to the picture).
        refused: messages of the pictures that could not be read.
        left_out: numbers of the rows without a counterpart, because their split has pictures of one label only, or
            more than 63 of theirs to one of the other.
    """

    dataset: Dataset
    refused: list[str]
    left_out: list[int]


def match_dataset(
    dataset: Dataset, history: History | None = None, *, crop_fraction: float = 0.875, seed: int = 0, workers: int = 1
) -> Matched:
    """Match the labels of a dataset, within each of its splits if it has a `split` column.

    Args:
        dataset: from `open_dataset`.
        history: of the save that ends it.
        crop_fraction: share of the shorter side that the classifier is fed; what is outside is not compared.
        seed: of the blocks and of drawn qualities.
        workers: processes; their number changes nothing.

    Raises:
        DataError: there are no two pictures of different labels to match.
    """
    history = history or History()
    processes = workers if workers > 1 else None
    looks = dataset.map(
        Measures(history, crop_fraction),
        with_indices=True,
        num_proc=processes,
        desc="Measuring",
        load_from_cache_file=False,
    )
    refused = [message for message in looks["refused"] if message]
    readable = np.flatnonzero([not message for message in looks["refused"]])
    measures = np.asarray(looks.with_format("numpy")["look"])[readable] if len(readable) else np.empty((0, 0))
    labels = np.asarray(dataset["label"])[readable]
    named = dataset["split"] if "split" in dataset.column_names else [""] * len(dataset)
    splits = np.asarray([split or "" for split in named])[readable]
    groups = [readable[group].tolist() for group in match(measures, labels, splits, seed)]
    if not groups:
        raise DataError("nothing to match: give pictures of both labels in a split")
    features = dataset.features.copy()
    features.update({"image": Image(decode=False), "pair": Value("int64"), "history": Value("string")})
    matched = Dataset.from_dict({"rows": groups, "pair": list(range(len(groups)))}).map(
        BringTogether(dataset, history, crop_fraction, seed),
        batched=True,
        batch_size=1,
        remove_columns=["rows"],
        features=features,
        num_proc=processes,
        desc="Matching",
        load_from_cache_file=False,
    )
    kept = {row for group in groups for row in group}
    return Matched(matched, refused, [int(row) for row in readable if row not in kept])


@dataclass(frozen=True)
class Measures:
    """Measures of one row: what pictures are matched by."""

    history: History
    crop_fraction: float

    def __call__(self, row: dict[str, Any], index: int) -> dict[str, Any]:
        try:
            picture = load_picture(row["image"], name=(row["image"] or {}).get("path") or f"row {index}")
        except PictureError as error:
            return {"refused": str(error), "look": [0.0] * 12}
        picture = resized(picture, self.history)
        fed = centre_square(picture, self.crop_fraction, FED_SIDE)
        values = {"side": math.log(min(picture.size)), "bytes": bytes_per_pixel(fed), "grey": is_grey(fed)}
        values.update({**light(fed), **colour(fed), **sharpness(fed)})
        names = "side bytes grey mean spread blue red blue_spread red_spread laplacian gradient high_frequencies"
        return {"refused": "", "look": [float(values[name]) for name in names.split()]}


def match(measures: np.ndarray, labels: np.ndarray, splits: Sequence[Any] | np.ndarray, seed: int) -> list[list[int]]:
    """Groups of like pictures, one of the rarer label and one or more of the other in each.

    Args:
        measures: (n, k), any units; each is scaled by its spread over the data.
        labels: (n,), 0 or 1.
        splits: (n,); no group spans two of them.
        seed: of the random blocks.

    Returns:
        The row numbers of each group, at most `LARGEST_GROUP`. Rows of a split that has one label only are in none.
    """
    rng = np.random.default_rng(seed)
    spread = measures.std(axis=0) if len(measures) else measures
    scaled = measures / np.where(spread > 0, spread, 1)
    splits = np.asarray(splits)
    groups = []
    for split in sorted(set(splits.tolist())):
        few, many = sorted(
            (rng.permutation(np.flatnonzero((splits == split) & (labels == k))) for k in (0, 1)), key=len
        )
        if not len(few):
            continue
        blocks = math.ceil(len(many) / BLOCK)
        blocks = min(blocks, len(few))
        for part, others in zip(np.array_split(few, blocks), np.array_split(many, blocks), strict=True):
            groups += _match_block(scaled, part, others)
    return groups


def _match_block(scaled: np.ndarray, few: np.ndarray, many: np.ndarray) -> list[list[int]]:
    """Each of `few` gets its best of `many`; the rest of these is spread evenly, as far as groups have room."""
    groups = [[int(row)] for row in few]
    _, chosen = linear_sum_assignment(cdist(scaled[few], scaled[many]))
    for group, column in zip(groups, chosen, strict=True):
        group.append(int(many[column]))
    left = np.delete(many, chosen)[: (LARGEST_GROUP - 2) * len(few)]  # in random order
    if len(left):
        places = np.tile(np.arange(len(few)), math.ceil(len(left) / len(few)))
        which, place = linear_sum_assignment(cdist(scaled[left], scaled[few[places]]))
        for row, column in zip(which, place, strict=True):
            groups[places[column]].append(int(left[row]))
    return groups


@dataclass(frozen=True)
class BringTogether:
    """Rows of one group to rows of the matched dataset."""

    dataset: Dataset
    history: History
    crop_fraction: float
    seed: int

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        (rows,), (number,) = batch["rows"], batch["pair"]
        old = [self.dataset[row] for row in rows]
        pictures, done = bring_together([load_picture(row["image"]) for row in old], self.history, self.crop_fraction)
        out: dict[str, list[Any]] = {name: [row[name] for row in old] for name in old[0]}
        # The same draw for each member: quality must not tell them apart.
        files = [save(picture, self.history, sample_rng(self.seed, 0, number)) for picture in pictures]
        out["image"] = [{"bytes": data, "path": None} for data in files]
        out["pair"] = [number] * len(rows)
        out["history"] = [json.dumps(record) for record in done]
        return out


def bring_together(
    pictures: list[PILImage.Image], history: History, crop_fraction: float
) -> tuple[list[PILImage.Image], list[dict[str, Any]]]:
    """Bring RGB pictures down to the size, contrast, colour and detail that all of them have.

    Returns:
        The pictures, and for each what was done: the side before and after, the factor of contrast, and `detail`, the
        share of its finest detail that was left.
    """
    before = [min(picture.size) for picture in pictures]
    side = min(max(resized(picture, history).size) for picture in pictures)
    pictures = [resized(picture, history, side) for picture in pictures]
    squares = [centre_square(picture, crop_fraction) for picture in pictures]
    grey = any(is_grey(square) for square in squares)
    channels = [np.asarray(picture.convert("YCbCr"), np.float32) for picture in pictures]
    tones = _one_tone([np.asarray(square.convert("YCbCr"), np.float32) for square in squares], grey)
    channels = [tone(array) for array, tone in zip(channels, tones, strict=True)]
    gains = _one_detail([_centre(array, crop_fraction) for array in channels])
    channels = [_filtered(array, gain) for array, gain in zip(channels, gains, strict=True)]
    done = [
        {
            "side": side,
            "side_before": old,
            "contrast": round(tone.contrast, 3),
            "detail": round(float(gain[0, -1]), 3),
        }
        for old, tone, gain in zip(before, tones, gains, strict=True)
    ]
    return [_picture(array) for array in channels], done


def is_grey(picture: PILImage.Image) -> bool:
    """Whether an RGB picture has no colour worth the name."""
    return greyness(picture)["channel_distance"] < GREY


@dataclass(frozen=True)
class Tone:
    """What is done to the light and colour of one YCbCr picture: a curve for luma, then a factor and offset each."""

    levels: np.ndarray
    curve: np.ndarray
    factor: np.ndarray = field(default_factory=lambda: np.ones(3))
    offset: np.ndarray = field(default_factory=lambda: np.zeros(3))
    contrast: float = 1.0  # spread of luma afterwards over that before

    def __call__(self, array: np.ndarray) -> np.ndarray:
        """The toned picture (h, w, 3), float32."""
        luma = np.interp(array[..., 0], self.levels, self.curve)
        return (np.dstack([luma, array[..., 1:]]) * self.factor + self.offset).astype(np.float32)


def _one_tone(squares: list[np.ndarray], grey: bool) -> list[Tone]:
    """Tones that give YCbCr squares one mean (the mean of all), one spread (the least), and luma one histogram.

    Factor and offset are those of Reinhard et al., Color transfer between images (2001). Before them a curve takes
    luma's quantiles to the mean of all pictures' (for one-dimensional histograms, their Wasserstein barycentre), so
    that shadows and highlights do not tell the pictures apart either. If one picture is grey, all become so.
    """
    quantiles = np.stack([np.quantile(square[..., 0], QUANTILES) for square in squares])
    curves = [_curve(levels, quantiles.mean(axis=0)) for levels in quantiles]
    curved = [
        np.dstack([np.interp(square[..., 0], *curve), square[..., 1:]])
        for square, curve in zip(squares, curves, strict=True)
    ]
    means, spreads = np.stack([square.mean((0, 1)) for square in curved]), _spreads(curved)
    before = _spreads(squares)
    mean, spread = means.mean(axis=0), before.min(axis=0)
    if grey:
        mean[1:], spread[1:] = 128, 0
    factors = spread / spreads
    offsets = mean - factors * means
    contrasts = (spread / before)[:, 0].tolist()
    return [
        Tone(*curve, factor, offset, contrast)
        for curve, factor, offset, contrast in zip(curves, factors, offsets, contrasts, strict=True)
    ]


def _spreads(squares: list[np.ndarray]) -> np.ndarray:
    """Standard deviation of each channel (n, 3), never zero."""
    return np.stack([np.maximum(square.std((0, 1)), 1e-3) for square in squares])


def _curve(levels: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Knots of a rising curve near the one from `levels` to `wanted`, no steeper than `STEEPEST` or its inverse."""
    steps = np.maximum(np.diff(levels), 1e-3)
    steps_wanted = np.clip(np.diff(wanted), steps / STEEPEST, steps * STEEPEST)
    x, y = np.cumsum([levels[0], *steps]), np.cumsum([wanted[0], *steps_wanted])
    # Beyond the outermost quantiles it goes on straight.
    return np.array([x[0] - 256, *x, x[-1] + 256]), np.array([y[0] - 256, *y, y[-1] + 256])


def _one_detail(squares: list[np.ndarray]) -> np.ndarray:
    """Gains (n, 3, bands) of at most 1 that bring each band of each channel down to the weakest of the pictures."""
    powers = np.stack([[_band_powers(square[..., channel]) for channel in range(3)] for square in squares])
    return np.sqrt(powers.min(axis=0) / powers)


def _band_powers(channel: np.ndarray) -> np.ndarray:
    """Mean power of a channel's cosine transform in each band of `BANDS`, and a little, so that it is never zero."""
    power = np.asarray(dctn(channel, norm="ortho")) ** 2
    band = np.digitize(_frequencies(channel.shape), BANDS)
    sums = np.bincount(band.ravel(), power.ravel(), len(BANDS) + 1)
    counts = np.bincount(band.ravel(), minlength=len(BANDS) + 1)
    return sums[1:-1] / np.maximum(counts[1:-1], 1) + ROUNDING


def _filtered(array: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """A picture (h, w, 3) with the gains (3, bands) applied; between the bands' middles they go over smoothly."""
    middles = np.log(np.concatenate([BANDS[:1], np.sqrt(BANDS[1:] * BANDS[:-1])]))
    frequencies = np.log(np.maximum(_frequencies(array.shape[:2]), 1e-6))
    out = np.empty_like(array)
    for channel in range(3):
        gain = np.exp(np.interp(frequencies, middles, np.concatenate([[0.0], np.log(gains[channel])])))
        out[..., channel] = idctn(
            np.asarray(dctn(array[..., channel], norm="ortho")) * gain.astype(np.float32), norm="ortho"
        )
    return out


def _frequencies(shape: tuple[int, ...]) -> np.ndarray:
    """Distance from zero frequency of each coefficient of a cosine transform, as a share of Nyquist."""
    return np.hypot(np.arange(shape[0])[:, None] / shape[0], np.arange(shape[1]) / shape[1])


def _centre(array: np.ndarray, fraction: float) -> np.ndarray:
    height, width = array.shape[:2]
    side = max(1, round(min(height, width) * fraction))
    top, left = (height - side) // 2, (width - side) // 2
    return array[top : top + side, left : left + side]


def _picture(array: np.ndarray) -> PILImage.Image:
    return PILImage.fromarray(np.clip(np.round(array), 0, 255).astype(np.uint8), "YCbCr").convert("RGB")


def refuse_used(folder: Path) -> None:
    """Raise DataError unless a folder is new or empty: two datasets in one would be opened as one."""
    if any(folder.rglob("*.parquet")):
        raise DataError(f"{folder}: holds a dataset already; name another folder")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder}: is not an empty folder; name another one")


def write_matched(matched: Matched, folder: Path, history: History, seed: int) -> None:
    """Write a matched dataset as parquet shards, and `history.json` with what was done; whole, or not at all.

    Raises:
        DataError, OutputError: the folder holds something already, or cannot be written.
    """
    refuse_used(folder)
    folder = folder.resolve()
    shards = max(1, math.ceil(len(matched.dataset) / SHARD))
    record = {
        "history": asdict(history),
        "seed": seed,
        "pictures": len(matched.dataset),
        "refused": matched.refused,
        "left_out": matched.left_out,
    }
    with clear_write_errors(folder, "name another folder"), replace_folder(folder) as fresh:
        for i in range(shards):
            shard = matched.dataset.shard(shards, i, contiguous=True)
            shard.to_parquet(fresh / f"matched-{i:05}-of-{shards:05}.parquet")
        (fresh / "history.json").write_text(json.dumps(record, indent=2) + "\n")
