"""The image processor: which square of a picture the model sees, and as which numbers."""

import numpy as np
import pytest
import torch
from PIL import Image

from fakeface.image_processing_fakeface import FakeFaceImageProcessor

# (value / 255 - mean) / std of ImageNet, by hand
BLACK = (-2.117904, -2.035714, -1.804444)
WHITE = (2.248908, 2.428571, 2.640000)
ORANGE = (1.563918, 0.205182, -1.281569)  # (215, 128, 30)


def pixels(images, **options):
    return FakeFaceImageProcessor(**{"size": 8, **options})(images, return_tensors="np")["pixel_values"]


def stripes(width=60, height=30):
    """Red, green and blue thirds along the longer side."""
    picture = Image.new("RGB", (width, height), "lime")
    if width >= height:
        picture.paste("red", (0, 0, width // 3, height))
        picture.paste("blue", (2 * width // 3, 0, width, height))
    else:
        picture.paste("red", (0, 0, width, height // 3))
        picture.paste("blue", (0, 2 * height // 3, width, height))
    return picture


def noise(height=40, width=50):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


# ---- numbers


@pytest.mark.parametrize(
    ("colour", "expected"), [((0, 0, 0), BLACK), ((255, 255, 255), WHITE), ((215, 128, 30), ORANGE)]
)
def test_a_plain_picture_has_exact_numbers(colour, expected):
    values = pixels(Image.new("RGB", (20, 12), colour))
    assert (values.shape, values.dtype) == ((1, 3, 8, 8), np.float32)
    for channel, value in enumerate(expected):
        np.testing.assert_allclose(values[0, channel], value, atol=1e-5)


def test_own_mean_and_std_are_used():
    values = pixels(Image.new("RGB", (9, 9), "white"), image_mean=(0.5, 0.0, 1.0), image_std=(0.5, 2.0, 4.0))
    assert values[0, :, 0, 0].tolist() == [1.0, 0.5, 0.0]


def test_a_picture_of_the_right_size_is_not_resampled():
    picture = noise(8, 8)
    values = pixels(picture, image_mean=(0, 0, 0), image_std=(1, 1, 1))
    np.testing.assert_array_equal(np.round(values[0] * 255), picture.transpose(2, 0, 1))


def test_shrinking_antialiases():
    # Every second column white: without a filter that widens, all or none of them would be met.
    columns = np.zeros((64, 64, 3), np.uint8)
    columns[:, ::2] = 255
    values = pixels(columns, image_mean=(0, 0, 0), image_std=(1, 1, 1))
    assert values.min() > 0.4
    assert values.max() < 0.6


# ---- the square


@pytest.mark.parametrize(
    ("size", "fraction", "box"),
    [
        ((60, 30), 1.0, (15, 0, 45, 30)),
        ((30, 60), 1.0, (0, 15, 30, 45)),
        ((60, 30), 0.5, (22.5, 7.5, 37.5, 22.5)),
        ((30, 60), 0.5, (7.5, 22.5, 22.5, 37.5)),
        ((280, 280), 0.875, (17.5, 17.5, 262.5, 262.5)),
        ((3, 2), 1.0, (0.5, 0, 2.5, 2)),
    ],
)
def test_crop_box(size, fraction, box):
    assert FakeFaceImageProcessor(crop_fraction=fraction).crop_box(*size) == box


@pytest.mark.parametrize("fraction", [1.0, 0.875, 0.3, 1e-3])
def test_the_square_lies_inside_whatever_the_rounding(fraction):
    processor = FakeFaceImageProcessor(size=8, crop_fraction=fraction)
    for width in range(8, 60):
        left, top, right, bottom = processor.crop_box(width, 41)
        assert left >= 0
        assert top >= 0
        assert right <= width
        assert bottom <= 41
        assert processor.to_array(Image.new("RGB", (width, 41))).shape == (3, 8, 8)


@pytest.mark.parametrize("size", [(90, 30), (30, 90)])
def test_only_the_centre_square_is_seen(size):
    values = pixels(stripes(*size), image_mean=(0, 0, 0), image_std=(1, 1, 1))
    for channel, expected in enumerate((0, 1, 0)):
        # Pillow's filter reaches over the edge of the square by a pixel or two, so the outermost pixels may be tinged.
        np.testing.assert_array_equal(values[0, channel, 1:-1, 1:-1], expected)
        np.testing.assert_allclose(values[0, channel], expected, atol=0.1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # PIL's Transpose that stores a picture for each orientation
    upright = stripes(30, 30)
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    stored.getexif()[274] = orientation
    np.testing.assert_array_equal(pixels(stored), pixels(upright))


# ---- kinds of picture


def test_alpha_lies_on_white():
    for picture in (Image.new("RGBA", (9, 9), (255, 0, 0, 0)), Image.new("LA", (9, 9), (0, 0))):
        np.testing.assert_array_equal(pixels(picture), pixels(Image.new("RGB", (9, 9), "white")))
    half = pixels(Image.new("RGBA", (9, 9), (255, 0, 0, 51)))
    np.testing.assert_array_equal(half, pixels(Image.new("RGB", (9, 9), (255, 204, 204))))


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK"])
def test_other_modes_become_rgb(mode):
    white = Image.new("RGB", (9, 9), "white").convert(mode)
    np.testing.assert_array_equal(pixels(white), pixels(Image.new("RGB", (9, 9), "white")))


def test_arrays_and_tensors_of_either_order_equal_the_picture():
    array = noise()
    expected = pixels(Image.fromarray(array))
    planes = np.ascontiguousarray(array.transpose(2, 0, 1))
    for kind in (array, planes, torch.from_numpy(array), torch.from_numpy(planes)):
        np.testing.assert_array_equal(pixels(kind), expected)
    for kind in (array / 255, planes / 255, np.float32(planes) / 255, torch.from_numpy(planes) / 255):
        np.testing.assert_array_equal(pixels(kind), expected)


def test_a_grey_plane_is_taken_in_either_order():
    grey = noise()[:, :, :1]
    expected = pixels(Image.fromarray(grey[:, :, 0]))
    np.testing.assert_array_equal(pixels(grey), expected)
    np.testing.assert_array_equal(pixels(grey.transpose(2, 0, 1)), expected)


def test_a_tensor_that_learns_is_taken():
    values = pixels(torch.rand(3, 10, 10, requires_grad=True))
    assert values.shape == (1, 3, 8, 8)


@pytest.mark.parametrize("shape", [(10, 10, 4), (4, 10, 10), (10, 10, 2), (10, 3, 10)])
def test_shapes_that_are_no_picture_are_refused(shape):
    with pytest.raises(ValueError, match=r"give \(height, width, 3\), \(3, height, width\) or a PIL image") as refusal:
        pixels(np.zeros(shape, np.uint8))
    assert f"an image of shape {shape}" in str(refusal.value)


@pytest.mark.parametrize("array", [np.full((9, 9, 3), 1.5), np.full((9, 9, 3), -0.1), np.zeros((9, 9, 3), np.int64)])
def test_values_that_are_no_picture_are_refused(array):
    with pytest.raises(ValueError, match="image arrays must be uint8, or floats from 0 to 1"):
        pixels(array)


@pytest.mark.parametrize("nothing", ["a.jpg", None, 3, [["a.jpg"]]])
def test_what_is_no_picture_at_all_is_refused(nothing):
    with pytest.raises(ValueError, match="Could not make a flat list of images"):
        pixels(nothing)


# ---- batches and settings


def test_a_list_becomes_a_batch_in_order():
    pictures = [Image.new("RGB", (20, 10), "black"), Image.new("RGB", (7, 90), "white")]
    values = FakeFaceImageProcessor(size=8)(pictures, return_tensors="pt")["pixel_values"]
    assert isinstance(values, torch.Tensor)
    assert (tuple(values.shape), values.dtype) == ((2, 3, 8, 8), torch.float32)
    np.testing.assert_array_equal(values[:1].numpy(), pixels(pictures[0]))
    np.testing.assert_array_equal(values[1:].numpy(), pixels(pictures[1]))


def test_a_four_dimensional_array_is_a_batch():
    batch = np.stack([noise(), noise()[::-1]])
    np.testing.assert_array_equal(pixels(batch), pixels([batch[0], batch[1]]))


def test_without_a_tensor_type_the_batch_is_a_list_of_arrays():
    values = FakeFaceImageProcessor(size=8)(Image.new("RGB", (9, 9)))["pixel_values"]
    assert [array.shape for array in values] == [(3, 8, 8)]


def test_size_is_also_taken_in_the_librarys_own_form():
    assert FakeFaceImageProcessor(size={"height": 32, "width": 32}).size == 32


@pytest.mark.parametrize("fraction", [0, -0.5, 1.01, float("nan")])
def test_a_crop_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(ValueError, match=r"crop_fraction is .*: it takes a number above 0, up to 1"):
        FakeFaceImageProcessor(crop_fraction=fraction)


def test_every_setting_comes_back_from_disk(tmp_path):
    processor = FakeFaceImageProcessor(size=24, crop_fraction=0.875, image_mean=(0.1, 0.2, 0.3), image_std=(1, 2, 3))
    processor.save_pretrained(tmp_path)
    loaded = FakeFaceImageProcessor.from_pretrained(tmp_path)
    assert (loaded.size, loaded.crop_fraction) == (24, 0.875)
    assert (loaded.image_mean, loaded.image_std) == ([0.1, 0.2, 0.3], [1, 2, 3])
    np.testing.assert_array_equal(loaded.to_array(stripes()), processor.to_array(stripes()))
