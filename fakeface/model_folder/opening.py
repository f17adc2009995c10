"""Open a model folder or say why not: what is checked before untrusted weights are loaded.

Only JSON and safetensors are read. The code files in a folder serve processes that lack this package; here they
never run.
"""

import contextlib
import json
import logging
import os
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.constants import HF_HUB_OFFLINE
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import validate_repo_id
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file

from ..configuration_fakeface import CODE_VERSION, LABELS, FakeFaceConfig
from ..image_processing_fakeface import SETTINGS, FakeFaceImageProcessor
from ..modeling_fakeface import FakeFaceForImageClassification
from ..utils.shipped import shipped
from .checksums import SUMS, changed_files
from .names import CONFIG, ModelFolderError
from .weights import OTHER_FORMS, WEIGHTS, WeightFilesError, weight_files

PROCESSOR = "preprocessor_config.json"
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
MOST_JSON = 2**20  # bytes; ours have about a thousand
FAST = "checkpoints/fakeface-resnet50-cnn"
THOROUGH = "checkpoints/fakeface-vit-b16-cnn"

logger = logging.getLogger(__name__)


def default_model(fast: bool = False) -> Path | str:
    """The model to use when none is named: `FAKEFACE_MODEL` in the environment, else one that fakeface ships.

    Args:
        fast: take the shipped `resnet50-cnn`, which costs a fraction of the other's time and judges less well. It is
            also taken where the other, `vit-b16-cnn`, is not there.

    Raises:
        ModelFolderError: there is neither.
    """
    if named := os.environ.get("FAKEFACE_MODEL"):
        return named
    for name in (FAST,) if fast else (THOROUGH, FAST):
        if (folder := shipped(name, name)).is_dir():
            return folder
    raise ModelFolderError("no model named: pass a model folder or a Hub id, or set FAKEFACE_MODEL to one")


def fast_model() -> Path:
    """The shipped `resnet50-cnn`, whatever the environment names: the first of a cascade.

    Raises:
        ModelFolderError: it is not there.
    """
    if (folder := shipped(FAST, FAST)).is_dir():
        return folder
    raise ModelFolderError("the fast model did not come with this fakeface; name the folder of one")


def load_model_folder(
    name: str, *, revision: str | None = None, dtype: torch.dtype = torch.float32
) -> tuple[FakeFaceForImageClassification, FakeFaceImageProcessor]:
    """Load the model and the image processor of a folder or a Hub repository.

    What `SHA256SUMS` lists is compared with it first, where there is such a list. The classes are the installed
    package's; where a later version of it wrote the folder, that is logged.

    Args:
        name: path of a folder, or a Hub id such as `"someone/fakeface-resnet50-cnn"`; a folder goes first.
        revision: branch, tag or commit of a Hub repository.
        dtype: floating point type of the weights, whatever the file stores. BatchNorm stays float32.

    Raises:
        ModelFolderError: it cannot be used.
    """
    folder = find_folder(name, revision)
    _check_sums(folder, name)
    config = _load_config(folder, name)
    processor = _load_processor(folder, name, config)
    state = _load_weights(folder, name, config)
    # Given the tensors and no path, transformers looks for nothing else in the folder, such as adapters.
    model = FakeFaceForImageClassification.from_pretrained(None, config=config, state_dict=state, dtype=dtype)
    return model, processor


