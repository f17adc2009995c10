"""The image processor of the fakeface models: centre square, resize, normalise."""

import io
import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps
from transformers import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor
from transformers.image_utils import make_flat_list_of_images

# ImageNet statistics, the ones ResNet-50's public weights were trained with.
IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)
# Arguments that stay with a processor beside its four own ones, and those of one call.
SETTINGS = ("do_resize", "resample", "do_rescale", "rescale_factor", "do_normalize", "do_convert_rgb", "data_format")
OF_A_CALL = ("return_tensors", "input_data_format", "device")
# What other processors have and this one cannot do, with the values that ask for nothing, and what to use in its place.
ELSEWHERE = {
    "do_center_crop": ((None, True), "the centre square is always cut; crop_fraction=1.0 cuts the largest"),
    "crop_size": ((None,), "crop_fraction says how large the square is"),
    "do_pad": ((None, False), "the centre square has one side"),
    "pad_size": ((None,), "the centre square has one side"),
    "default_to_square": ((None, True), "the output is a square"),
    "image_seq_length": ((None,), "there is no text"),
    "disable_grouping": ((None, True, False), ""),  # how others compute, with the same result
}
# What transformers writes into files and passes through; names with an underscore are its too.
SERVICE = ("auto_map", "image_processor_type", "processor_class", "feature_extractor_type", "trust_remote_code",
           "use_fast", "backend", "code_revision")  # fmt: skip
ORDERS = ("channels_first", "channels_last")
LARGEST_PROFILE = 4 * 2**20  # bytes; the largest press profiles have 3 MB


