"""The delivery sweep: one change at a time, from weak to strong, so that a curve shows where a detector gives way.

Beside the curves stand kinds of framing, for a face that is always at one place may be all that a detector has learned
of a generator, and of retouching, which have no order: the hard photographs.

Every picture of either label gets exactly the same change. What is random in it, noise and framing, follows from the
seed and the picture's bytes alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from PIL import Image, ImageFilter

from .augment import Augmentation, change_pose
from .channels import PLATFORMS, reencode, screenshot, send
from .retouch import RETOUCHING

Change = Callable[[Image.Image, np.random.Generator], Image.Image]


@dataclass(frozen=True)
class Step:
    """One point of the sweep.

    Attributes:
        family: the curve that it lies on.
        strength: its place on that curve, on the family's own scale; chains, framing and retouching are numbered.
        change: takes an RGB picture and a generator.
    """

    family: str
    strength: float
    change: Change


def _save(picture: Image.Image, rng: np.random.Generator, codec: str, quality: int) -> Image.Image:
    return reencode(picture, codec, quality)


def _rescale(picture: Image.Image, rng: np.random.Generator, factor: float) -> Image.Image:
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.BICUBIC)


def _blur(picture: Image.Image, rng: np.random.Generator, sigma: float) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(sigma * min(picture.size) / 280))


def _noise(picture: Image.Image, rng: np.random.Generator, sigma: float) -> Image.Image:
    noisy = np.asarray(picture, np.float32) + rng.normal(0, sigma, (picture.height, picture.width, 3))
    return Image.fromarray(np.clip(np.round(noisy), 0, 255).astype(np.uint8))


def _thumbnail(picture: Image.Image, rng: np.random.Generator, side: int) -> Image.Image:
    """The shorter side at most `side` pixels, then one JPEG save, as sites make previews."""
    small = _rescale(picture, rng, min(1.0, side / min(picture.size)))
    return reencode(small, "JPEG", 75)


def _chain(picture: Image.Image, rng: np.random.Generator, hops: tuple[Change, ...]) -> Image.Image:
    for hop in hops:
        picture = hop(picture, rng)
    return picture


def _retouch(picture: Image.Image, rng: np.random.Generator, name: str) -> Image.Image:
    return RETOUCHING[name](picture)


def _platform(picture: Image.Image, rng: np.random.Generator, name: str) -> Image.Image:
    return send(picture, rng, PLATFORMS[name])


CHAINS: dict[str, tuple[Change, ...]] = {
    "JPEG 85, then half size and JPEG 70": (
        partial(_save, codec="JPEG", quality=85),
        partial(_rescale, factor=0.5),
        partial(_save, codec="JPEG", quality=70),
    ),
    "messenger, then social feed": (partial(_platform, name="messenger"), partial(_platform, name="social-feed")),
    "WebP 60, then JPEG 60": (partial(_save, codec="WEBP", quality=60), partial(_save, codec="JPEG", quality=60)),
}

_STILL = Augmentation(flip=0, rotate=0, zoom=(1, 1), shift=0)
FRAMINGS: dict[str, Augmentation] = {
    "moved 5 %": replace(_STILL, shift=0.05),
    "moved 10 %": replace(_STILL, shift=0.1),
    "turned 12°": replace(_STILL, rotate=1, rotation=12),
    "zoomed 0.85-1.2": replace(_STILL, zoom=(0.85, 1.2)),
}  # each at random up to the limits in its name

SWEEP: dict[str, Step] = {
    **{f"JPEG {q}": Step("JPEG quality", q, partial(_save, codec="JPEG", quality=q)) for q in (95, 85, 75, 60, 45, 30)},
    **{f"WebP {q}": Step("WebP quality", q, partial(_save, codec="WEBP", quality=q)) for q in (95, 75, 50, 30)},
    **{f"rescale {f:g}": Step("rescale factor", f, partial(_rescale, factor=f)) for f in (1.0, 0.75, 0.5, 0.35, 0.25)},
    **{f"blur {s:g}": Step("blur sigma at 280 px", s, partial(_blur, sigma=s)) for s in (0.5, 1.0, 2.0, 3.0)},
    **{f"noise {s:g}": Step("noise sigma, grey levels", s, partial(_noise, sigma=s)) for s in (2.0, 5.0, 10.0, 15.0)},
    **{f"thumbnail {p}": Step("thumbnail side, px", p, partial(_thumbnail, side=p)) for p in (160, 112, 80, 48)},
    **{name: Step("two hops", i, partial(_chain, hops=hops)) for i, (name, hops) in enumerate(CHAINS.items(), 1)},
    **{name: Step("framing", i, partial(change_pose, how=how)) for i, (name, how) in enumerate(FRAMINGS.items(), 1)},
    **{name: Step("retouching", i, partial(_retouch, name=name)) for i, name in enumerate(RETOUCHING, 1)},
    "screenshot": Step("retouching", len(RETOUCHING) + 1, screenshot),
}


def swept(picture: Image.Image, view: str, seed: int, sha256: str) -> Image.Image:
    """A picture after one step of the sweep.

    Args:
        picture: RGB.
        view: a name of `SWEEP`.
        seed: of what is random in the step.
        sha256: of the picture's file, so that its noise is its own, in any order and on any rank.
    """
    return SWEEP[view].change(picture, np.random.default_rng((seed, int(sha256[:16], 16))))
