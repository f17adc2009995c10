"""Delivery augmentation: what happens to a picture on its way, drawn from a generator of its own.

Every operation is applied to both classes alike. Randomness comes from (seed, epoch, index) alone, so that a sample is
the same whatever the number of workers or ranks, and after a resume.
"""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from .channels import LONGEST_SAVED, reencode, screenshot, send

RESAMPLING = (
    Image.Resampling.BILINEAR,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
    Image.Resampling.BOX,
    Image.Resampling.NEAREST,
)


@dataclass(frozen=True)
class Augmentation:
    """How strongly, and how often, a picture is changed. Probabilities are in [0, 1].

    Pose: StyleGAN faces sit at one alignment, which photographs seldom do. Delivery: ranges follow the field's
    robust recipes (rescale 0.4-1.3, thumbnails 180-320 px, one or two saves at quality 30-95, a quarter of them WebP,
    blur sigma 0-3 at 280 px), with thumbnails reaching down to 80 px, the size of an avatar. Tone: grey pictures are
    nearly always photographs, and Stable Diffusion is sharper than cameras are.

    What is 0 by default draws nothing from the generator, so that the draws of earlier runs stay as they were.
    """

    flip: float = 0.5
    rotate: float = 0.5
    rotation: float = 12.0  # degrees either way
    zoom: tuple[float, float] = (0.85, 1.35)
    shift: float = 0.1  # share of the side
    rescale: float = 0.35
    thumbnail: float = 0.3
    thumbnail_side: tuple[int, int] = (80, 320)
    save: float = 0.75
    second_save: float = 0.3
    webp: float = 0.25
    quality: tuple[int, int] = (30, 95)
    blur: float = 0.25
    blur_sigma: tuple[float, float] = (0.2, 3.0)
    sharpen: float = 0.2
    noise: float = 0.15
    noise_sigma: tuple[float, float] = (1.0, 10.0)  # grey levels
    tone: float = 0.6
    grey: float = 0.15
    avif: float = 0.0  # share of the saves
    half_chroma: float = 0.0  # share of the JPEG saves with 4:2:2
    screenshot: float = 0.0
    platform: float = 0.0  # one of fakeface.delivery.channels.PLATFORMS, after all else
    clean: float = 0.0  # share of `augment`'s pictures that change in pose alone, as most uploads come


def sample_rng(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The generator of one sample; equal arguments give equal draws on every machine."""
    return np.random.default_rng((seed, epoch, index))


def augment(picture: Image.Image, rng: np.random.Generator, how: Augmentation) -> Image.Image:
    """Change pose, tone and delivery of an RGB picture; the result is an RGB square of about the shorter side."""
    picture = change_pose(picture, rng, how)
    if _drawn(rng, how.clean):
        return picture
    picture = change_tone(picture, rng, how)
    return deliver(picture, rng, how)


def augment_pair(picture: Image.Image, rng: np.random.Generator, how: Augmentation) -> tuple[Image.Image, Image.Image]:
    """The same pose of an RGB picture twice: as it is, and changed in tone and delivery. `clean` has no part in it."""
    picture = change_pose(picture, rng, how)
    return picture, deliver(change_tone(picture, rng, how), rng, how)


def change_pose(picture: Image.Image, rng: np.random.Generator, how: Augmentation) -> Image.Image:
    """Mirror, turn, zoom and shift the centre square; what comes in from outside is mirrored picture, not black."""
    if rng.random() < how.flip:
        picture = ImageOps.mirror(picture)
    side = min(picture.size)
    scale = math.exp(rng.uniform(*np.log(how.zoom)))
    dx, dy = rng.uniform(-how.shift, how.shift, 2) * side
    pad = side // 2
    padded = Image.fromarray(np.pad(np.asarray(picture), ((pad, pad), (pad, pad), (0, 0)), mode="symmetric"))
    centre_x, centre_y = padded.width / 2 + dx, padded.height / 2 + dy
    half = side / 2
    if rng.random() >= how.rotate:
        reach = half / scale
        box = (centre_x - reach, centre_y - reach, centre_x + reach, centre_y + reach)
        return padded.resize((side, side), Image.Resampling.BICUBIC, box=box)
    # PIL maps output pixels to input pixels: rotate and scale about the centres of both.
    angle = math.radians(rng.uniform(-how.rotation, how.rotation))
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    matrix = (cos, sin, centre_x - half * (cos + sin), -sin, cos, centre_y + half * (sin - cos))
    return padded.transform((side, side), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)


def change_tone(picture: Image.Image, rng: np.random.Generator, how: Augmentation) -> Image.Image:
    """Light, contrast, colour and sharpness within what editing and cameras do."""
    if rng.random() < how.tone:
        for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            picture = enhance(picture).enhance(rng.uniform(0.7, 1.35))
    if rng.random() < how.grey:
        picture = picture.convert("L").convert("RGB")
    if rng.random() < how.sharpen:
        radius, percent = rng.uniform(0.5, 2.0), int(rng.integers(50, 201))
        picture = picture.filter(ImageFilter.UnsharpMask(radius, percent, threshold=0))
    return picture


def deliver(picture: Image.Image, rng: np.random.Generator, how: Augmentation) -> Image.Image:
    """Rescale, blur, add noise and re-encode, once or twice, as sites and messengers do."""
    if rng.random() < how.rescale:
        picture = _resize(picture, rng.uniform(0.4, 1.3), rng)
    if rng.random() < how.blur:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(*how.blur_sigma) * min(picture.size) / 280))
    if rng.random() < how.noise:
        sigma = rng.uniform(*how.noise_sigma)
        noisy = np.asarray(picture, np.float32) + rng.normal(0, sigma, (picture.height, picture.width, 3))
        picture = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
    if rng.random() < how.save:
        picture = _save(picture, rng, how)
    if rng.random() < how.thumbnail:
        target = math.exp(rng.uniform(*np.log(how.thumbnail_side)))
        picture = _resize(picture, min(1.0, target / min(picture.size)), rng)
    if rng.random() < how.second_save:
        picture = _save(picture, rng, how)
    if _drawn(rng, how.screenshot):
        picture = screenshot(picture, rng)
    if _drawn(rng, how.platform):
        picture = send(picture, rng)
    return picture


def _drawn(rng: np.random.Generator, probability: float) -> bool:
    """Whether an operation is drawn; an impossible one takes no draw."""
    return probability > 0 and rng.random() < probability


def _resize(picture: Image.Image, factor: float, rng: np.random.Generator) -> Image.Image:
    size = (max(16, round(picture.width * factor)), max(16, round(picture.height * factor)))
    return picture.resize(size, RESAMPLING[rng.integers(len(RESAMPLING))])


def _save(picture: Image.Image, rng: np.random.Generator, how: Augmentation) -> Image.Image:
    """Encode and decode once: WebP, AVIF, or JPEG with or without chroma subsampling."""
    if max(picture.size) > LONGEST_SAVED:
        return picture
    quality = int(rng.integers(how.quality[0], how.quality[1] + 1))
    if _drawn(rng, how.avif):
        return reencode(picture, "AVIF", quality)
    if rng.random() < how.webp:
        return reencode(picture, "WEBP", quality)
    subsampling = "4:2:2" if _drawn(rng, how.half_chroma) else ("4:2:0", "4:4:4")[rng.integers(2)]
    return reencode(picture, "JPEG", quality, subsampling)
