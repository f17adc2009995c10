"""Ways to run the shipped model on a CPU: pictures a second over plain PyTorch, and what each costs in AUC.

    python benchmarks/cpu_paths.py [--data "../shared/faces/pool-*.parquet"] [--pictures 600] [--rounds 7]

Writes benchmarks/cpu_paths.csv. `ratio` is to float32 in PyTorch's default layout, the first row; all ways take turns
in one process on the same batch of 16, and the quickest turn of each counts. AUC is of held-out test pictures;
`auc_loss` against the first row. The ranges of 8 bits are set on pictures that training saw. How long a way takes to
start is not shown: torch.compile takes a minute. Needs `pip install "fakeface[onnx]"`.
"""

import argparse
import copy
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from figures_file import keep
from sklearn.metrics import roc_auc_score

from fakeface import Detector
from fakeface.data.loading import take_evenly
from fakeface.detector.runtime import fastest_dtype, fold_norms, narrow, prepare
from fakeface.evaluation.inputs import held_out, recipe_for
from fakeface.images.load import load_picture
from fakeface.model_folder.onnx import OnnxModel
from fakeface.release.onnx import export_onnx

BATCH = 16
CALIBRATION = 200
Way = Callable[[torch.Tensor], torch.Tensor]  # from inputs to logits

COLUMNS = ("path", "per_second", "ratio", "n", "auc", "auc_loss")


def paths(model: Any, folder: str, pictures: list[Any], scratch: Path) -> dict[str, tuple[Way, bool]]:
    """Every way by name: how to get logits, and whether inputs come with channels last."""
    kind = fastest_dtype(torch.device("cpu"))
    last = copy.deepcopy(model).to(memory_format=torch.channels_last)
    folded = copy.deepcopy(last)
    fold_norms(folded)
    narrowed = copy.deepcopy(last)
    narrow(narrowed, kind)
    compiled = torch.compile(prepare(copy.deepcopy(model), kind))
    export_onnx(folder, scratch, pictures[:BATCH], pictures, kinds=("fp32", "int8"))
    found: dict[str, tuple[Any, bool]] = {
        "float32": (model, False),
        "float32, channels last": (last, True),
        "float32, channels last, folded": (folded, True),
        f"{kind}, channels last": (narrowed, True),
        f"{kind}, channels last, folded (auto)": (prepare(copy.deepcopy(model), kind), True),
        f"{kind}, channels last, folded, compiled": (compiled, True),
        "ONNX Runtime, float32": (OnnxModel(scratch / "onnx/model.onnx"), False),
        "ONNX Runtime, 8 bits": (OnnxModel(scratch / "onnx/model_quantized.onnx"), False),
    }
    return {
        name.removeprefix("torch."): (lambda values, way=way: way(pixel_values=values).logits, channels_last)
        for name, (way, channels_last) in found.items()
    }


def turns(ways: dict[str, tuple[Way, bool]], inputs: torch.Tensor, rounds: int) -> dict[str, float]:
    """Seconds of the quickest turn of each, the first being for warming up."""
    best = dict.fromkeys(ways, float("inf"))
    for turn in range(rounds + 1):
        for name, (way, channels_last) in ways.items():
            values = inputs.to(memory_format=torch.channels_last) if channels_last else inputs
            began = time.perf_counter()
            way(values)
            if turn:
                best[name] = min(best[name], time.perf_counter() - began)
    return best


def scores(way: Way, inputs: torch.Tensor, channels_last: bool) -> np.ndarray:
    parts = [part.to(memory_format=torch.channels_last) if channels_last else part for part in inputs.split(BATCH)]
    whole = [part for part in parts if len(part) == BATCH]  # one shape only: another would be compiled anew
    return torch.cat([way(part).softmax(-1)[:, 1] for part in whole]).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["../shared/faces/pool-*.parquet"])
    parser.add_argument("--model", default="runs/resnet50-cnn-taught/model")
    parser.add_argument("--pictures", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()
    splits, _ = held_out(recipe_for(Path(options.model), None, options.data), Path(options.model))
    test = take_evenly(splits["test"], options.pictures)
    trained = [load_picture(image) for image in take_evenly(splits["train"], CALIBRATION)["image"]]
    detector = Detector.from_pretrained(options.model, device="cpu", faces=False)
    inputs = torch.from_numpy(np.stack([detector.processor.to_array(load_picture(image)) for image in test["image"]]))
    labels = np.array(test["label"])[: len(inputs) // BATCH * BATCH]
    with tempfile.TemporaryDirectory() as scratch, torch.inference_mode():
        ways = paths(detector.model, options.model, trained, Path(scratch))
        seconds = turns(ways, inputs[:BATCH], options.rounds)
        aucs = {name: float(roc_auc_score(labels, scores(way, inputs, last))) for name, (way, last) in ways.items()}
    first = next(iter(ways))
    rows = [
        {
            "path": name,
            "per_second": round(BATCH / seconds[name], 1),
            "ratio": round(seconds[first] / seconds[name], 2),
            "n": len(labels),
            "auc": round(aucs[name], 4),
            "auc_loss": round(aucs[first] - aucs[name], 4),
        }
        for name in ways
    ]
    print(f"{torch.get_num_threads()} threads")
    keep(options.out, rows, COLUMNS)


if __name__ == "__main__":
    main()
