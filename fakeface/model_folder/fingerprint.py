"""What tells one model from another: its weights and its calibration."""

import hashlib

from ..configuration_fakeface import FakeFaceConfig
from .checksums import sha256_of
from .onnx import onnx_file
from .opening import find_folder
from .weights import weight_files


def fingerprint(name: str, config: FakeFaceConfig) -> str:
    """Of what makes a model's scores, as 16 hex digits.

    Args:
        name: a folder, a Hub id or an ONNX file, which was opened before.
        config: of the model.

    Raises:
        ModelFolderError: it is no longer there.
    """
    told = f"{weights_sha256(name)} {float(config.temperature)} {float(config.bias)}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def weights_sha256(name: str) -> str:
    """sha256 of a model's weights, as 64 hex digits; of those in shards, of one behind the other.

    Args:
        name: as of `fingerprint`.

    Raises:
        ModelFolderError: it is no longer there.
    """
    exported = onnx_file(name)
    return sha256_of(*([exported] if exported else weight_files(find_folder(name))[0]))


__all__ = ["fingerprint", "weights_sha256"]
