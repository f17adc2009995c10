"""Detectors under test: a fakeface model folder, any image classifier that transformers opens, or an ONNX file.

Weights are read from safetensors and code is never loaded from a model's folder, whoever made it.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from .. import __version__
from ..configuration_fakeface import FakeFaceConfig
from ..detector.detector import Detector
from ..detector.preparation import Preparer
from ..detector.runtime import fastest_dtype, logits_of, pick_device
from ..model_folder.checksums import SUMS, sha256_of
from ..model_folder.onnx import METADATA, SUFFIX, onnx_file, open_session
from ..model_folder.opening import CONFIG, PROCESSOR, ModelFolderError, find_folder, read_json
from ..model_folder.weights import WEIGHTS
from ..utils.errors import OptionError
from ..utils.label_names import LabelsError, generated_labels

FILES = ("*.json", "*.safetensors", SUMS)  # of a Hub repository; more is not needed and not fetched


@dataclass(frozen=True)
class OperatingPoint:
    """Where scores become verdicts; by default at one half, as a pipeline names the likelier label."""

    threshold_generated: float = 0.5
    threshold_real: float = 0.5
    target_fpr: float | None = None


@dataclass(frozen=True)
class Subject:
    """A detector under test.

    Attributes:
        name: as it was asked for.
        folder: where its files are.
        architecture: of a fakeface model, or the class of another.
        weights_sha256: of its weights, 64 hex digits.
        processor: has `to_array`, from an RGB picture to the model's input.
        forward: from a batch of inputs, on any device, to scores (n,) on the CPU.
        point: its thresholds.
        generated: places of the labels that mean `generated`.
        preparer: cuts faces as the model wants them; `None` of models that are not ours.
        dtype: that it computes in: `float32`, `auto (bfloat16)` where it was left to the Detector, `as stored` or
            `as exported`.
    """

    name: str
    folder: Path
    architecture: str
    weights_sha256: str
    processor: Any
    forward: Callable[[torch.Tensor], torch.Tensor]
    point: Any
    generated: tuple[int, ...] = (1,)
    dtype: str = "float32"
    preparer: Preparer | None = None

    def score(self, inputs: Sequence[torch.Tensor]) -> np.ndarray:
        """Scores of some inputs, (n,), in one pass where they have one shape.

        Raises:
            ModelFolderError: the weights give no number.
        """
        alike = len({tuple(one.shape) for one in inputs}) == 1
        batches = [torch.stack(list(inputs))] if alike else [one[None] for one in inputs]
        scores = np.concatenate([self.forward(batch).float().numpy() for batch in batches])
        if not np.isfinite(scores).all():
            raise ModelFolderError(f"{self.name}: its weights give no number as score; fetch it again")
        return scores

    @property
    def digest(self) -> str:
        """Of all that a score depends on beside the picture: weights, settings, labels, type, this version."""
        digest = hashlib.sha256(f"{__version__} {self.weights_sha256} {self.generated} {self.dtype}".encode())
        for file in sorted(self.folder.glob("*config.json")):
            digest.update(file.read_bytes())
        return digest.hexdigest()


def open_subject(
    name: str,
    *,
    device: str | torch.device | None = None,
    generated: Sequence[str] = (),
    dtype: str = "float32",
) -> Subject:
    """Open the model to be tested.

    Args:
        name: a folder, a Hub id, or an ONNX file: one of ours, or one of an image classifier with its `config.json` and
            `preprocessor_config.json` beside it or in the folder above, as optimum writes them.
        device: where to compute; by default the GPU if there is one. ONNX files compute on the CPU.
        generated: names of the labels that mean `generated`, where their names do not say.
        dtype: as of the Detector, for a model folder of ours; others compute as their file says.

    Raises:
        ModelFolderError: it cannot be opened; the message has the cure.
        LabelsError: its labels cannot be told apart.
        OptionError: there is no such device or type, or the model takes no type.
    """
    others = f"{name}: only model folders of fakeface take another type than float32"
    if exported := onnx_file(name):
        if dtype != "float32":
            raise OptionError(others)
        return _exported(name, exported, generated)
    if name.endswith(SUFFIX):
        raise ModelFolderError(f"{name}: no such file; check the path")
    where = pick_device(device)
    folder = find_folder(name, files=FILES)
    if read_json(folder, name, CONFIG).get("model_type") == FakeFaceConfig.model_type:
        return _fakeface(name, folder, where, dtype)
    if dtype != "float32":
        raise OptionError(others)
    return _classifier(name, folder, where, generated)


def _fakeface(name: str, folder: Path, device: torch.device, dtype: str) -> Subject:
    detector = Detector.from_pretrained(folder, device=device, dtype=dtype, faces=False)
    told = f"auto ({str(fastest_dtype(device)).removeprefix('torch.')})" if dtype == "auto" else dtype
    return _of_detector(name, folder, weights_sha256(folder), detector, told)


def _of_detector(name: str, folder: Path, sha256: str, detector: Detector, dtype: str = "float32") -> Subject:
    def forward(inputs: torch.Tensor) -> torch.Tensor:
        return logits_of(detector.model, inputs).softmax(-1)[:, 1]

    config = detector.config
    return Subject(
        name, folder, config.architecture, sha256, detector.processor, forward, config, dtype=dtype,
        preparer=detector.preparer,
    )  # fmt: skip


def _exported(name: str, file: Path, chosen: Sequence[str]) -> Subject:
    """An ONNX file: of ours by its metadata, else a classifier whose JSON files say how to feed and read it."""
    session = open_session(file)
    sha256 = sha256_of(file)
    if METADATA in session.get_modelmeta().custom_metadata_map:
        return _of_detector(name, file.parent, sha256, Detector.from_pretrained(file, faces=False), "as exported")
    folder = next((place for place in (file.parent, file.parent.parent) if (place / PROCESSOR).is_file()), None)
    if folder is None:
        raise ModelFolderError(f"{name}: put the {CONFIG} and {PROCESSOR} of its model beside it")
    from transformers import AutoImageProcessor

    labels = read_json(folder, name, CONFIG).get("id2label")
    if not isinstance(labels, dict) or not labels or len(session.get_inputs()) != 1:
        raise ModelFolderError(f"{name}: no image classifier: it takes one input, and {CONFIG} with an id2label")
    try:
        processor = AutoImageProcessor.from_pretrained(folder, trust_remote_code=False)
        places = generated_labels([str(labels[key]) for key in sorted(labels, key=int)], chosen)
    except LabelsError as error:
        raise LabelsError(f"{name}: {error}") from None
    except Exception as error:  # as in `_classifier`
        raise ModelFolderError(f"{name}: {folder / PROCESSOR} cannot be used ({error})") from error
    takes = session.get_inputs()[0].name

    def forward(inputs: torch.Tensor) -> torch.Tensor:
        return _scores(torch.from_numpy(session.run(None, {takes: inputs.numpy()})[0]), places)

    point = OperatingPoint()
    return Subject(name, folder, "onnx", sha256, _Processor(processor), forward, point, tuple(places), "as exported")


def _scores(logits: torch.Tensor, places: Sequence[int], multi_label: bool = False) -> torch.Tensor:
    """Scores (n,) from logits (n, labels), as the pipeline of transformers reads them."""
    if logits.shape[1] == 1 or multi_label:
        chances = logits.sigmoid()
        return chances[:, places].amax(-1) if places else 1 - chances.amax(-1)
    return logits.softmax(-1)[:, places].sum(-1).clamp(0, 1)


@dataclass(frozen=True)
class _Processor:
    """An image processor of transformers, with the method of ours."""

    processor: Any

    def to_array(self, picture: Image.Image) -> np.ndarray:
        return self.processor(images=picture, return_tensors="pt")["pixel_values"][0].numpy()


def _classifier(name: str, folder: Path, device: torch.device, chosen: Sequence[str]) -> Subject:
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    if "quantization_config" in read_json(folder, name, CONFIG):
        raise ModelFolderError(f"{name}: quantised models are not taken; use the one it was made from")
    try:
        model, loaded = AutoModelForImageClassification.from_pretrained(
            folder, trust_remote_code=False, use_safetensors=True, output_loading_info=True
        )
        processor = AutoImageProcessor.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # untrusted files fail in many places, each with its own type
        reason = str(error).strip().partition("\n")[0][:200]
        cure = "it takes an image classifier of transformers with weights as safetensors"
        raise ModelFolderError(f"{name}: cannot be opened ({reason}); {cure}") from error
    if broken := sorted({*loaded["missing_keys"], *(key for key, *_ in loaded["mismatched_keys"])}):
        raise ModelFolderError(
            f"{name}: its weights lack {broken[0]}, and random ones would say nothing; fetch it again"
        )
    model.eval().to(device)
    try:
        places = generated_labels([str(label) for _, label in sorted(model.config.id2label.items())], chosen)
    except LabelsError as error:
        raise LabelsError(f"{name}: {error}") from None

    def forward(inputs: torch.Tensor) -> torch.Tensor:
        several = model.config.problem_type == "multi_label_classification"
        return _scores(logits_of(model, inputs), places, several)

    kind = type(model).__name__
    weights = weights_sha256(folder)
    feed = _Processor(processor)
    return Subject(name, folder, kind, weights, feed, forward, OperatingPoint(), tuple(places), "as stored")


def weights_sha256(folder: str | Path) -> str:
    """sha256 of a model folder's weights, as 64 hex digits; of all safetensors, by name, where they are in shards."""
    whole = Path(folder) / WEIGHTS
    return sha256_of(*([whole] if whole.is_file() else sorted(Path(folder).glob("*.safetensors"))))
