"""Export a model folder to ONNX, in 32, 16 and 8 bits, and say how far its scores move.

The folder is laid out as optimum's exports are, so that transformers.js loads it; and each file holds config and image
processor in its metadata, so that the Detector needs nothing else.
"""

import json
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..detector.runtime import multiply_out, scores_of
from ..metrics.detection import wilson_interval
from ..model_folder.onnx import FILE, METADATA, OnnxModel
from ..model_folder.opening import CONFIG, PROCESSOR, ModelFolderError, load_model_folder
from ..modeling_fakeface import FakeFaceForImageClassification
from ..utils.errors import OptionError
from ..utils.files import clear_write_errors

FILES = {"fp32": FILE, "fp16": FILE.with_name("model_fp16.onnx"), "int8": FILE.with_name("model_quantized.onnx")}
REPORT = "export.json"
OPSET = 20


@dataclass(frozen=True)
class Exported:
    """One file of an export.

    Attributes:
        file: in the folder.
        kind: `fp32`, `fp16` or `int8`.
        megabytes: of the file.
        n: pictures that it was compared on.
        largest_difference, mean_difference: between its scores and those of the model in PyTorch, float32.
        changed_verdicts: pictures that get another verdict.
    """

    file: str
    kind: str
    megabytes: float
    n: int
    largest_difference: float
    mean_difference: float
    changed_verdicts: int

    def told(self) -> str:
        """Two lines: how far scores move, and which share of verdicts changes with them."""
        moves = f"scores move by {self.largest_difference:.2g} at most, {self.mean_difference:.2g} on average"
        low, high = wilson_interval(self.changed_verdicts, self.n)
        share = f"{100 * self.changed_verdicts / self.n:.1f} % ({100 * low:.1f}–{100 * high:.1f})"
        changed = f"{self.changed_verdicts} of them, {share}, get another verdict"
        if self.kind == "int8":
            changed = f"8 bits change the verdict on some pictures: here {changed}; where that matters take 16 or 32"
        return f"{self.megabytes:.1f} MB; on {self.n} pictures {moves}\n  {changed}"


def export_onnx(
    model: str,
    out: Path,
    pictures: Sequence[Image.Image],
    calibration: Sequence[Image.Image] = (),
    *,
    kinds: Sequence[str] = ("fp32", "fp16", "int8"),
    command: str = "",
) -> list[Exported]:
    """Write a folder of ONNX files.

    Args:
        model: a model folder or Hub id.
        out: folder to write; files of an earlier export are replaced.
        pictures: to compare the scores on; as the model is fed, so face crops.
        calibration: others of the same kind, of both labels, whose activations set the ranges of 8 bits.
        kinds: of `FILES`.
        command: for the report.

    Raises:
        ModelFolderError: the model cannot be loaded, or packages are missing.
        OptionError: a kind is unknown, or there are no pictures for it.
        OutputError: `out` cannot be written.
    """
    if unknown := set(kinds) - FILES.keys():
        raise OptionError(f"no kind {sorted(unknown)[0]!r} of ONNX file: take {', '.join(FILES)}")
    if not pictures:
        raise OptionError("no pictures to compare the scores on")
    if "int8" in kinds and not calibration:
        raise OptionError("8 bits need pictures of both labels to set their ranges by; name some with --data")
    _needs_packages()
    loaded, processor = load_model_folder(model)
    multiply_out(loaded.eval())  # the runtime has no layer of ours
    facts = {"config": json.loads(loaded.config.to_json_string(use_diff=False)), "processor": processor.to_dict()}
    inputs = [processor.to_array(picture) for picture in pictures]
    expected = scores_of(loaded, inputs)
    found = []
    with clear_write_errors(out):
        (out / FILE).parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out) as work:
            whole = Path(work) / "whole.onnx"
            _write_whole(loaded, whole)
            for kind in kinds:
                target = out / FILES[kind]
                ready = Path(work) / target.name
                if kind == "fp32":
                    ready.write_bytes(whole.read_bytes())
                elif kind == "fp16":
                    _write_half(whole, ready)
                else:
                    _write_quantised(whole, ready, [processor.to_array(picture) for picture in calibration])
                _set_metadata(ready, facts)
                ready.replace(target)
                found.append(_compare(target, out, kind, expected, inputs))
        for file, content in (
            (CONFIG, _javascript_config(loaded)), (PROCESSOR, _javascript_processor(processor)),
            (REPORT, _report(model, command, len(calibration), found)),
        ):  # fmt: skip
            (out / file).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return found


