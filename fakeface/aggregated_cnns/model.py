"""The Aggregated CNNs, an outside detector to compare with, run to its protocol.

S. Mandelli, N. Bonettini, P. Bestagini, S. Tubaro, "Detecting GAN-generated images by orthogonal training of multiple
CNNs", ICIP 2022; patches and scores as in gan_vs_real_detector.py of polimi-ispl/GAN-image-detection. Five
EfficientNet-B4 look at about 200 patches of a picture at its native resolution; nothing is ever resized.

    >>> from fakeface.aggregated_cnns import AggregatedCNNs
    >>> AggregatedCNNs.from_folder("weights").score("portrait.jpg")                        # doctest: +SKIP
    -3.2
"""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..detector.runtime import pick_device
from ..images.load import PictureError, load_picture
from ..model_folder.checksums import sha256_of
from .weights import WeightsError, load_network

NETWORKS = "ABCDE"
RANDOM = "A"  # the network that sees patches at random places; the others see the JPEG grid
SIDE = 128  # of a patch, in pixels
GRID = 8  # of JPEG's blocks, in pixels
PATCHES = 200
BATCH = 32  # patches to a forward pass: more is no faster on a CPU
# ImageNet's, as the authors'.
MEAN, STD = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)
FILES = ("{}.safetensors", "method_{}.pth")  # ours, and the authors'

Place = tuple[int, int]  # left, top


def random_places(width: int, height: int, patches: int, rng: np.random.Generator) -> list[Place]:
    """Places of patches anywhere in a picture of at least `SIDE` pixels a side."""
    lefts = rng.integers(0, width - SIDE + 1, patches)
    tops = rng.integers(0, height - SIDE + 1, patches)
    return [(int(left), int(top)) for left, top in zip(lefts, tops, strict=True)]


def grid_places(width: int, height: int, patches: int) -> list[Place]:
    """Places of about `patches` patches, evenly spread, whose corners are corners of JPEG blocks.

    As the authors': twice as many steps down as across, each rounded up to whole blocks. A picture with less room
    gives fewer; one of 128 by 128 gives one.
    """
    across = max(1, round((patches / 2) ** 0.5))
    step_x, step_y = _step(width, across), _step(height, 2 * across)
    return [(x, y) for y in range(0, height - SIDE + 1, step_y) for x in range(0, width - SIDE + 1, step_x)]


def _step(length: int, steps: int) -> int:
    return max(GRID, -(-((length - SIDE) // steps) // GRID) * GRID)


def cut(pixels: np.ndarray, places: Sequence[Place]) -> Tensor:
    """Normalised patches, (n, 3, 128, 128), of an RGB picture's pixels, (height, width, 3) uint8."""
    patches = np.stack([pixels[y : y + SIDE, x : x + SIDE] for x, y in places])
    scaled = (patches.astype(np.float32) / 255 - MEAN) / STD
    return torch.from_numpy(scaled).permute(0, 3, 1, 2)  # channels last in memory, as the network is


def network_score(logits: np.ndarray) -> float:
    """A network's score of a picture, from the logits (n, 2) of its patches.

    The largest `generated` logit when any patch votes generated, else minus the largest `real` logit: photographs are
    trusted only where no patch objects.
    """
    votes = logits[:, 1] > logits[:, 0]
    return float(logits[:, 1].max() if votes.any() else -logits[:, 0].max())


def check_side(picture: Image.Image, name: str) -> None:
    """Raises PictureError for a picture that has no room for a patch."""
    if min(picture.size) < SIDE:
        size = f"{picture.width}x{picture.height} pixels"
        cure = f"the Aggregated CNNs take pictures of {SIDE} pixels a side or more and never enlarge; use a larger one"
        raise PictureError(name, "too-small", f"{size}; {cure}")


class AggregatedCNNs:
    """Five networks as one detector.

    Args:
        networks: in the order of `NETWORKS`.
        sha256: of their weights, where they come from a folder.
        device: where to compute; by default the GPU if there is one.
        dtype: in which to multiply; bfloat16 changes logits in the third digit.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        sha256: str = "",
        device: str | torch.device | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if len(networks) != len(NETWORKS):
            raise ValueError(f"{len(networks)} networks: the Aggregated CNNs are {len(NETWORKS)}")
        self.device, self.dtype, self.sha256 = pick_device(device), dtype, sha256
        self.networks = [network.eval().to(self.device) for network in networks]

    @classmethod
    def from_folder(cls, folder: str | Path, **options: Any) -> "AggregatedCNNs":
        """Open a folder with `A.safetensors` to `E.safetensors`, or the authors' `method_A.pth` to `method_E.pth`.

        Args:
            folder: of the five files.
            options: `device` and `dtype`.

        Raises:
            WeightsError: a file is missing or cannot be used.
        """
        paths = [_weights_file(Path(folder), name) for name in NETWORKS]
        networks = [load_network(path) for path in paths]
        return cls(networks, sha256_of(*paths), **options)

    def score(self, picture: Any, *, patches: int = PATCHES, seed: int = 0) -> float:
        """The picture's score, the mean of the networks'; above 0 it leans to generated, and it is not a probability.

        Arguments and errors as of `network_scores`.
        """
        return float(np.mean(self.network_scores(picture, patches=patches, seed=seed)))

    def network_scores(
        self, picture: Any, *, patches: int = PATCHES, seed: int = 0, name: str | None = None
    ) -> list[float]:
        """The score of each network, in the order of `NETWORKS`.

        Args:
            picture: whatever `fakeface.images.load_picture` takes; judged as it is, whole and at its own size.
            patches: for each network; the paper's number by default.
            seed: of the random places, which also depend on the pixels, so that a picture has the same in any order.
            name: of the picture, for errors.

        Raises:
            PictureError: the picture cannot be read, or is smaller than a patch.
        """
        loaded = load_picture(picture, name=name)
        check_side(loaded, name or (str(picture) if isinstance(picture, str | Path) else "picture"))
        pixels = np.asarray(loaded)
        rng = np.random.default_rng((seed, zlib.crc32(pixels.tobytes())))
        anywhere = random_places(*loaded.size, patches, rng)
        on_grid = grid_places(*loaded.size, patches)
        return [
            network_score(self._logits(network, pixels, anywhere if letter == RANDOM else on_grid))
            for letter, network in zip(NETWORKS, self.networks, strict=True)
        ]

    @torch.inference_mode()
    def _logits(self, network: nn.Module, pixels: np.ndarray, places: list[Place]) -> np.ndarray:
        found = []
        for at in range(0, len(places), BATCH):
            batch = cut(pixels, places[at : at + BATCH]).to(self.device)
            with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
                found.append(network(batch).float().cpu().numpy())
        return np.concatenate(found)


def _weights_file(folder: Path, name: str) -> Path:
    paths = [folder / pattern.format(name) for pattern in FILES]
    for path in paths:
        if path.is_file():
            return path
    raise WeightsError(f"{folder}: holds neither {paths[0].name} nor {paths[1].name}; all five networks are needed")
