"""The image processor of the fakeface models: centre square, resize, normalise."""

import numpy as np
import torch
from PIL import Image, ImageOps
from transformers import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor
from transformers.image_utils import make_flat_list_of_images

# ImageNet statistics, the ones ResNet-50's public weights were trained with.
IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)


class FakeFaceImageProcessor(BaseImageProcessor):
    r"""
    Turns pictures into the tensor a fakeface model takes.

    A picture is set upright and to RGB, its centre square is cut (`crop_fraction` of the shorter side), resized with
    an antialiasing filter and normalised. Nothing is stretched. The same code runs in training, evaluation and use.

    Args:
        size (`int`, defaults to 160): side of the output in pixels; equals the model's `image_size`.
        crop_fraction (`float`, defaults to 1.0): side of the centre square as a share of the shorter side, in (0, 1].
        image_mean, image_std (`tuple[float, float, float]`): subtracted from, and dividing, RGB values in [0, 1].
    """

    model_input_names = ["pixel_values"]

    def __init__(
        self,
        size: int | dict[str, int] = 160,
        crop_fraction: float = 1.0,
        image_mean=IMAGE_MEAN,
        image_std=IMAGE_STD,
        **kwargs,
    ):
        super().__init__(**kwargs)
        # Other processors of the library write {"height": …, "width": …}; take that form too.
        self.size = int(size["height"] if isinstance(size, dict) else size)
        if not 0 < crop_fraction <= 1:
            raise ValueError(f"crop_fraction is {crop_fraction}: it takes a number above 0, up to 1")
        self.crop_fraction = float(crop_fraction)
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)

    def crop_box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """The square that the model sees of a picture, as (left, top, right, bottom) in pixels."""
        side = min(width, height) * self.crop_fraction
        left, top = (width - side) / 2, (height - side) / 2
        return left, top, left + side, top + side

    def to_array(self, picture: Image.Image) -> np.ndarray:
        """One picture to a float32 array (3, size, size), normalised."""
        picture = upright_rgb(picture)
        box = self.crop_box(*picture.size)
        # `box` lets Pillow cut at sub-pixel positions; BICUBIC antialiases when it shrinks.
        square = picture.resize((self.size, self.size), Image.Resampling.BICUBIC, box=box)
        pixels = np.asarray(square, dtype=np.float32) / 255
        pixels = (pixels - np.asarray(self.image_mean, np.float32)) / np.asarray(self.image_std, np.float32)
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))

    def preprocess(self, images, return_tensors=None, **kwargs) -> BatchFeature:
        """Pictures to `pixel_values`.

        Args:
            images: one picture or a list: PIL, or arrays or tensors (height, width, 3) or (3, height, width), uint8
                or floats in [0, 1].
            return_tensors: `"pt"`, `"np"` or `None` for a list of arrays.

        Returns:
            `BatchFeature` with `pixel_values` (batch, 3, size, size), float32.
        """
        arrays = [self.to_array(to_pil(image)) for image in make_flat_list_of_images(images)]  # type: ignore[union-attr]
        return BatchFeature({"pixel_values": arrays}, tensor_type=return_tensors)


def to_pil(image) -> Image.Image:
    """A PIL picture from a PIL picture, array or tensor; raises ValueError for what cannot be one."""
    if isinstance(image, Image.Image):
        return image
    array = image.detach().cpu().numpy() if isinstance(image, torch.Tensor) else np.asarray(image)
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[2] not in (1, 3):
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        raise ValueError(f"an image of shape {array.shape}: give (height, width, 3), (3, height, width) or a PIL image")
    if array.dtype != np.uint8:
        if not np.issubdtype(array.dtype, np.floating) or array.min() < 0 or array.max() > 1:
            raise ValueError("image arrays must be uint8, or floats from 0 to 1")
        array = np.round(array * 255).astype(np.uint8)
    return Image.fromarray(array)


def upright_rgb(picture: Image.Image) -> Image.Image:
    """Apply the EXIF orientation, put transparency on white, and convert to RGB."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode == "RGB":
        return picture
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return picture.convert("RGB")


FakeFaceImageProcessor.register_for_auto_class("AutoImageProcessor")

__all__ = ["FakeFaceImageProcessor"]
