"""What people and their phones do to photographs of faces before they post them: hard slices of the sweep.

The filters that phones and apps really run are not published; these are the common ones in kind, at strengths that a
viewer notices. A detector that takes them for signs of a generator calls real people's pictures generated.
"""

import cv2
import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

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
