"""Names of models: which stand for nothing, found out before anything slow is imported."""

import os
from pathlib import Path

from ..utils.errors import FakefaceError, OptionError

CONFIG = "config.json"
ONNX_FILE = Path("onnx") / "model.onnx"  # in a folder, where optimum and transformers.js look
ONNX_SUFFIX = ".onnx"


class ModelFolderError(FakefaceError):
    """A model folder cannot be used; the message names the folder or file and the cure."""


def refuse_missing(name: str | os.PathLike[str] | None) -> None:
    """Raise ModelFolderError for a path at which no model can be; one that may be a Hub id is left in peace.

    Args:
        name: as for `Detector.from_pretrained`; without one, that of `FAKEFACE_MODEL` is looked at, if it is set.
    """
    name = os.environ.get("FAKEFACE_MODEL", "") if name is None else os.fspath(name)
    path = Path(name)
    if path.is_dir():
        if name and not (path / CONFIG).exists() and not (path / ONNX_FILE).exists():
            raise ModelFolderError(f"{name}: {CONFIG} is missing; this is not a complete model folder")
    elif path.exists() and path.suffix != ONNX_SUFFIX:
        raise ModelFolderError(f"{name}: a file, not a model folder; pass the folder that holds {CONFIG}")
    elif not path.exists() and (
        name.startswith((".", "~")) or name.endswith(("/", os.sep)) or path.is_absolute() or name.count("/") > 1
    ):
        raise ModelFolderError(f"{name}: no such folder; check the path")


def refuse_contradictions(model: str | os.PathLike[str] | None, fast: bool, cascade: object) -> None:
    """Raise OptionError where the arguments of `Detector.from_pretrained` ask for two different models."""
    if fast and model is not None:
        raise OptionError("fast chooses among the shipped models; leave it out, or name no model")
    if fast and cascade:
        raise OptionError("fast takes one model, and a cascade takes two; leave one of them out")


__all__ = ["CONFIG", "ONNX_FILE", "ONNX_SUFFIX", "ModelFolderError", "refuse_contradictions", "refuse_missing"]
