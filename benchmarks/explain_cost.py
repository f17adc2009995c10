"""What a map costs: time of a prediction with a map over that of a prediction alone, on the CPU.

    python benchmarks/explain_cost.py [--page docs/maps.md]

Writes benchmarks/explain_cost.csv. The model gets noise of its own size (its time does not depend on what a picture
shows); the Detector gets pictures of noise, and decodes nothing. Turns alternate; of each pair of turns the ratio is
taken, and of the ratios the median, with the quartiles beside it.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from figures_file import keep
from PIL import Image

from fakeface.detector.detector import Detector
from fakeface.explain.layers import layer_names, layer_used
from fakeface.explain.maps import maps_of, method_used, weigh
from fakeface.modeling_fakeface import FakeFaceForImageClassification
from fakeface.release.card import fill_block
from fakeface.reports.markdown import table

SIDE = 400  # of the Detector's pictures
COLUMNS = (
    "what",
    "dtype",
    "batch",
    "method",
    "layer",
    "rounds",
    "prediction_ms",
    "ratio",
    "lower_quartile",
    "upper_quartile",
)


def ratios(plain: Callable[[], Any], mapped: Callable[[], Any], rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of the plain turns, and of each pair of turns the ratio; one pair before warms up."""
    seconds, found = [], []
    for turn in range(rounds + 1):
        began = time.perf_counter()
        plain()
        between = time.perf_counter()
        mapped()
        if turn:
            seconds.append(between - began)
            found.append((time.perf_counter() - between) / (between - began))
    return seconds, found


def row(what: str, dtype: str, batch: int, method: str, layer: str, seconds: list[float], found: list[float]) -> dict:
    low, middle, high = np.quantile(found, (0.25, 0.5, 0.75))
    return {"what": what, "dtype": dtype, "batch": batch, "method": method, "layer": layer, "rounds": len(found)} | {
        "prediction_ms": round(1000 * float(np.median(seconds)), 2),
        "ratio": round(float(middle), 3),
        "lower_quartile": round(float(low), 3),
        "upper_quartile": round(float(high), 3),
    }


def measure(model: str, dtype: str, rounds: int, batches: tuple[int, ...] = (1, 16)) -> list[dict]:
    detector = Detector.from_pretrained(model, device="cpu", dtype=dtype, faces=False)
    net = detector.model
    assert isinstance(net, FakeFaceForImageClassification), "an ONNX file has no maps"
    default = (method_used(net), layer_used(net, None))
    names = layer_names(net)
    near = names[max(0, names.index(default[1]) - 1) : names.index(default[1]) + 2]
    others = [(method, default[1]) for method in ("grad-cam", "hires-cam", "layer-cam")]
    ways = dict.fromkeys([default, *others, *((default[0], layer) for layer in near)])
    rows = []
    for batch in batches:
        noise = torch.randn(batch, 3, net.config.image_size, net.config.image_size)
        if dtype == "auto":
            noise = noise.to(memory_format=torch.channels_last)

        def plain(noise: torch.Tensor = noise) -> None:
            with torch.inference_mode():
                net(noise).logits.softmax(1)

        for method, layer in ways:

            def mapped(noise: torch.Tensor = noise, method: str = method, layer: str = layer) -> None:
                maps_of(weigh(net, noise, method=method, layer=layer)[1], net.config.image_size)

            rows.append(row("model", dtype, batch, method, layer, *ratios(plain, mapped, rounds)))
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    pair = ratios(lambda: detector(picture), lambda: detector.explain(picture), rounds)
    return [*rows, row("Detector", dtype, 1, *default, *pair)]


def as_markdown(rows: list[dict]) -> str:
    head = ["what", "type", "batch", "method", "layer", "prediction, ms", "with map ÷ without"]
    body = []
    for r in rows:
        what = (r["what"], r["dtype"], str(r["batch"]), f"`{r['method']}`", f"`{r['layer']}`")
        ratio = f"{r['ratio']:.2f} ({r['lower_quartile']:.2f}–{r['upper_quartile']:.2f})"
        body.append([*what, f"{r['prediction_ms']:.1f}", ratio])
    return table(head, body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="checkpoints/fakeface-resnet50-cnn")
    parser.add_argument("--page", type=Path, help="also write the table in there")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()
    rows = [row for dtype in ("float32", "auto") for row in measure(options.model, dtype, options.rounds)]
    keep(options.out, rows, COLUMNS)
    if options.page:
        fill_block(options.page, "map cost", as_markdown(rows))


if __name__ == "__main__":
    main()
