"""Figures of what a model responds to, as PNG files and one HTML page; what `fakeface explain --figure` writes.

`seed` makes the two figures that this project began with: a picture that maximises each label, and maps of generated
pictures above those of photographs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from ..configuration_fakeface import LABELS
from ..data.loading import DataError, open_dataset
from ..explain.layers import features_at, layer_used
from ..explain.maps import Explanation, coloured, levels_of
from ..images.load import PictureError
from ..model_folder.onnx import OnnxModel
from ..modeling_fakeface import FakeFaceForImageClassification
from ..reports.html import data_address, templates
from ..reports.sheets import COLUMNS, flowing, sheet
from ..utils.errors import OptionError
from ..utils.files import clear_write_errors
from ..utils.spread import spread_evenly
from .maximisation import STEPS, feature_maps, first_filters, maximise

if TYPE_CHECKING:
    from datasets import Dataset

    from ..detector.detector import Detector

CHANNELS = 8
MEAN_OF = 64  # pictures of each generator, at most, spread over the data


@dataclass(frozen=True, eq=False)
class Figure:
    """One figure: its file's name without the ending, a title, what it shows, and the picture, RGB."""

    name: str
    title: str
    words: str
    picture: Image.Image


@dataclass(frozen=True)
class Choices:
    """What may be chosen of a figure; not all of it matters to each.

    Attributes:
        inputs: data, or a picture.
        label: that maps argue for; by default each picture's own.
        method, layer: of the maps, or of what is maximised.
        channel: of the layer; by default eight, spread over it.
        steps: of gradient ascent.
    """

    inputs: Sequence[str] = ()
    label: str | None = None
    method: str | None = None
    layer: str | None = None
    channel: int | None = None
    steps: int = STEPS


def classes(detector: Detector, choices: Choices) -> list[Figure]:
    """A picture that maximises each label."""
    return [
        Figure(
            f"class-{index}-{label}",
            f"Class {index}, {label}",
            f"The picture that raises the logit of {label} over the other most, found by gradient ascent.",
            maximise(_model(detector), detector.processor, label=label, steps=choices.steps),
        )
        for index, label in enumerate(LABELS)
    ]


def cams(detector: Detector, choices: Choices) -> list[Figure]:
    """Maps over pictures of a dataset: generated above, real below."""
    dataset = _dataset(choices)
    rows, words = [], "its own label" if choices.label is None else choices.label
    for label in reversed(LABELS):
        chosen = _spread_over_generators(dataset, label, COLUMNS)
        found = list(_explained(detector, dataset, chosen, choices, label))
        if not found:
            raise DataError(f"{', '.join(choices.inputs)}: no {label} picture there can be explained")
        rows.append([(one.on_crop(), f"{label}  {one.result.score:.2f}") for one in found])
    return [
        Figure(
            "maps",
            "Maps: generated above, real below",
            f"Where the evidence for {words} lay, and the score. Each map is scaled by its own maximum.",
            sheet(rows),
        )
    ]


def means(detector: Detector, choices: Choices) -> list[Figure]:
    """The mean map of each label and generator, with the mean picture beside it."""
    dataset = _dataset(choices)
    figures = []
    for label in LABELS:
        cells = []
        for generator, chosen in _by_generator(dataset, label).items():
            total, seen, count = 0.0, 0.0, 0
            for one in _explained(detector, dataset, _spread(chosen, MEAN_OF), choices, label):
                total, seen, count = total + one.crop_map, seen + np.asarray(one.crop, np.float32), count + 1
            if count:
                name = f"{label if generator == 'none' else generator}  n={count}"
                map = coloured(levels_of(np.asarray(total) / count))
                mean = Image.fromarray(np.rint(np.asarray(seen) / count).astype(np.uint8))
                cells.append([(mean, name), (map, "mean map")])
        if cells:
            title = f"Mean maps of {label} pictures"
            words = "Mean picture and mean map of each generator, in the square that the model saw."
            figures.append(Figure(f"means-{label}", title, words, sheet(flowing(cells))))
    if not figures:
        raise DataError(f"{', '.join(choices.inputs)}: none of its pictures can be explained")
    return figures


def filters(detector: Detector, choices: Choices) -> list[Figure]:
    """The kernels of the first layer."""
    kernels = [Image.fromarray(np.rint(kernel * 255).astype(np.uint8)) for kernel in first_filters(_model(detector))]
    words = "The kernels that look at the pixels, each scaled by its own largest weight; grey is zero."
    return [Figure("filters", "First-layer filters", words, sheet(flowing([[(one, "")] for one in kernels]), 56))]


def features(detector: Detector, choices: Choices) -> list[Figure]:
    """The channels of a layer that a picture excites most."""
    seen, pixels = _seen(detector, choices)
    model = _model(detector)
    layer = layer_used(model, choices.layer)
    found = feature_maps(model, pixels, layer, count=2 * COLUMNS - 1)
    cells = [[(Image.fromarray(seen), "the picture")]]
    cells += [[(coloured(levels_of(map)), f"channel {channel}")] for channel, map in found]
    words = f"The channels of {layer} that vary most over the picture, each from its lowest to its highest value."
    return [Figure(f"features-{layer}", f"Feature maps of {layer}", words, sheet(flowing(cells)))]


