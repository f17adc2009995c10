"""What can be measured of a picture without knowing what is on it: light, colour, sharpness, spectrum.

Nothing here looks at content, so a classifier that can be predicted from these numbers has learned a shortcut.
"""

import io
import math
from functools import lru_cache

import numpy as np
from PIL import Image
from scipy.fft import fft2

from ..utils.spread import spread_evenly

MEASURED_SIDE = 128  # pixels; the side at which light, colour and sharpness are compared, whatever a picture's size
SPECTRUM_WINDOW = 32  # pixels; side of a window of the background's spectrum
SPECTRUM_BANDS = 12
MOST_WINDOWS = 64  # spread over the background; more change the spectrum little
# A window is background where the face square leaves it free. Without one the face is taken to fill the middle half,
# as it does in a square of twice the face box.
MIDDLE_HALF = (0.25, 0.25, 0.75, 0.75)


def centre_square(picture: Image.Image, fraction: float = 1.0, side: int | None = None) -> Image.Image:
    """The centre square of a picture, `fraction` of the shorter side, as the image processor cuts it.

    Args:
        picture: RGB.
        fraction: of the shorter side, in (0, 1].
        side: of the result in pixels; by default that of the square.
    """
    reach = min(picture.size) * fraction / 2
    x, y = picture.width / 2, picture.height / 2
    side = side or max(1, round(2 * reach))
    # Pillow's BICUBIC antialiases when it shrinks; it is the filter of the image processor.
    return picture.resize((side, side), Image.Resampling.BICUBIC, box=(x - reach, y - reach, x + reach, y + reach))


def light(picture: Image.Image) -> dict[str, float]:
    """Mean, spread and tails of the luma of an RGB picture at 128 px, in grey levels."""
    luma = _at_measured_side(picture).convert("L")
    values = np.asarray(luma, np.float32)
    low, high = np.percentile(values, [5, 95])
    return {"mean": float(values.mean()), "spread": float(values.std()), "dark": float(low), "bright": float(high)}


def colour(picture: Image.Image) -> dict[str, float]:
    """Mean and spread of both chroma channels (YCbCr), and mean saturation (0 to 1), of an RGB picture at 128 px."""
    small = _at_measured_side(picture)
    chroma = np.asarray(small.convert("YCbCr"), np.float32)[..., 1:] - 128
    rgb = np.asarray(small, np.float32)
    saturation = (rgb.max(-1) - rgb.min(-1)) / np.maximum(rgb.max(-1), 1)
    return {
        "blue": float(chroma[..., 0].mean()),
        "red": float(chroma[..., 1].mean()),
        "blue_spread": float(chroma[..., 0].std()),
        "red_spread": float(chroma[..., 1].std()),
        "saturation": float(saturation.mean()),
    }


def greyness(picture: Image.Image) -> dict[str, float]:
    """Mean distance between the RGB channels, in grey levels: about 0 for a grey picture, also after JPEG."""
    rgb = np.asarray(_at_measured_side(picture), np.float32)
    return {"channel_distance": float((rgb.max(-1) - rgb.min(-1)).mean())}


def sharpness(picture: Image.Image) -> dict[str, float]:
    """Logs of Laplacian and gradient energy at 128 px, and the share of the spectrum's energy above half of Nyquist.

    The Laplacian's spread is the measure of focus of Pech-Pacheco et al. (2000).
    """
    grey = np.asarray(_at_measured_side(picture).convert("L"), np.float32)
    inner = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    gradient = np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()
    profile = radial_profile(power(grey))
    return {
        "laplacian": math.log(float(laplacian.std()) + 0.1),
        "gradient": math.log(float(gradient) + 0.1),
        "high_frequencies": float(profile[len(profile) // 2 :].mean() - profile[1 : len(profile) // 2].mean()),
    }


def bytes_per_pixel(picture: Image.Image, quality: int = 88) -> float:
    """What one JPEG save (4:2:0) makes of a picture: how busy it is, whatever file it came in."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    return buffer.tell() / (picture.width * picture.height)


def background_spectrum(picture: Image.Image, face: tuple[float, float, float, float] | None = None) -> list[float]:
    """Log power of the parts of a picture outside the face, by spatial frequency, at the picture's own scale.

    Rescaling and codecs shape it, and so do a generator's upsampling layers; the face itself has no part in it.

    Args:
        picture: RGB.
        face: square around the face (left, top, right, bottom), in pixels; by default the middle half.

    Returns:
        `SPECTRUM_BANDS` values from low to high frequency, less their mean, so that contrast has no part; all NaN
        where no window of `SPECTRUM_WINDOW` pixels is free of the face.
    """
    grey = np.asarray(picture.convert("L"), np.float32)
    if face is None:
        sides = (picture.width, picture.height) * 2
        face = tuple(share * side for share, side in zip(MIDDLE_HALF, sides, strict=True))  # type: ignore[assignment]
    left, top, right, bottom = face  # type: ignore[misc]
    windows = [
        grey[y : y + SPECTRUM_WINDOW, x : x + SPECTRUM_WINDOW]
        for y in _starts(picture.height)
        for x in _starts(picture.width)
        if x + SPECTRUM_WINDOW <= left or x >= right or y + SPECTRUM_WINDOW <= top or y >= bottom
    ]
    if not windows:
        return [math.nan] * SPECTRUM_BANDS
    windows = [windows[i] for i in spread_evenly(len(windows), MOST_WINDOWS)]
    profile = radial_profile(power(np.stack(windows)).mean(axis=0), SPECTRUM_BANDS)
    return (profile - profile.mean()).tolist()


def power(grey: np.ndarray) -> np.ndarray:
    """Power spectra (…, side, side), zero frequency first, of grey squares under a Hann window."""
    window = np.hanning(grey.shape[-1]).astype(np.float32)
    return np.abs(np.asarray(fft2((grey - grey.mean((-2, -1), keepdims=True)) * np.outer(window, window)))) ** 2


def radial_profile(spectrum: np.ndarray, bands: int = 16) -> np.ndarray:
    """Log of mean power in `bands` rings of equal width from zero frequency to Nyquist."""
    rings, counts = _rings(spectrum.shape[-1], bands)
    sums = np.bincount(rings, spectrum.ravel(), bands + 1)
    return np.log(sums[:bands] / np.maximum(counts[:bands], 1) + 1.0)


@lru_cache(maxsize=8)
def _rings(side: int, bands: int) -> tuple[np.ndarray, np.ndarray]:
    """The ring of each frequency of a square spectrum, and their sizes; corners beyond Nyquist are ring `bands`."""
    along = np.abs(np.fft.fftfreq(side)) * 2
    rings = np.minimum((np.hypot(along[:, None], along) * bands).astype(int), bands).ravel()
    return rings, np.bincount(rings, minlength=bands + 1)


def _at_measured_side(picture: Image.Image) -> Image.Image:
    size = (MEASURED_SIDE, MEASURED_SIDE)
    return picture if picture.size == size else picture.resize(size, Image.Resampling.BICUBIC)


def _starts(length: int) -> range:
    return range(0, length - SPECTRUM_WINDOW + 1, SPECTRUM_WINDOW // 2)