def find_folder(
    name: str, revision: str | None = None, files: Sequence[str] = (CONFIG, PROCESSOR, WEIGHTS, SUMS)
) -> Path:
    """The folder on disk; of a Hub repository a snapshot in the cache that has no code files.

    Args:
        name, revision: as for `load_model_folder`.
        files: names or patterns of what is fetched from the top of a Hub repository. `WEIGHTS` stands for weights in
            any form.

    Raises:
        ModelFolderError: there is no such folder or repository; the message has the cure.
    """
    if os.path.isdir(name):
        if revision is not None:
            raise ModelFolderError(f"{name}: a folder, which has no revision {revision!r}; leave the revision out")
        return Path(name)
    if os.path.exists(name):
        raise ModelFolderError(f"{name}: a file, not a model folder; pass the folder that holds {CONFIG}")
    try:
        validate_repo_id(name)
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=list(files), ignore_patterns="*/*"))
        if WEIGHTS in files and not (folder / WEIGHTS).is_file():  # shards or a variant, asked for only then
            wanted = [*files, *OTHER_FORMS]
            folder = Path(snapshot_download(name, revision=revision, allow_patterns=wanted, ignore_patterns="*/*"))
        return folder
    except HFValidationError:
        raise ModelFolderError(f"{name}: no such folder; check the path") from None
    except GatedRepoError:
        cure = f"accept its terms at huggingface.co/{name}, then log in with `hf auth login`"
        raise ModelFolderError(f"{name}: this Hub repository is gated; {cure}") from None
    except RepositoryNotFoundError:
        cure = "check the spelling; if it is private, log in with `hf auth login` as somebody who may see it"
        raise ModelFolderError(f"{name}: no such folder, and no such Hub repository for you; {cure}") from None
    except RevisionNotFoundError:
        raise ModelFolderError(f"{name}: the Hub repository has no revision {revision!r}; check its tags") from None
    except LocalEntryNotFoundError as error:
        if not HF_HUB_OFFLINE:
            raise _not_given(name) from error
        cure = "unset HF_HUB_OFFLINE to fetch it, or check the path"
        what = name if revision is None else f"{name} at {revision}"
        raise ModelFolderError(f"{what}: no such folder, and not in the Hub's cache, offline; {cure}") from None
    except HfHubHTTPError as error:
        if error.response.status_code != 401:
            raise _not_given(name) from error
        raise ModelFolderError(f"{name}: the Hub does not know your token; log in with `hf auth login`") from None
    except Exception as error:  # every other failure of the network, of several libraries
        raise _not_given(name) from error


def _not_given(name: str) -> ModelFolderError:
    cure = "check the path, or the connection if this is a Hub id"
    return ModelFolderError(f"{name}: no such folder, and the Hub did not give it; {cure}")


def _names(folder: Path, name: str) -> list[str]:
    """The files of a model folder; of a Hub repository also those that are never fetched, where the Hub tells."""
    if not os.path.isdir(name):
        with contextlib.suppress(Exception):  # only to explain another error; the client raises many types
            return HfApi().list_repo_files(name, revision=folder.name)  # snapshots are named after their commit
    return [path.name for path in folder.iterdir()]


def _check_sums(folder: Path, name: str) -> None:
    """Raises ModelFolderError where a file that is about to be read is not the one that `SHA256SUMS` lists."""
    names = [CONFIG, PROCESSOR]
    with contextlib.suppress(WeightFilesError):  # told when they are loaded
        weights, index = weight_files(folder)
        names += [file.name for file in (*weights, *([index] if index else []))]
    try:
        changed = changed_files(folder, names)
    except (OSError, ValueError) as error:
        raise ModelFolderError(f"{name}/{SUMS}: cannot be read ({error}); fetch the folder again") from None
    if changed:
        cure = f"fetch the folder again; or, if you changed it yourself, remove {SUMS}"
        raise ModelFolderError(f"{name}/{changed[0]}: its sha256 is not the one in {SUMS}; {cure}")


def read_json(folder: Path, name: str, file: str) -> dict[str, Any]:
    """The JSON object in a file of a folder that errors call `name`; raises ModelFolderError."""
    path = folder / file
    try:
        if path.stat().st_size > MOST_JSON:
            raise ValueError("far too large")
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelFolderError(f"{name}: {file} is missing; this is not a complete model folder") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFolderError(f"{name}/{file}: cannot be read ({error}); fetch the folder again") from error
    if not isinstance(content, dict):
        raise ModelFolderError(f"{name}/{file}: holds no JSON object; fetch the folder again")
    return content


def _load_config(folder: Path, name: str) -> FakeFaceConfig:
    content = read_json(folder, name, CONFIG)
    config = build_config(content, f"{name}/{CONFIG}")
    if not _is_known(wrote := content.get("fakeface_version", CODE_VERSION)):
        used = f"this is fakeface {CODE_VERSION}, and its own code is what is used"
        logger.warning("%s: written by fakeface %s; %s", name, json.dumps(wrote)[:40], used)
    return config


def _is_known(version: object) -> bool:
    """Whether it is this version or an earlier one; folders of those open as they always did."""
    try:
        return [int(part) for part in str(version).split(".")] <= [int(part) for part in CODE_VERSION.split(".")]
    except ValueError:
        return False


