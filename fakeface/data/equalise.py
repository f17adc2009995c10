"""One history for both classes: what every picture goes through before it may teach a classifier anything.

A detector that learned JPEG quality is the failure of this field (Grommelt et al., Fake or JPEG?, 2024): photographs
and generated pictures come with other sizes, codecs and metadata, and those are easier to learn than faces. `equalise`
gives one picture the common history. What remains differs in sharpness, light and colour; `fakeface.data.matching`
brings those together over a whole dataset.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..delivery.channels import encode
from ..utils.errors import OptionError

CODECS = ("JPEG", "WEBP", "AVIF")
SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")


@dataclass(frozen=True)
class History:
    """What every picture goes through, whatever its label; `dataclasses.asdict` of it goes into YAML and JSON.

    Attributes:
        size: longest side in pixels; larger pictures are shrunk (Lanczos), smaller ones stay, since enlarging would
            only hide their size from people.
        square: cut the centre square, so that proportions tell nothing.
        codec: `JPEG`, `WEBP` or `AVIF`; saved once, without metadata.
        quality: lowest and highest; drawn for each picture where they differ.
        subsampling: `4:4:4`, `4:2:2` or `4:2:0`; WebP has only the last.
    """

    size: int = 280
    square: bool = True
    codec: str = "JPEG"
    quality: tuple[int, int] = (88, 88)
    subsampling: str = "4:2:0"

    def __post_init__(self) -> None:
        wanted = {"size": int, "square": bool, "codec": str, "subsampling": str}
        for name, kind in wanted.items():
            if type(value := getattr(self, name)) is not kind:
                raise OptionError(f"{name} is {value!r}: it takes a value of type {kind.__name__}")
        if not isinstance(self.quality, tuple | list) or [type(value) for value in self.quality] != [int, int]:
            raise OptionError(f"quality is {self.quality!r}: it takes two whole numbers, lowest and highest")
        if self.codec not in CODECS:
            raise OptionError(f"codec is {self.codec!r}: it takes {', '.join(CODECS)}")
        if self.subsampling not in SUBSAMPLINGS:
            raise OptionError(f"subsampling is {self.subsampling!r}: it takes {', '.join(SUBSAMPLINGS)}")
        if not 16 <= self.size <= 8192:
            raise OptionError(f"size is {self.size}: it takes 16 to 8192 pixels")
        low, high = self.quality
        if not 1 <= low <= high <= 100:
            raise OptionError(f"quality is {list(self.quality)}: it takes a lowest and a highest from 1 to 100")


def equalise(picture: Image.Image, history: History, rng: np.random.Generator) -> bytes:
    """Give one picture the common history.

    Args:
        picture: upright RGB, as `fakeface.images.load_picture` returns it.
        history: the same for every picture of a dataset.
        rng: of this picture, such as `fakeface.delivery.augment.sample_rng(seed, 0, index)`; it draws the quality.

    Returns:
        A picture file; equal arguments give equal bytes.
    """
    return save(resized(picture, history), history, rng)


def resized(picture: Image.Image, history: History, side: int | None = None) -> Image.Image:
    """The picture, or its centre square, with a longest side of at most `side` pixels; by default the history's."""
    box = (0.0, 0.0, float(picture.width), float(picture.height))
    if history.square:
        shorter = min(picture.size)
        left, top = (picture.width - shorter) // 2, (picture.height - shorter) // 2
        box = (float(left), float(top), float(left + shorter), float(top + shorter))
    width, height = box[2] - box[0], box[3] - box[1]
    factor = min(1.0, (side or history.size) / max(width, height))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return picture.resize(size, Image.Resampling.LANCZOS, box=box)


def save(picture: Image.Image, history: History, rng: np.random.Generator) -> bytes:
    """The one save of the history, at a quality drawn from its range."""
    low, high = history.quality
    return encode(picture, history.codec, int(rng.integers(low, high + 1)), history.subsampling)
