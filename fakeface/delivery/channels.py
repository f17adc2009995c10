"""What carries a picture from one person to the next: encoders, platforms and screenshots.

The platforms are approximations of what messengers and social sites were seen to do (Giudice et al., A classification
engine for image ballistics of social data, ICIAP 2017, and later reports): a longest side, a quality and a chroma
subsampling each. Services change them without notice, so that the ranges are wider than any one service's.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from ..images.load import load_picture

LONGEST_SAVED = 16_383  # pixels; the longest side that WebP can hold


@dataclass(frozen=True)
class Platform:
    """A site or messenger: it limits the longest side (pixels) and saves once at a quality within the range."""

    longest: int
    quality: tuple[int, int]
    codec: str = "JPEG"
    subsampling: str = "4:2:0"


PLATFORMS = {
    "messenger": Platform(1600, (65, 80)),
    "messenger-chat": Platform(1280, (80, 88)),
    "social-feed": Platform(1080, (68, 82)),
    "social-album": Platform(2048, (71, 85)),
    "microblog": Platform(1200, (82, 86)),
    "preview": Platform(960, (55, 75), "WEBP"),
    "picture-board": Platform(736, (72, 85), "JPEG", "4:4:4"),
}
# A face crop is a part of the picture that was sent: its side as a share of the picture's longest side.
CROP_SHARE = (0.15, 1.0)

# Backgrounds of light and dark interfaces, and how far a bar or border may reach, as a share of the shorter side.
INTERFACE_SHADES = ((255, 255, 255), (242, 242, 247), (24, 24, 26), (0, 0, 0))
LARGEST_BAR = 0.14


def encode(picture: Image.Image, codec: str, quality: int, subsampling: str = "4:2:0") -> bytes:
    """One save of an RGB picture, without metadata.

    Args:
        picture: RGB.
        codec: `JPEG`, `WEBP` or `AVIF`; the file is the same for any number of threads.
        quality: 0 to 100, on the codec's own scale.
        subsampling: of JPEG and AVIF: `4:4:4`, `4:2:2` or `4:2:0`. WebP always has 4:2:0.
    """
    buffer = io.BytesIO()
    if codec == "WEBP":
        # method 1 is several times faster than the default 4 and leaves the same kind of traces.
        picture.save(buffer, "WEBP", quality=quality, method=1)
    elif codec == "AVIF":
        picture.save(buffer, "AVIF", quality=quality, subsampling=subsampling, speed=8, max_threads=1)
    else:
        picture.save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue()


def reencode(picture: Image.Image, codec: str, quality: int, subsampling: str = "4:2:0") -> Image.Image:
    """Encode and decode once; a picture longer than a codec can hold comes back as it is."""
    if max(picture.size) > LONGEST_SAVED:
        return picture
    return load_picture(encode(picture, codec, quality, subsampling))


def send(picture: Image.Image, rng: np.random.Generator, platform: Platform | None = None) -> Image.Image:
    """Pass a face crop through a platform, drawn from `PLATFORMS` if none is given.

    The picture it was cut from may be larger than the platform allows, so that the crop shrinks with it.
    """
    if platform is None:
        platform = list(PLATFORMS.values())[rng.integers(len(PLATFORMS))]
    whole = max(picture.size) / rng.uniform(*CROP_SHARE)
    factor = min(1.0, platform.longest / whole)
    if factor < 1:
        size = (max(16, round(picture.width * factor)), max(16, round(picture.height * factor)))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    quality = int(rng.integers(platform.quality[0], platform.quality[1] + 1))
    return reencode(picture, platform.codec, quality, platform.subsampling)


def screenshot(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Show a picture on a screen and take that: scaled to the screen's pixels, with bars and borders around it.

    The proportions stay: what the bars add above and below, borders add at the sides.
    """
    scale = rng.uniform(0.6, 1.5)
    size = (max(16, round(picture.width * scale)), max(16, round(picture.height * scale)))
    shown = picture.resize(size, Image.Resampling.BILINEAR)  # what graphics processors do
    shade = INTERFACE_SHADES[rng.integers(len(INTERFACE_SHADES))]
    above, below = (round(share * min(size)) for share in rng.uniform(0, LARGEST_BAR, 2))
    sides = round((above + below) * size[0] / size[1])
    left = int(rng.integers(0, sides + 1))
    screen = Image.new("RGB", (size[0] + sides, size[1] + above + below), shade)
    screen.paste(shown, (left, above))
    draw = ImageDraw.Draw(screen)
    ink = tuple(255 - value for value in shade)
    for top, height in ((0, above), (screen.height - below, below)):
        _draw_words(draw, rng, (top, height), screen.width, ink)
    return screen


def _draw_words(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, bar: tuple[int, int], width: int, ink: tuple[int, ...]
) -> None:
    """Blocks in a bar (top, height), like a status line's words and signs at reading distance."""
    top, height = bar
    if height < 6:
        return
    x = int(rng.integers(2, 12))
    while x < width - 4:
        length = int(rng.integers(3, max(4, width // 8)))
        if rng.random() < 0.6:
            draw.rectangle((x, top + height // 3, min(x + length, width - 3), top + 2 * height // 3), fill=ink)
        x += length + int(rng.integers(3, 14))
