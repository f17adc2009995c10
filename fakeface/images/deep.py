"""Samples of more than 8 bits to 8: whole numbers by the bits they use, floating-point ones by their range.

Files of 16 bits often hold 10 or 12, as sensors have them, in the low ones. Taken at their word they are black.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from PIL import Image

MOST_STRETCHED = 4095  # whole numbers up to this are of 8, 10 or 12 bits; larger ones could be a dark picture
_DEPTHS = (8, 10, 12)
_DECODING = threading.Lock()  # the level of OpenCV's log, changed meanwhile, is that of the process
REMARK = "fakeface_remark"  # key in a picture's `info`: what was done to its samples, in words


def depth(highest: int, significant: int = 0) -> int:
    """How many bits hold a picture's samples: 16, or fewer where the upper ones are never set.

    Args:
        highest: of all samples.
        significant: what the file says (`sBIT`). It is a claim about 16 bits where samples were scaled up to those, as
            the PNG specification wants it, and about the low ones where they were not.
    """
    if 0 < significant < 16 and 0 < highest < 1 << significant:
        return significant
    return next((bits for bits in _DEPTHS if 0 < highest < 1 << bits), 16)


def eight_bits(values: np.ndarray, significant: int = 0) -> tuple[np.ndarray, str]:
    """Whole numbers from 0 to 65,535 as uint8 of the same shape, and a remark where they were stretched."""
    bits = depth(int(values.max(initial=0)), significant)
    if bits == 16:
        return (values >> 8).astype(np.uint8), ""
    most = (1 << bits) - 1
    table = np.rint(np.arange(most + 1) * (255 / most)).astype(np.uint8)
    return table[values], f"its 16-bit samples hold {bits} bits each and were stretched"


def eight_bits_of_floats(values: np.ndarray) -> tuple[np.ndarray, str]:
    """Floating-point numbers as uint8 of the same shape, and a remark where they were stretched. Overwrites `values`.

    From 0 to 1 they are scaled by 255, and up to 255 taken as they are. Any other range is a measurement rather than a
    photograph, and is stretched from its lowest to its highest value.
    """
    np.nan_to_num(values, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    remark = ""
    if not (low >= 0 and (high <= 1 or _MOST_LIGHT < high <= 255)):
        values -= values.dtype.type(low)
        remark = f"its samples run from {low:.4g} to {high:.4g} and were stretched"
        high -= low
    scale = 255 if not remark and high <= 1 else 1 if not remark else 255 / (high or 1)
    values *= values.dtype.type(scale)
    return np.rint(np.clip(values, 0, 255, out=values), out=values).astype(np.uint8), remark


_MOST_LIGHT = 16  # where white is 1, highlights reach a few times that; numbers beyond count to 255


def deep_colour(data: bytes, like: Image.Image) -> Image.Image | None:
    """A PNG or TIFF file in 16-bit colour as 8 bits, where these are stretched; None where nothing is gained.

    Args:
        data: the file. Pillow has decoded it without fault, but knows no colour of 16 bits and left the low ones out.
        like: what Pillow made of it.
    """
    values = _decoded(data)
    if values.dtype != np.uint16 or values.ndim != 3 or values.shape[1::-1] != like.size:
        return None
    pixels, remark = eight_bits(values[:, :, :3])
    if not remark:
        return None
    return _picture(pixels, eight_bits(values[:, :, 3])[0] if values.shape[2] == 4 else None, remark, like.info)


def float_tiff(data: bytes, size: tuple[int, int]) -> Image.Image:
    """A TIFF file in floating-point colour, of `size`, as 8 bits; Pillow does not read them.

    Raises:
        ValueError: it is broken.
    """
    values = _decoded(data)
    if values.dtype != np.float32 or values.ndim != 3 or values.shape[1::-1] != size:
        raise ValueError("its pixels are other than it says")
    pixels, remark = eight_bits_of_floats(values[:, :, :3])
    return _picture(pixels, eight_bits_of_floats(values[:, :, 3])[0] if values.shape[2] == 4 else None, remark, {})


def _picture(colour: np.ndarray, alpha: np.ndarray | None, remark: str, info: dict[Any, Any]) -> Image.Image:
    """Of colours in OpenCV's order, blue first, and what lies over them."""
    picture = Image.fromarray(np.ascontiguousarray(colour[:, :, ::-1]))
    if alpha is not None:
        picture.putalpha(Image.fromarray(alpha))
    picture.info = {**info, REMARK: remark}
    return picture


def _decoded(data: bytes) -> np.ndarray:
    """By OpenCV, with all bits; colours have blue first."""
    import cv2

    logging = cv2.utils.logging
    with _DECODING:
        level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)  # of what it finds odd it would tell everyone's stderr
        try:
            values: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error as error:
            raise ValueError(f"OpenCV: {error.code}") from None
        finally:
            logging.setLogLevel(level)
    if values is None:
        raise ValueError("its pixels cannot be read")
    return values


__all__ = ["MOST_STRETCHED", "REMARK", "deep_colour", "depth", "eight_bits", "eight_bits_of_floats", "float_tiff"]
