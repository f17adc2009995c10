"""Run an exported model with ONNX Runtime, in the place of the PyTorch one.

An ONNX file of ours is enough by itself: config and image processor stand in its metadata. It is read whole and given
to the runtime as bytes, so that nothing it may refer to is opened.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..configuration_fakeface import FakeFaceConfig
from ..image_processing_fakeface import FakeFaceImageProcessor
from ..modeling_fakeface import FakeFaceClassifierOutput
from .checksums import sha256_of
from .names import ONNX_FILE as FILE
from .names import ONNX_SUFFIX as SUFFIX
from .names import ModelFolderError
from .opening import build_config, build_processor
from .weights import WeightFilesError, weight_files

METADATA = "fakeface"  # key of the JSON with `config` and `processor`
LARGEST = 2**31 - 1  # bytes; what protobuf can hold


def onnx_file(name: str) -> Path | None:
    """The ONNX file that a path means: itself, or that of a folder without PyTorch weights; else `None`."""
    path = Path(name)
    if path.suffix == SUFFIX and path.is_file():
        return path
    if path.is_dir() and (path / FILE).is_file():
        try:
            weight_files(path)
        except WeightFilesError:
            return path / FILE
    return None


def open_session(file: Path, threads: int | None = None) -> Any:
    """An `onnxruntime.InferenceSession` on the CPU.

    Args:
        file: the model.
        threads: to compute with; by default as many as PyTorch has.

    Raises:
        ModelFolderError: ONNX Runtime is not installed, or the file is none it can run.
    """
    try:
        import onnxruntime
    except ImportError:
        raise ModelFolderError(f'{file}: needs ONNX Runtime; pip install "fakeface[onnx]"') from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or torch.get_num_threads()
    options.log_severity_level = 3  # errors; it warns of what its own optimiser leaves
    try:
        if file.stat().st_size > LARGEST:
            raise ValueError("over 2 GiB")
        return onnxruntime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime has a type of its own for each kind of failure
        reason = str(error).strip().partition("\n")[0][:200]
        raise ModelFolderError(f"{file}: no ONNX file that can be run ({reason}); export it again") from error


class OnnxModel(torch.nn.Module):
    """A fakeface model in an ONNX file; called as `FakeFaceForImageClassification` is, on the CPU.

    Attributes:
        config: from the file.
        processor: the image processor, from the file.
        device: the CPU.
    """

    file_sha256: torch.Tensor

    def __init__(self, file: str | Path):
        """Open a file that `fakeface export onnx` wrote.

        Raises:
            ModelFolderError: as for `open_session`; or it is not a file of ours.
        """
        super().__init__()
        file = Path(file)
        self.session = open_session(file)
        told = self.session.get_modelmeta().custom_metadata_map.get(METADATA)
        if told is None:
            raise ModelFolderError(f"{file}: no ONNX file of fakeface (its metadata has no {METADATA!r})")
        try:
            content = json.loads(told)
            config, processor = content["config"], content["processor"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ModelFolderError(f"{file}: its metadata cannot be read ({error}); export it again") from error
        self.config: FakeFaceConfig = build_config(config, str(file))
        self.processor: FakeFaceImageProcessor = build_processor(processor, str(file), self.config)
        self.device = torch.device("cpu")
        digest = bytes.fromhex(sha256_of(file))
        self.register_buffer("file_sha256", torch.from_numpy(np.frombuffer(digest, np.uint8).copy()))  # its only state

    def forward(self, pixel_values: torch.Tensor) -> FakeFaceClassifierOutput:
        """Calibrated logits, float32 (batch, 2), of `pixel_values` (batch, 3, size, size), and `distance` if it has."""
        inputs = np.ascontiguousarray(pixel_values.numpy(), np.float32)
        names = [output.name for output in self.session.get_outputs()]
        outputs = map(torch.from_numpy, self.session.run(None, {"pixel_values": inputs}))
        found = dict(zip(names, outputs, strict=True))
        return FakeFaceClassifierOutput(logits=found["logits"], distance=found.get("distance"))


__all__ = ["OnnxModel", "onnx_file", "open_session"]
