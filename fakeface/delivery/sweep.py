"""The delivery sweep: one change at a time, from weak to strong, so that a curve shows where a detector gives way.

Beside the curves stand kinds of framing, for a face that is always at one place may be all that a detector has learned
of a generator, and of retouching, which have no order: the hard photographs.

Every picture of either label gets exactly the same change. What is random in it, noise and framing, follows from the
seed and the picture's bytes alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from .augment import Augmentation, change_pose
from .channels import PLATFORMS, reencode, screenshot, send

SIDE = 280  # pixels; strengths in pixels are meant at this shorter side


def _pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB"))


def smooth_skin(picture: Image.Image) -> Image.Image:
    """Skin smoothing: a bilateral filter (Tomasi and Manduchi, 1998), which flattens pores and keeps outlines."""
    radius = max(3, round(9 * min(picture.size) / SIDE))
    return Image.fromarray(cv2.bilateralFilter(_pixels(picture), radius, sigmaColor=35, sigmaSpace=radius))


def beautify(picture: Image.Image) -> Image.Image:
    """A beauty filter: smooth skin, lighter, warmer and a little more saturated, with the detail of the eyes kept."""
    smooth = Image.blend(picture.convert("RGB"), smooth_skin(picture), 0.7)
    lighter = ImageEnhance.Color(ImageEnhance.Brightness(smooth).enhance(1.08)).enhance(1.12)
    warm = np.clip(_pixels(lighter) * np.array([1.03, 1.0, 0.97]), 0, 255)
    return Image.fromarray(np.round(warm).astype(np.uint8)).filter(ImageFilter.UnsharpMask(1, 60, 4))


def tone_map(picture: Image.Image) -> Image.Image:
    """The look of high dynamic range: local contrast of the lightness (CLAHE; Zuiderveld, 1994)."""
    lab = cv2.cvtColor(_pixels(picture), cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(clipLimit=3.0, tileGridSize=(4, 4)).apply(lab[..., 0])
    return Image.fromarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB))


def denoise(picture: Image.Image) -> Image.Image:
    """What night modes leave: non-local means (Buades, Coll and Morel, 2005), lightness and colour alike."""
    return Image.fromarray(cv2.fastNlMeansDenoisingColored(_pixels(picture), None, 6, 6, 5, 15))


def upscale(picture: Image.Image) -> Image.Image:
    """A picture of half the size, enlarged again with Lanczos and sharpened, as enhancers do."""
    half = picture.resize((max(1, picture.width // 2), max(1, picture.height // 2)), Image.Resampling.BOX)
    return half.resize(picture.size, Image.Resampling.LANCZOS).filter(ImageFilter.UnsharpMask(2, 120, 2))


def grey(picture: Image.Image) -> Image.Image:
    """Black and white (ITU-R 601 luma), as three equal channels."""
    return picture.convert("L").convert("RGB")


RETOUCHING = {
    "smooth skin": smooth_skin,
    "beautify": beautify,
    "tone mapping": tone_map,
    "denoise": denoise,
    "upscale": upscale,
    "grey": grey,
}


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