class FakeFaceImageProcessor(BaseImageProcessor):
    r"""
    Turns pictures into the tensor a fakeface model takes.

    A picture is set upright and to sRGB, its centre square is cut (`crop_fraction` of the shorter side), resized with
    an antialiasing filter and normalised. Nothing is stretched. The same code runs in training, evaluation and use.

    It takes the arguments of transformers' own processors, here and in a call, and refuses those that it does not
    know. It is not built on their backends: these resize whole pixels of a tensor, where this cuts between pixels with
    Pillow's filter, as the weights were trained.

    Args:
        size (`int`, defaults to 160): side of the output in pixels; equals the model's `image_size`. Also taken as
            `{"height": 160, "width": 160}` or `{"shortest_edge": 160}`.
        crop_fraction (`float`, defaults to 1.0): side of the centre square as a share of the shorter side, in (0, 1].
        image_mean, image_std (`tuple[float, float, float]` or `float`): subtracted from, and dividing, RGB values in
            [0, 1].
        do_resize (`bool`, defaults to `True`): without, the square keeps its side, rounded to whole pixels.
        resample (`int`, defaults to bicubic): filter of Pillow, or `InterpolationMode` of torchvision.
        do_rescale (`bool`, defaults to `True`), rescale_factor (`float`, defaults to 1/255): by which 8-bit values are
            multiplied.
        do_normalize (`bool`, defaults to `True`): whether `image_mean` and `image_std` are used.
        do_convert_rgb (`bool`, defaults to `True`): without, pictures other than RGB are refused.
        data_format (`str`, defaults to `"channels_first"`): or `"channels_last"`.

    Raises:
        ValueError: an argument is unknown, or has a value that it does not take.
    """

    model_input_names = ["pixel_values"]

    size: int
    crop_fraction: float
    image_mean: Any
    image_std: Any
    do_resize = True
    resample = int(Image.Resampling.BICUBIC)
    do_rescale = True
    rescale_factor = 1 / 255
    do_normalize = True
    do_convert_rgb = True
    data_format = "channels_first"

    def __init__(
        self,
        size: Any = 160,
        crop_fraction: float = 1.0,
        image_mean: Any = IMAGE_MEAN,
        image_std: Any = IMAGE_STD,
        **kwargs: Any,
    ):
        super().__init__(**{key: kwargs.pop(key) for key in list(kwargs) if key in SERVICE or key.startswith("_")})
        own = {"size": size, "crop_fraction": crop_fraction, "image_mean": image_mean, "image_std": image_std}
        for name, value in checked({**own, **kwargs}, (*own, *SETTINGS)).items():
            # What is as in every processor is not written into the file.
            if value is not None and (name in own or value != getattr(type(self), name)):
                setattr(self, name, value)

    @classmethod
    def from_dict(cls, image_processor_dict: dict[str, Any], **kwargs: Any):
        """As transformers', but what is unknown is refused rather than passed over."""
        unused = kwargs.pop("return_unused_kwargs", False)
        for name in ("dtype", "torch_dtype"):  # of the model: a pipeline hands it to all its parts
            kwargs.pop(name, None)
        processor = cls(**{**image_processor_dict, **kwargs})
        return (processor, {}) if unused else processor

    def crop_box(self, width: int, height: int, fraction: float | None = None) -> tuple[float, float, float, float]:
        """The square that the model sees of a picture, as (left, top, right, bottom) in pixels."""
        side = min(width, height) * (self.crop_fraction if fraction is None else fraction)
        left, top = (width - side) / 2, (height - side) / 2
        return left, top, left + side, top + side

    def to_array(self, picture: Image.Image, **changes: Any) -> np.ndarray:
        """One picture to a float32 array (3, size, size), normalised.

        Args:
            picture: of any mode.
            changes: to the processor's settings, checked.
        """
        use = {name: getattr(self, name) for name in ("size", "crop_fraction", "image_mean", "image_std", *SETTINGS)}
        use.update(changes)
        if not use["do_convert_rgb"] and picture.mode != "RGB":
            raise ValueError(f"a picture of mode {picture.mode} with do_convert_rgb=False: the model takes RGB")
        picture = upright_rgb(picture)
        box = self.crop_box(*picture.size, use["crop_fraction"])
        if use["do_resize"]:
            # `box` lets Pillow cut at sub-pixel positions; BICUBIC antialiases when it shrinks.
            square = picture.resize((use["size"], use["size"]), Image.Resampling(use["resample"]), box=box)
        else:
            left, top, side = round(box[0]), round(box[1]), max(1, round(box[2] - box[0]))
            square = picture.crop((left, top, left + side, top + side))
        pixels = np.asarray(square, dtype=np.float32)
        if use["do_rescale"]:
            # Dividing is exact to the last bit where 8-bit values meet the model's weights; others have their factor.
            usual = use["rescale_factor"] == type(self).rescale_factor
            pixels = pixels / 255 if usual else pixels * np.float32(use["rescale_factor"])
        if use["do_normalize"]:
            pixels = (pixels - np.asarray(use["image_mean"], np.float32)) / np.asarray(use["image_std"], np.float32)
        return np.ascontiguousarray(pixels if use["data_format"] == ORDERS[1] else pixels.transpose(2, 0, 1))

    def preprocess(self, images: Any, return_tensors: Any = None, **kwargs: Any) -> BatchFeature:  # pyright: ignore
        """Pictures to `pixel_values`.

        Args:
            images: one picture or a list: PIL, or arrays or tensors (height, width), (height, width, channels) or
                (channels, height, width) of 1, 3 or 4 channels: uint8, uint16, or floats in [0, 1].
            return_tensors: `"pt"`, `"np"` or `None` for a list of arrays.
            kwargs: changes to the arguments of the class for this call; `input_data_format`, the order of channels in
                arrays that could be read either way; `device`, where tensors go.

        Returns:
            `BatchFeature` with `pixel_values` (batch, 3, size, size), float32.

        Raises:
            ValueError: an argument is unknown or has a value that it does not take, or an image is not a picture.
        """
        names = ("size", "crop_fraction", "image_mean", "image_std", *SETTINGS, *OF_A_CALL)
        given = checked({"return_tensors": return_tensors, **kwargs}, names)
        given = {name: value for name, value in given.items() if value is not None}
        tensors, order, device = (given.pop(name, None) for name in OF_A_CALL)
        if device is not None and tensors != "pt":
            raise ValueError('device is given: it takes return_tensors="pt" beside it')
        arrays = [self.to_array(to_pil(image, order), **given) for image in flat_list(images)]
        if tensors is not None and len({array.shape for array in arrays}) > 1:
            raise ValueError("the pictures have several sizes: leave do_resize on, or return_tensors away")
        found = BatchFeature({"pixel_values": arrays}, tensor_type=tensors)
        return found if device is None else found.to(device)