def _needs_packages() -> None:
    for name in ("onnx", "onnxruntime", "onnxscript"):
        if find_spec(name) is None:
            raise ModelFolderError(f'{name} is missing; pip install "fakeface[onnx]"')


class _Tensors(torch.nn.Module):
    """The model with tensors, not an output class, as what it returns."""

    def __init__(self, model: FakeFaceForImageClassification):
        super().__init__()
        self.model = model

    def forward(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        output = self.model(pixel_values=pixel_values)
        return (output.logits,) if output.distance is None else (output.logits, output.distance)


def _write_whole(model: FakeFaceForImageClassification, file: Path) -> None:
    size = model.config.image_size
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own parts
        program = torch.onnx.export(
            _Tensors(model).eval(),
            (torch.zeros(2, 3, size, size),),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=["pixel_values"],
            output_names=["logits"] if model.config.familiar_distance is None else ["logits", "distance"],
            dynamic_shapes={"pixel_values": {0: torch.export.Dim("batch")}},
        )
    assert program is not None
    program.save(str(file), external_data=False)


def _write_half(whole: Path, file: Path) -> None:
    """16 bits inside, 32 at both ends, so that callers need not know."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numbers under the smallest of 16 bits become that
        onnx.save(convert_float_to_float16(onnx.load(whole), keep_io_types=True), file)


def _write_quantised(whole: Path, file: Path, inputs: Sequence[np.ndarray]) -> None:
    """Static 8 bits (Jacob et al., 2018): weights by channel, activations by the range they have on `inputs`.

    The fully connected layers stay as they are: they take little time, and their few numbers carry the score.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.rest = iter(inputs)

        def get_next(self) -> dict[str, np.ndarray] | None:  # type: ignore[override]  # the base forgets the None at the end
            one = next(self.rest, None)
            return None if one is None else {"pixel_values": one[None]}

    ready = file.with_suffix(".pre.onnx")
    quant_pre_process(str(whole), str(ready), skip_symbolic_shape=True)
    quantize_static(
        str(ready),
        str(file),
        Reader(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "Add", "MaxPool"],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def _set_metadata(file: Path, facts: dict[str, Any]) -> None:
    import onnx

    model = onnx.load(file)
    onnx.helper.set_model_props(model, {METADATA: json.dumps(facts, sort_keys=True)})
    onnx.save(model, file)


def _compare(file: Path, out: Path, kind: str, expected: np.ndarray, inputs: Sequence[np.ndarray]) -> Exported:
    from ..results import verdict

    exported = OnnxModel(file)
    scores = scores_of(exported, inputs)
    differences = np.abs(scores - expected)
    changed = sum(
        verdict(one, exported.config) != verdict(other, exported.config)
        for one, other in zip(scores, expected, strict=True)
    )
    size = round(file.stat().st_size / 1e6, 1)
    largest, mean = float(differences.max()), float(differences.mean())
    return Exported(file.relative_to(out).as_posix(), kind, size, len(inputs), largest, mean, changed)


def _javascript_config(model: FakeFaceForImageClassification) -> dict[str, Any]:
    """What transformers.js needs: a classifier type that it knows; it runs the file, whatever is inside."""
    return {
        "model_type": "resnet",
        "architectures": ["ResNetForImageClassification"],
        "id2label": {str(key): value for key, value in (model.config.id2label or {}).items()},
        "label2id": model.config.label2id,
        "num_labels": model.config.num_labels,
    }


def _javascript_processor(processor: Any) -> dict[str, Any]:
    """The processor of ResNets, which resizes to whole pixels and then cuts; ours cuts at fractions of a pixel.

    So scores there differ a little.
    """
    return {
        "image_processor_type": "ConvNextImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": processor.size},
        "crop_pct": processor.crop_fraction,
        "resample": int(Image.Resampling.BICUBIC),
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": processor.image_mean,
        "image_std": processor.image_std,
    }


def _report(model: str, command: str, calibrated_on: int, found: Sequence[Exported]) -> dict[str, Any]:
    import onnx
    import onnxruntime

    versions = {"torch": torch.__version__, "onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}
    files = [asdict(one) for one in found]
    return {"command": command, "model": model, "versions": versions, "calibrated_on": calibrated_on, "files": files}


__all__ = ["FILES", "Exported", "export_onnx"]
