"""Photographs passed through a generative model's autoencoder: the same content, with a decoder's fingerprint.

As negatives they leave a classifier nothing but the fingerprint to learn (Rajan et al., Aligned datasets improve
detection of latent diffusion-generated images, 2025). Needs `diffusers`, an optional extra:
`pip install "fakeface[reconstruct]"`.

    >>> from fakeface.data.reconstruct import Autoencoder, reconstruct
    >>> taesd = Autoencoder.from_pretrained("madebyollin/taesd")                # doctest: +SKIP
    >>> negatives = list(reconstruct(photographs, taesd))                       # doctest: +SKIP
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..delivery.augment import sample_rng
from ..images.load import PictureError, load_picture
from ..utils.errors import FakefaceError
from .equalise import History, equalise

LARGEST_SIDE = 1024  # pixels; larger pictures are shrunk: the models are made for this, and memory grows with the area
STEP = 32  # pixels; sides are padded to a multiple of it, which every autoencoder's downscaling divides


class ReconstructionError(FakefaceError):
    """The autoencoder cannot be used; the message names it and the cure."""


class Autoencoder:
    """Any autoencoder of diffusers that takes RGB pictures: `AutoencoderKL`, `AutoencoderTiny`, `VQModel` and others.

    Attributes:
        name: the last part of the folder or Hub id, for `generator` columns.
    """

    def __init__(self, model: Any, name: str):
        self._model, self.name = model.eval(), name

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the class, the config and the weights: the same model gives the same pictures, wherever it lies."""
        config = {key: value for key, value in self._model.config.items() if not key.startswith("_")}
        digest = hashlib.sha256(f"{type(self._model).__name__} {json.dumps(config, sort_keys=True)}".encode())
        for name, weights in sorted(self._model.state_dict().items()):
            digest.update(name.encode())
            digest.update(weights.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    @classmethod
    def from_pretrained(cls, model: str | os.PathLike[str], device: str | None = None) -> "Autoencoder":
        """Load a model folder or Hub id, or the `vae` of a pipeline's. Only safetensors are read, and no code is run.

        Args:
            model: folder or Hub id.
            device: such as `cuda`; by default the GPU if there is one.

        Raises:
            ReconstructionError: diffusers is missing, or the model is, or is none that can be used.
        """
        try:
            import diffusers
        except ImportError:
            raise ReconstructionError('reconstructions need diffusers: pip install "fakeface[reconstruct]"') from None
        name = os.fspath(model)
        subfolder, kind = _class_of(name, diffusers)
        try:
            loaded = kind.from_pretrained(name, subfolder=subfolder, use_safetensors=True)
        except Exception as error:  # the client and safetensors raise many unrelated types
            raise ReconstructionError(f"{name}: its weights cannot be loaded ({_short(error)})") from error
        where = device or ("cuda" if torch.cuda.is_available() else "cpu")
        return cls(loaded.to(where), re.split(r"[\\/]", name.rstrip("\\/"))[-1])

    @torch.inference_mode()
    def __call__(self, pictures: list[Image.Image]) -> list[Image.Image]:
        """Encode and decode RGB pictures; each keeps its size, or is shrunk to a longest side of `LARGEST_SIDE`.

        Raises:
            ReconstructionError: the model takes no RGB pictures, or there is no memory left.
        """
        pictures = [_limited(picture) for picture in pictures]
        by_size: dict[tuple[int, int], list[int]] = {}
        for i, picture in enumerate(pictures):
            by_size.setdefault(picture.size, []).append(i)
        out = list(pictures)
        for (width, height), rows in by_size.items():
            pixels = np.stack([np.asarray(pictures[i], np.float32) for i in rows]) / 127.5 - 1
            x = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(self._model.device, self._model.dtype)
            x = torch.nn.functional.pad(x, (0, -width % STEP, 0, -height % STEP), mode="replicate")
            decoded = self._passed_through(x)[..., :height, :width]
            decoded = ((decoded.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
            for i, array in zip(rows, decoded, strict=True):
                out[i] = Image.fromarray(array)
        return out

    def _passed_through(self, x: torch.Tensor) -> torch.Tensor:
        try:
            return self._model.decode(_latents(self._model.encode(x))).sample
        except RuntimeError as error:  # torch has no narrower class for most of what can be wrong
            what = f"fails on {x.shape[0]} pictures of {x.shape[3]}x{x.shape[2]} pixels ({_short(error)})"
            cure = "take an autoencoder of RGB pictures that fits into memory"
            raise ReconstructionError(f"{self.name}: {what}; {cure}") from error


def reconstruct(
    pictures: Iterable[Image.Image], model: Autoencoder | str | os.PathLike[str], batch: int = 8
) -> Iterator[Image.Image]:
    """Pass RGB pictures through an autoencoder, in order, `batch` at a time.

    Raises:
        ReconstructionError: see `Autoencoder.from_pretrained`.
    """
    autoencoder = model if isinstance(model, Autoencoder) else Autoencoder.from_pretrained(model)
    source = iter(pictures)
    while chunk := list(islice(source, batch)):
        yield from autoencoder(chunk)


def negative_row(row: dict[str, Any], name: str) -> dict[str, Any]:
    """The row of a photograph's reconstruction: `generated`, with the original's source, group and perceptual hash.

    Args:
        row: of a photograph; its `image` is left out.
        name: of the autoencoder.
    """
    kept = {key: value for key, value in row.items() if key not in ("image", "sha256")}
    return {**kept, "label": 1, "generator": f"reconstruction:{name}"}


def negatives(
    rows: Iterable[dict[str, Any]],
    model: Autoencoder,
    history: History | None = None,
    *,
    batch: int = 8,
    seed: int = 0,
) -> Iterator[dict[str, Any]]:
    """Rows of the reconstructions of a dataset's photographs, saved by a history; memory holds one batch.

    Reconstruct pictures as they were found where you can: one that was saved by the history before is saved twice.

    Args:
        rows: of a dataset, with `image` (undecoded) and `label`; generated and unreadable pictures are passed over.
        model: the autoencoder.
        history: of the save; by default the usual one.
        batch: pictures to a pass of the model.
        seed: of drawn qualities.
    """
    history = history or History()
    photographs = (
        (i, row, picture)
        for i, row in enumerate(rows)
        if row["label"] == 0 and (picture := _readable(row["image"])) is not None
    )
    while chunk := list(islice(photographs, batch)):
        for (i, row, _), made in zip(chunk, model([picture for *_, picture in chunk]), strict=True):
            data = equalise(made, history, sample_rng(seed, 0, i))
            yield {**negative_row(row, model.name), "image": {"bytes": data, "path": None}}


def _class_of(name: str, diffusers: Any) -> tuple[str | None, Any]:
    """The subfolder and the class of the autoencoder in a folder or Hub repository."""
    problem = ""
    for subfolder in (None, "vae"):
        try:
            config = diffusers.AutoencoderKL.load_config(name, subfolder=subfolder)
        except Exception as error:  # as above
            problem = problem or _short(error)
            continue
        kind = getattr(diffusers, str(config.get("_class_name")), None)
        if isinstance(kind, type) and issubclass(kind, diffusers.ModelMixin) and hasattr(kind, "encode"):
            return subfolder, kind
        problem = f"its config names the class {str(config.get('_class_name'))[:60]!r}"
    cure = "give the folder or Hub id of a diffusers autoencoder, such as AutoencoderKL, AutoencoderTiny or VQModel"
    raise ReconstructionError(f"{name}: no autoencoder ({problem}); {cure}")


def _latents(encoded: Any) -> torch.Tensor:
    """The latents of any autoencoder's output: the mode where it is a distribution, so that nothing is random."""
    if hasattr(encoded, "latent_dist"):
        return encoded.latent_dist.mode()
    return encoded.latents if hasattr(encoded, "latents") else encoded.latent


def _limited(picture: Image.Image) -> Image.Image:
    factor = LARGEST_SIDE / max(picture.size)
    if factor >= 1:
        return picture
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _readable(image: Any) -> Image.Image | None:
    try:
        return load_picture(image)
    except PictureError:
        return None


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