def build_config(content: dict[str, Any], where: str) -> FakeFaceConfig:
    """A config from an untrusted JSON object, found `where`; raises ModelFolderError."""
    if content.get("model_type") != FakeFaceConfig.model_type:
        kind = f'"model_type" is {json.dumps(content.get("model_type"))}, not "{FakeFaceConfig.model_type}"'
        raise ModelFolderError(f"{where}: {kind}; pass the folder of a fakeface model")
    # Of transformers' own fields only the labels: others can name quantisers, or kernels on the Hub, which are code.
    fields = (FakeFaceConfig.__annotations__.keys() | {"id2label", "label2id", "format_version"}) - {"auto_map"}
    try:
        config = FakeFaceConfig(**{key: content[key] for key in fields & content.keys()})
    except Exception as error:  # untrusted values fail in many places of transformers, each with its own type
        # Validation errors of huggingface_hub wrap the one with the words.
        raise ModelFolderError(f"{where}: {error.__cause__ or error}") from error
    if config.id2label != dict(enumerate(LABELS)):
        labels = "labels must be 0 real and 1 generated"
        raise ModelFolderError(f"{where}: {labels}, not {config.id2label}; train it with these")
    if content.get("problem_type") not in (None, "single_label_classification"):
        raise ModelFolderError(f"{where}: problem_type is {json.dumps(content['problem_type'])[:40]}; train it without")
    return config


def _load_processor(folder: Path, name: str, config: FakeFaceConfig) -> FakeFaceImageProcessor:
    return build_processor(read_json(folder, name, PROCESSOR), f"{name}/{PROCESSOR}", config)


def build_processor(content: dict[str, Any], where: str, config: FakeFaceConfig) -> FakeFaceImageProcessor:
    """An image processor that fits the config, from an untrusted JSON object; raises ModelFolderError."""
    fields = {"size", "crop_fraction", "image_mean", "image_std", *SETTINGS}
    cure = "use the file saved with this model"
    try:
        processor = FakeFaceImageProcessor(**{key: content[key] for key in fields & content.keys()})
        if processor.size != config.image_size:  # looked at before a picture is made of that size
            raise ValueError(f"size is {processor.size}, but the model takes {config.image_size}")
        for setting in SETTINGS:  # for other libraries' ways of use; the model was not trained with them
            if (found := getattr(processor, setting)) != (usual := getattr(FakeFaceImageProcessor, setting)):
                raise ValueError(f"{setting} is {found}, but the model takes {usual}")
        with np.errstate(divide="ignore", invalid="ignore"):  # the result is looked at instead
            sample = processor.to_array(Image.new("RGB", (64, 64), "grey"))
        if sample.shape[0] != 3 or not np.isfinite(sample).all():
            raise ValueError("image_mean and image_std take three numbers each, image_std other than 0")
    except Exception as error:  # as above
        raise ModelFolderError(f"{where}: {error}; {cure}") from error
    return processor


def _load_weights(folder: Path, name: str, config: FakeFaceConfig) -> dict[str, torch.Tensor]:
    """The tensors of the files, which are those of the model by name and shape, none missing and none left over.

    Transformers would fill up what is missing at random, and only warn. The model to compare with is made on the meta
    device, so that a config that asks for more memory than there is fails before any is taken.
    """
    try:
        files, _ = weight_files(folder)
    except WeightFilesError as error:
        if str(error):
            raise ModelFolderError(f"{name}: {error}") from None
        pickled = sorted(file for file in _names(folder, name) if any(fnmatch(file, kind) for kind in PICKLED))
        reason = f"{pickled[0]} could run code when opened, so it is not; " if pickled else ""
        raise ModelFolderError(f"{name}: {WEIGHTS} is missing; {reason}get the weights as safetensors") from None
    state: dict[str, torch.Tensor] = {}
    for file in files:
        try:
            state |= load_file(file)
        except (SafetensorError, OSError) as error:
            raise ModelFolderError(f"{name}/{file.name}: broken or cut off ({error}); fetch it again") from error
    with torch.device("meta"):
        needed = FakeFaceForImageClassification(config).state_dict()
    problems = [f"{tensor} is missing" for tensor in needed.keys() - state.keys()]
    problems += [f"{tensor} is not of this model" for tensor in state.keys() - needed.keys()]
    problems += [
        f"{tensor} is {tuple(state[tensor].shape)}, the model's is {tuple(needed[tensor].shape)}"
        for tensor in needed.keys() & state.keys()
        if state[tensor].shape != needed[tensor].shape
    ]
    if problems:
        several = "" if len(problems) <= 3 else f" and {len(problems) - 3} more"
        listed = ", ".join(sorted(problems)[:3]) + several
        raise ModelFolderError(f"{name}/{files[0].name}: {listed}; fetch the folder again, or match {CONFIG} to it")
    return state


__all__ = [
    "ModelFolderError",
    "build_config",
    "build_processor",
    "default_model",
    "fast_model",
    "find_folder",
    "load_model_folder",
    "read_json",
]