def channels(detector: Detector, choices: Choices) -> list[Figure]:
    """A picture that maximises each of some channels of a layer."""
    model = _model(detector)
    layer = layer_used(model, choices.layer)
    chosen = _some_channels(model, layer) if choices.channel is None else [choices.channel]
    made = [(channel, maximise(model, detector.processor, layer=layer, channel=channel, steps=choices.steps))
            for channel in chosen]  # fmt: skip
    rows = flowing([[(picture, f"channel {channel}")] for channel, picture in made])
    words = f"Pictures that raise the mean of a channel of {layer} most, found by gradient ascent."
    return [Figure(f"channels-{layer}", f"Channels of {layer}", words, sheet(rows))]


def whole_layer(detector: Detector, choices: Choices) -> list[Figure]:
    """A picture that excites a whole layer."""
    model = _model(detector)
    layer = layer_used(model, choices.layer)
    words = f"The picture that raises the mean square of all of {layer} most, found by gradient ascent."
    made = maximise(model, detector.processor, layer=layer, steps=choices.steps)
    return [Figure(f"layer-{layer}", f"All of {layer}", words, made)]


FIGURES: dict[str, tuple[Callable[[Detector, Choices], list[Figure]], ...]] = {
    "seed": (classes, cams),
    "classes": (classes,),
    "cams": (cams,),
    "means": (means,),
    "filters": (filters,),
    "features": (features,),
    "channels": (channels,),
    "layer": (whole_layer,),
}


def draw(name: str, detector: Detector, choices: Choices) -> list[Figure]:
    """The figures of a name of `FIGURES`.

    Raises:
        DataError, PictureError: the data or the picture is missing or cannot be used.
        OptionError: there is no such figure, label, method, layer or channel; or the model is an ONNX file.
    """
    if name not in FIGURES:
        raise OptionError(f"unknown figure {name!r}: choose one of {', '.join(FIGURES)}")
    return [figure for part in FIGURES[name] for figure in part(detector, choices)]


def write(figures: Iterable[Figure], folder: Path, model: str) -> list[Path]:
    """Write each figure as PNG, and `index.html` with all of them, which loads nothing; returns their paths.

    Raises:
        OutputError: the folder cannot be written.
    """
    figures = list(figures)
    paths = [folder / f"{figure.name}.png" for figure in figures]
    page = folder / "index.html"
    with clear_write_errors(folder, "name another folder with --out"):
        folder.mkdir(parents=True, exist_ok=True)
        for path, figure in zip(paths, figures, strict=True):
            figure.picture.save(path)
        addresses = [data_address(path.read_bytes(), "image/png") for path in paths]
        template = templates(Path(__file__).parent).get_template("figures.html")
        page.write_text(
            template.render(model=model, figures=list(zip(figures, addresses, strict=True))), encoding="utf-8"
        )
    return [*paths, page]


def _model(detector: Detector) -> FakeFaceForImageClassification:
    if isinstance(detector.model, OnnxModel):
        raise OptionError("figures take gradients, which ONNX files do not have; use the model folder")
    return detector.model


def _dataset(choices: Choices) -> Dataset:
    return open_dataset(list(choices.inputs), columns=())


def _by_generator(dataset: Dataset, label: str) -> dict[str, list[int]]:
    """Places of the pictures of a label, by generator, in the order of their names."""
    found: dict[str, list[int]] = {}
    for place, (index, generator) in enumerate(zip(dataset["label"], dataset["generator"], strict=True)):
        if LABELS[index] == label:
            found.setdefault(generator, []).append(place)
    return dict(sorted(found.items()))


def _spread_over_generators(dataset: Dataset, label: str, count: int) -> list[int]:
    """Places of some pictures of a label, each generator in turn, spread over its pictures."""
    parts = [_spread(places, count) for places in _by_generator(dataset, label).values()]
    turns = [part[turn] for turn in range(count) for part in parts if turn < len(part)]
    return turns[:count]


def _spread(places: list[int], count: int) -> list[int]:
    return [places[i] for i in spread_evenly(len(places), count)]


def _explained(
    detector: Detector, dataset: Dataset, places: Iterable[int], choices: Choices, label: str
) -> Iterator[Explanation]:
    """Explanations of pictures of a dataset; those that are refused or have no face are left out."""
    for place in places:
        row: Any = dataset[place]
        try:
            yield detector.explain(
                row["image"], label=choices.label or label, method=choices.method, layer=choices.layer
            )
        except PictureError:
            continue


def _seen(detector: Detector, choices: Choices) -> tuple[np.ndarray, torch.Tensor]:
    """The square that the model sees of the one picture, uint8 (size, size, 3), and its pixel values."""
    if len(choices.inputs) != 1:
        raise OptionError(f"features takes one picture, not {len(choices.inputs)}")
    crop = detector.explain(choices.inputs[0]).crop
    processor = detector.processor
    whole = type(processor)(size=processor.size, image_mean=processor.image_mean, image_std=processor.image_std)
    pixels = torch.from_numpy(whole.to_array(crop))[None].to(detector.model.device)
    return np.asarray(crop), pixels


def _some_channels(model: FakeFaceForImageClassification, layer: str) -> list[int]:
    size = model.config.image_size
    with torch.inference_mode():
        count = features_at(model, layer, torch.zeros(1, 3, size, size, device=model.device)).shape[1]
    return spread_evenly(count, CHANNELS).tolist()


__all__ = ["FIGURES", "Choices", "Figure", "draw", "write"]
