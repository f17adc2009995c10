"""How good the maps are, by method and layer: pointing at a planted patch, deletion and insertion, stability.

    python benchmarks/explain.py --data "../shared/faces/pool-*.parquet" [--page docs/maps.md]

Writes benchmarks/explain.csv. All pictures are of the test split of the model's recipe, as squares of at
least the model's side. Patches go into photographs that the model calls real, from pictures that it calls generated; as
a control, from other photographs that it calls real. Deletion, insertion and stability are of generated pictures that
it calls generated. Intervals are bootstraps over pictures.
"""

import argparse
import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from figures_file import keep
from PIL import Image, ImageOps

from fakeface.delivery.channels import reencode
from fakeface.detector.detector import Detector
from fakeface.detector.runtime import logits_of
from fakeface.evaluation.inputs import held_out, recipe_for
from fakeface.explain.faithfulness import agreement, deletion_and_insertion, plant, pointing
from fakeface.explain.layers import layer_names, layer_used
from fakeface.explain.maps import METHODS, maps_of, method_used, weigh
from fakeface.image_processing_fakeface import FakeFaceImageProcessor
from fakeface.images.load import load_picture
from fakeface.modeling_fakeface import FakeFaceForImageClassification
from fakeface.release.card import fill_block
from fakeface.reports.markdown import table
from fakeface.results import verdict

PATCH = 0.4  # side of the patch over that of the square
OTHER_PATCHES = (0.3, 0.5)
RESPONDED = 1.0  # rise of the margin of logits from which the model counts as having noticed a patch
RESAMPLES = 2000
BATCH = 16
SLOW = "ablation-cam"  # costs a hundred predictions a picture: fewer pictures, and the default layer only
DELIVERIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG 85": lambda square: reencode(square, "JPEG", 85),
    "rescaled 0.9": lambda square: ImageOps.scale(square, 0.9, Image.Resampling.BICUBIC),
}

NUMBERS = ("n", "value", "low", "high", "chance")

Row = dict[str, Any]

COLUMNS = ("measure", "method", "layer", "pictures", "n", "value", "low", "high", "chance")