def checked(given: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Arguments in the form that the processor keeps; raises ValueError for unknown ones and wrong values."""
    found = {}
    for name, value in given.items():
        if name in ELSEWHERE:
            allowed, cure = ELSEWHERE[name]
            if not any(value is one for one in allowed):
                raise ValueError(f"{name} is {value!r}: {cure}")
        elif name not in names:
            raise ValueError(f"{name!r} is not an argument of FakeFaceImageProcessor: it takes {', '.join(names)}")
        else:
            found[name] = None if value is None else _value(name, value)
    return found


def _value(name: str, value: Any) -> Any:
    """One argument in the form that the processor keeps."""
    if name == "size":
        return _side(value)
    if name == "crop_fraction":
        if not _is_number(value) or not 0 < value <= 1:
            raise ValueError(f"crop_fraction is {value}: it takes a number above 0, up to 1")
        return float(value)
    if name in ("image_mean", "image_std"):
        value = value.tolist() if hasattr(value, "tolist") else value  # an array
        numbers = [value] * 3 if _is_number(value) else list(value) if isinstance(value, list | tuple) else []
        if len(numbers) != 3 or not all(map(_is_number, numbers)) or (name == "image_std" and 0 in numbers):
            apart = ", other than 0" if name == "image_std" else ""
            raise ValueError(f"{name} is {value}: it takes three numbers{apart}, or one for all")
        return numbers
    if name.startswith("do_"):
        if not isinstance(value, bool):
            raise ValueError(f"{name} is {value!r}: it takes True or False")
        return value
    if name == "resample":
        number: Any = getattr(value, "value", value)
        if isinstance(number, str):  # torchvision's enum has words
            number = getattr(Image.Resampling, number.upper().removesuffix("-EXACT"), None)
        if isinstance(number, bool) or number not in list(Image.Resampling):
            raise ValueError(f"resample is {value!r}: it takes one of {', '.join(r.name for r in Image.Resampling)}")
        return int(number)
    if name == "rescale_factor":
        if not _is_number(value):
            raise ValueError(f"rescale_factor is {value!r}: it takes a number")
        return float(value)
    if name in ("data_format", "input_data_format"):
        order = getattr(value, "value", value)  # of transformers' enum
        if order not in ORDERS:
            raise ValueError(f"{name} is {value!r}: it takes {' or '.join(ORDERS)}")
        return order
    if name == "return_tensors":
        kind = getattr(value, "value", value)
        if kind not in ("pt", "np"):
            raise ValueError(f"return_tensors is {value!r}: it takes pt or np")
        return kind
    return torch.device(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(value)


def _side(size: Any) -> int:
    """The side of the output from the forms that transformers has for it."""
    sides: Any = size
    if hasattr(size, "items") or hasattr(size, "height"):  # a dict, or the SizeDict of transformers
        content = {key: value for key, value in dict(size).items() if value is not None}
        square = content.keys() == {"height", "width"} and content["height"] == content["width"]
        one = content.keys() == {"shortest_edge"}
        sides = next(iter(content.values())) if square or one else None
    elif isinstance(size, list | tuple):
        sides = size[0] if len(size) in (1, 2) and len(set(size)) == 1 else None
    if not _is_number(sides) or sides != int(sides) or sides < 1:
        raise ValueError(f"size is {size}: the output is a square, so it takes the pixels of one side")
    return int(sides)


def flat_list(images: Any) -> list[Any]:
    """Single pictures, lists of them and arrays with a batch in front as a list of pictures."""
    several = list(images) if isinstance(images, list | tuple) else [images]
    # The library takes no picture without channels.
    several = [one[..., None] if getattr(one, "ndim", 0) == 2 else one for one in several]
    return make_flat_list_of_images(several if isinstance(images, list | tuple) else several[0])  # type: ignore[return-value]


def to_pil(image: Any, order: str | None = None) -> Image.Image:
    """A PIL picture from a PIL picture, array or tensor; raises ValueError for what cannot be one.

    Args:
        image: as for `FakeFaceImageProcessor.preprocess`.
        order: of the channels of an array; by default as its shape tells.
    """
    if isinstance(image, Image.Image):
        return image
    if isinstance(image, torch.Tensor):
        image = image.detach().cpu()
        image = image.float() if image.is_floating_point() else image  # numpy has no bfloat16
    array = np.asarray(image)
    channels = (1, 3, 4)
    first = order == ORDERS[0] or (order is None and array.shape[0] in channels and array.shape[-1] not in channels)
    if array.ndim == 3 and first:
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in channels) or not array.size:
        raise ValueError(
            f"an image of shape {array.shape}: give (height, width, 3), (3, height, width) or a PIL image; channels "
            "may be 1, 3 or 4"
        )
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    elif np.issubdtype(array.dtype, np.floating):
        if not (array.min() >= 0 and array.max() <= 1):  # written so that NaN fails too
            raise ValueError("image arrays must be uint8, uint16, or floats from 0 to 1")
        array = np.round(array.astype(np.float32) * 255).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise ValueError(f"image arrays must be uint8, uint16, or floats from 0 to 1, not {array.dtype}")
    return Image.fromarray(np.ascontiguousarray(array))


def upright_rgb(picture: Image.Image) -> Image.Image:
    """Apply the EXIF orientation and the ICC profile, put transparency on white, and convert to RGB.

    16-bit grey is brought to 8 bits, as `fakeface.images` does.
    """
    profile = picture.info.get("icc_profile")
    picture = ImageOps.exif_transpose(picture)
    transform = to_srgb(profile, "CMYK" if picture.mode == "CMYK" else "RGB")
    if picture.mode == "CMYK" and transform:
        return ImageCms.applyTransform(picture, transform)  # type: ignore[return-value]
    if picture.mode == "RGB":
        flat = picture
    elif picture.mode == "I" or picture.mode.startswith(("I;16", "F")):
        flat = _eight_bits(picture).convert("RGB")
    elif picture.has_transparency_data:
        rgba = (picture.convert("LA") if picture.mode == "La" else picture).convert("RGBA")
        flat = Image.new("RGB", picture.size, "white")
        flat.paste(rgba, mask=rgba.getchannel("A"))
    else:
        flat = picture.convert("RGB")
    if transform is None or picture.mode == "CMYK":
        return flat
    return ImageCms.applyTransform(flat, transform)  # type: ignore[return-value]


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Grey of more than 8 bits as mode L; Pillow itself would clip it to white.

    I;16, and I from 0 to 65,535, keep their high byte; F from 0 to 1 is multiplied by 255. Any other range is stretched
    from its lowest to its highest value.
    """
    values = np.asarray(picture)
    if picture.mode == "F":
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = values.min(), values.max()
    if picture.mode != "F" and low >= 0 and high <= 65_535:
        return Image.fromarray((values >> 8).astype(np.uint8))
    if not (picture.mode == "F" and low >= 0 and high <= 1):
        values = (values.astype(np.float32) - np.float32(low)) / np.float32(float(high) - float(low) or 1.0)
    return Image.fromarray(np.round(np.clip(values, 0, 1) * 255).astype(np.uint8))


@lru_cache(maxsize=8)
def to_srgb(profile: Any, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From `mode` in an ICC profile to sRGB; None if the profile is broken, unfit, or some writing of sRGB itself."""
    if not isinstance(profile, bytes) or len(profile) > LARGEST_PROFILE:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    if mode == "RGB":  # one that moves no colour by more than 2 of 255 changes nothing
        steps = range(0, 256, 51)
        cube = Image.new("RGB", (216, 1))
        cube.putdata([(r, g, b) for r in steps for g in steps for b in steps])
        moved: Any = ImageCms.applyTransform(cube, transform)
        if np.abs(np.asarray(cube, np.int16) - np.asarray(moved, np.int16)).max() <= 2:
            return None
    return transform


FakeFaceImageProcessor.register_for_auto_class("AutoImageProcessor")

__all__ = ["FakeFaceImageProcessor"]
