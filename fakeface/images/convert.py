"""The inside of `fakeface.images`: any decoded picture or array to upright 8-bit sRGB."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageCms

from .decode import quiet
from .deep import REMARK, eight_bits, eight_bits_of_floats
from .disarm import MAX_PROFILE

if TYPE_CHECKING:
    import numpy as np

# EXIF orientation (CIPA DC-008, tag 274) to what turns the picture upright; 1 is upright already.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Orientation stands at the start of EXIF data; what is longer than a JPEG segment is a thumbnail, or an attack.
_MAX_EXIF = 65_536


def upright_rgb(picture: Image.Image, remarks: list[str] | None = None) -> Image.Image:
    """Turn a loaded picture of any mode into a new upright RGB picture that carries no metadata.

    Alpha is composited on white. An embedded ICC profile is followed if it fits the picture, and sRGB assumed
    otherwise. Modes of more than 8 bits become 8 as `fakeface.images.deep` says.

    Args:
        picture: a loaded one.
        remarks: gets what was done to its samples, where that is out of the ordinary.

    Raises:
        ValueError: Pillow cannot convert the mode.
    """
    if picture.mode == "I" or picture.mode.startswith(("I;16", "F")):
        picture = _eight_bits(picture)
    if remarks is not None and picture.info.get(REMARK):
        remarks.append(picture.info[REMARK])
    transform = _transform(picture.info.get("icc_profile"), "CMYK" if picture.mode == "CMYK" else "RGB")
    turn = _UPRIGHT.get(_orientation(picture.info.get("exif")))
    if picture.mode == "CMYK" and transform:
        rgb = ImageCms.applyTransform(picture, transform)
    else:
        rgb = _flat_rgb(picture)
        if transform and picture.mode != "CMYK":
            ImageCms.applyTransform(rgb, transform, inPlace=True)
    assert rgb is not None  # None only comes back from inPlace
    del picture  # a WebP decoder lives as long as its picture, and holds two more copies of it
    if turn is not None:
        rgb = rgb.transpose(turn)
    rgb.info = {}  # an orientation left in here would be applied again by the next reader
    return rgb


def array_picture(array: np.ndarray) -> Image.Image:
    """HxW, HxWx1, HxWx3 or HxWx4 of uint8, uint16 or floats from 0 to 1, as a PIL image (L, RGB or RGBA).

    Raises:
        ValueError: another shape, dtype or range.
    """
    import numpy as np

    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] in (3, 4)):
        raise ValueError(f"an array of shape {array.shape}; give HxW, HxWx1, HxWx3 or HxWx4")
    if array.dtype == np.uint16:
        array, _ = eight_bits(array)
    elif np.issubdtype(array.dtype, np.floating):
        if not (array.min() >= 0 and array.max() <= 1):  # written so that NaN fails too
            raise ValueError("an array of floats beyond 0 to 1; scale it, or give uint8")
        array = np.round(array.astype(np.float32) * 255).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise ValueError(f"an array of {array.dtype}; give uint8, uint16 or floats from 0 to 1")
    return Image.fromarray(np.ascontiguousarray(array))


def tensor_array(tensor: Any) -> np.ndarray:
    """A torch tensor of shape HxW or CxHxW as an array of shape HxW or HxWxC.

    Raises:
        ValueError: another shape. HxWxC is not guessed at: 3xHx3 would be either.
    """
    tensor = tensor.detach().cpu()
    if tensor.ndim == 3 and tensor.shape[0] in (1, 3, 4):
        tensor = tensor.permute(1, 2, 0)
    elif tensor.ndim != 2:
        raise ValueError(f"a tensor of shape {tuple(tensor.shape)}; give HxW or CxHxW with 1, 3 or 4 channels")
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()  # numpy has no bfloat16


def _flat_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        if picture.mode == "La":
            picture = picture.convert("LA")
        rgba = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        white = Image.new("RGB", picture.size, "white")
        white.paste(rgba, mask=rgba.getchannel("A"))
        return white
    return picture.convert("RGB")


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Grey of more than 8 bits as mode L; Pillow itself would clip it to white."""
    import numpy as np

    values = np.asarray(picture)
    if picture.mode != "F" and values.min() >= 0 and values.max() <= 65_535:
        pixels, remark = eight_bits(values, picture.info.get("significant_bits", 0))
    else:
        pixels, remark = eight_bits_of_floats(values.astype(np.float32))
    grey = Image.fromarray(pixels)
    grey.info = {**picture.info, REMARK: remark}
    return grey


def _orientation(exif: Any) -> int:
    """EXIF orientation, 1 to 8; 1 where there is none or it is nonsense."""
    if not isinstance(exif, bytes):
        return 1
    try:
        parsed = Image.Exif()
        with quiet():
            parsed.load(exif[:_MAX_EXIF])
        return int(parsed.get(274, 1))
    except Exception:  # broken metadata does not make a broken picture
        return 1


@lru_cache(maxsize=8)  # the pictures of one run share a few profiles
def _transform(profile: Any, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From `mode` in this ICC profile to sRGB; None if that changes nothing or the profile is broken or unfit.

    Most photographs embed some writing of sRGB: a profile that moves no corner of a 6x6x6 colour cube by more than
    2 of 255 is one, and its pictures are spared the conversion.
    """
    if not isinstance(profile, bytes) or len(profile) > MAX_PROFILE:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    if mode == "RGB":
        import numpy as np

        steps = range(0, 256, 51)
        cube = Image.new("RGB", (216, 1))
        cube.putdata([(r, g, b) for r in steps for g in steps for b in steps])
        moved = ImageCms.applyTransform(cube, transform)
        assert moved is not None
        if np.abs(np.asarray(cube, np.int16) - np.asarray(moved, np.int16)).max() <= 2:
            return None
    return transform