class Bench:
    """The model, and its inputs from squares that are the face already."""

    def __init__(self, model: FakeFaceForImageClassification, processor: FakeFaceImageProcessor):
        self.model = model
        self.size = int(model.config.image_size)
        self.processor = FakeFaceImageProcessor(
            size=processor.size, image_mean=processor.image_mean, image_std=processor.image_std
        )
        self.default = (method_used(model), layer_used(model, None))

    def ways(self, layers: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Methods and layers to measure, the default first."""
        yield self.default
        for layer in layers:
            ways = ((method, layer) for method in METHODS if method != SLOW)
            yield from (way for way in ways if way != self.default)
        yield SLOW, self.default[1]

    def pixels(self, squares: Sequence[Image.Image]) -> torch.Tensor:
        return torch.from_numpy(np.stack([self.processor.to_array(square) for square in squares]))

    def margins(self, pixels: torch.Tensor) -> np.ndarray:
        """Logit of generated less that of real, (n,)."""
        logits = torch.cat([logits_of(self.model, part) for part in pixels.split(BATCH)])
        return (logits[:, 1] - logits[:, 0]).numpy()

    def evidence(self, pixels: torch.Tensor, method: str, layer: str) -> torch.Tensor:
        return torch.cat([weigh(self.model, part, method=method, layer=layer)[1] for part in pixels.split(BATCH)])

    def maps(self, pixels: torch.Tensor, method: str, layer: str) -> torch.Tensor:
        return maps_of(self.evidence(pixels, method, layer), self.size)


def squares_of(detector: Detector, data: Sequence[str], folder: Path) -> tuple[list[Image.Image], list[Image.Image]]:
    """Squares of the test split that the model is right and sure about: photographs, generated pictures."""
    splits, _ = held_out(recipe_for(folder, None, data), folder)
    found: tuple[list[Image.Image], list[Image.Image]] = ([], [])
    test = splits["test"]
    for image, label in zip(test["image"], test["label"], strict=True):
        picture = load_picture(image)
        left, top, right, bottom = detector.processor.crop_box(*picture.size)
        side = round(right - left)
        if side < detector.processor.size:
            continue
        if verdict(detector(picture).score or 0.0, detector.config) == ("real", "generated")[label]:
            square = picture.resize((side, side), Image.Resampling.BICUBIC, box=(left, top, right, bottom))
            found[label].append(square)
    return found


def planted(
    faces: Sequence[Image.Image], donors: Sequence[Image.Image], patch: float, seed: int
) -> tuple[list[Image.Image], list[tuple[float, float, float, float]]]:
    """Each face with a patch of some donor, anywhere."""
    rng = np.random.default_rng(seed)
    done = []
    for face in faces:
        others = [donor for donor in donors if donor is not face]
        donor = others[rng.integers(len(others))].resize(face.size, Image.Resampling.BICUBIC)
        done.append(plant(face, donor, patch, (rng.random(), rng.random())))
    return [picture for picture, _ in done], [box for _, box in done]


def row(measure: str, way: tuple[str, str], on: str, values: Sequence[float] | np.ndarray, chance: float | None) -> Row:
    values = np.asarray(values, float)
    draws = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(values[draws].mean(1), (0.025, 0.975))
    return {"measure": measure, "method": way[0], "layer": way[1], "pictures": on, "n": len(values)} | {
        "value": round(float(values.mean()), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
        "chance": "" if chance is None else round(chance, 4),
    }


def pointing_rows(
    bench: Bench,
    faces: list[Image.Image],
    donors: list[Image.Image],
    ways: Sequence[tuple[str, str]],
    slow: int,
    *,
    patch: float = PATCH,
    of: str = "generated",
) -> list[Row]:
    pictures, boxes = planted(faces, donors, patch, seed=1)
    pixels = bench.pixels(pictures)
    rise = bench.margins(pixels) - bench.margins(bench.pixels(faces))
    name = f"{of} patch {patch:g}"
    rows = [row("margin rise", ("", ""), name, rise, 0.0)]
    for way in ways:
        n = slow if way[0] == SLOW else len(pictures)
        maps = bench.maps(pixels[:n], *way).numpy()
        hits, shares = np.array([pointing(map, box) for map, box in zip(maps, boxes, strict=False)]).T
        for on, chosen in ((name, np.full(n, True)), (f"{name}, noticed", rise[:n] >= RESPONDED)):
            if chosen.any():
                rows.append(row("hit", way, on, hits[chosen], patch**2))
                rows.append(row("energy", way, on, shares[chosen], patch**2))
    return rows


def curve_rows(bench: Bench, generated: list[Image.Image], ways: Sequence[tuple[str, str]], slow: int) -> list[Row]:
    """Deletion, insertion and stability; chance is a map of noise, the same for all."""
    pixels = bench.pixels(generated)
    delivered = {name: bench.pixels([change(square) for square in generated]) for name, change in DELIVERIES.items()}
    noise = torch.rand(pixels[:, 0].shape, generator=torch.Generator().manual_seed(2))
    chances = [float(values.mean()) for values in curves(bench, pixels, noise)]
    rows = []
    for way in ways:
        n = slow if way[0] == SLOW else len(generated)
        found = bench.evidence(pixels[:n], *way)
        for measure, values, chance in zip(
            ("deletion", "insertion"), curves(bench, pixels[:n], maps_of(found, bench.size)), chances, strict=True
        ):
            rows.append(row(measure, way, "generated", values, chance))
        for name, changed in delivered.items():
            again = bench.evidence(changed[:n], *way)
            pairs = zip(found.numpy(), again.numpy(), strict=True)
            rows.append(row("stability", way, f"generated, {name}", [agreement(*pair) for pair in pairs], 0.0))
    return rows


def curves(bench: Bench, pixels: torch.Tensor, maps: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    parts = zip(pixels.split(BATCH), maps.split(BATCH), strict=True)
    done = [deletion_and_insertion(bench.model, part, map) for part, map in parts]
    return np.concatenate([first for first, _ in done]), np.concatenate([second for _, second in done])


def as_markdown(rows: list[Row], default: tuple[str, str]) -> str:
    """The tables: everything by method and layer, then the default by size and origin of the patch."""
    found = {(r["measure"], r["method"], r["layer"], r["pictures"]): r for r in rows}
    ways = list(dict.fromkeys((r["method"], r["layer"]) for r in rows if r["method"]))
    planted = f"generated patch {PATCH:g}"
    columns = {
        "hit, all": ("hit", planted),
        "hit, noticed": ("hit", f"{planted}, noticed"),
        "share of the map, all": ("energy", planted),
        "share, noticed": ("energy", f"{planted}, noticed"),
        "deletion ↓": ("deletion", "generated"),
        "insertion ↑": ("insertion", "generated"),
        **{f"stability, {name}": ("stability", f"generated, {name}") for name in DELIVERIES},
    }

    def cell(key: tuple[str, str, str, str]) -> str:
        if not (r := found.get(key)):
            return "–"
        digits = 3 if key[0] == "stability" else 2
        value, low, high = (f"{r[name]:.{digits}f}" for name in ("value", "low", "high"))
        return f"{value} ({low}–{high})"

    body = [
        [f"`{method}`" + (" (default)" if (method, layer) == default else ""), f"`{layer}`"]
        + [cell((measure, method, layer, on)) for measure, on in columns.values()]
        for method, layer in ways
    ]
    any_way = ways[0]
    chance = [found.get((measure, *any_way, on)) for measure, on in columns.values()]
    body.append(["chance", "", *("–" if r is None else f"{r['chance']:.2f}" for r in chance)])
    patches = []
    for r in (r for r in rows if r["measure"] == "margin rise"):
        on = r["pictures"]
        all_hits, noticed = ("hit", *default, on), ("hit", *default, f"{on}, noticed")
        rise = f"{r['value']:+.2f} ({r['low']:+.2f} to {r['high']:+.2f})"
        n_noticed = f"{found[noticed]['n']:.0f}" if noticed in found else "0"
        cells = (cell(all_hits), f"{found[all_hits]['chance']:.2f}", n_noticed, cell(noticed))
        patches.append([on, f"{r['n']:.0f}", rise, *cells, cell(("energy", *default, on))])
    head = [
        "patch",
        "n",
        "rise of the margin",
        "hit, all",
        "chance",
        "noticed",
        "hit, noticed",
        "share of the map, all",
    ]
    return (
        f"{table(['method', 'layer', *columns], body)}\n\n"
        f"The default, `{default[0]}` at `{default[1]}`, by patch:\n\n{table(head, patches)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["../shared/faces/pool-*.parquet"])
    parser.add_argument("--model", default="runs/resnet50-cnn-taught/model")
    parser.add_argument("--cases", type=int, default=160, help="photographs to plant into")
    parser.add_argument("--curves", type=int, default=32, help="generated pictures for curves and stability")
    parser.add_argument("--slow", type=int, default=12, help=f"pictures of either for {SLOW}")
    parser.add_argument("--default-curves", action="store_true", help="curves and stability of the default alone")
    parser.add_argument("--layers", nargs="+", help="by default the stages of the trunk, and the first block")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    parser.add_argument("--page", type=Path, help="also write the tables in there")
    parser.add_argument("--tables-only", action="store_true", help="make the tables anew of the CSV that is there")
    options = parser.parse_args()
    if options.tables_only:
        with options.out.open(newline="") as file:
            rows = [{**r, **{k: float(r[k] or 0) for k in NUMBERS}} for r in csv.DictReader(file)]
    else:
        rows = measured(options)
        keep(options.out, rows, COLUMNS)
    text = as_markdown(rows, next((r["method"], r["layer"]) for r in rows if r["method"]))
    if options.page:
        fill_block(options.page, "maps", text)
    print(text)


def measured(options: argparse.Namespace) -> list[Row]:
    """All rows, those of the default way first."""
    detector = Detector.from_pretrained(options.model, device="cpu", faces=False)
    assert isinstance(detector.model, FakeFaceForImageClassification), "an ONNX file has no maps"
    bench = Bench(detector.model, detector.processor)
    names = layer_names(detector.model)
    layers = options.layers or names[: names.index(bench.default[1]) + 2]
    real, generated = squares_of(detector, options.data, Path(options.model))
    print(f"{len(real)} photographs, {len(generated)} generated pictures to draw from", file=sys.stderr, flush=True)
    rng = np.random.default_rng(0)
    faces = [real[i] for i in rng.permutation(len(real))[: options.cases]]
    shown = [generated[i] for i in rng.permutation(len(generated))[: options.curves]]
    ways = list(bench.ways(layers))
    rows = pointing_rows(bench, faces, generated, ways, options.slow)
    for patch in OTHER_PATCHES:
        rows += pointing_rows(bench, faces, generated, [bench.default], 0, patch=patch)
    rows += pointing_rows(bench, faces, real, [bench.default], 0, of="real")
    return rows + curve_rows(bench, shown, ways[:1] if options.default_curves else ways, options.slow)


if __name__ == "__main__":
    main()
