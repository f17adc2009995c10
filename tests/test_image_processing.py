"""The image processor: which square of a picture the model sees, and as which numbers."""

import io
import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import InterpolationMode
from transformers import AutoImageProcessor, ViTImageProcessor
from transformers.image_utils import ChannelDimension, SizeDict

from fakeface.image_processing_fakeface import FakeFaceImageProcessor
from fakeface.images.load import load_picture

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


@pytest.mark.parametrize("shape", [(10, 10, 2), (10, 3, 10), (5, 10, 10), (0, 10, 3)])
def test_shapes_that_are_no_picture_are_refused(shape):
    with pytest.raises(ValueError, match=r"give \(height, width, 3\), \(3, height, width\) or a PIL image") as refusal:
        pixels(np.zeros(shape, np.uint8))
    assert f"an image of shape {shape}" in str(refusal.value)


@pytest.mark.parametrize(
    "array",
    [np.full((9, 9, 3), 1.5), np.full((9, 9, 3), -0.1), np.zeros((9, 9, 3), np.int64), np.full((9, 9, 3), np.nan)],
)
def test_values_that_are_no_picture_are_refused(array):
    with pytest.raises(ValueError, match="image arrays must be uint8, uint16, or floats from 0 to 1"):
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


# ---- kinds of picture, as the Detector takes them


def arrays():
    grey, colour = noise()[:, :, 0], noise()
    alpha = np.dstack([colour, grey])
    yield from (grey, grey[:, :, None], colour, alpha)
    yield from (each.astype(np.uint16) * 257 for each in (grey, colour, alpha))
    yield from (each / 255 for each in (grey, colour, alpha))
    yield from (torch.from_numpy(np.ascontiguousarray(each.transpose(2, 0, 1))) for each in (colour, alpha))
    yield (torch.from_numpy(colour.transpose(2, 0, 1)) / 255).bfloat16()
    yield torch.from_numpy(grey)


@pytest.mark.parametrize("number", range(14))
def test_arrays_and_tensors_are_read_as_the_detector_reads_them(number):
    """RGBA, 16 bits and bfloat16 were refused, and grey without a third axis."""
    array = list(arrays())[number]
    np.testing.assert_array_equal(pixels(array), pixels(load_picture(array)))


def opened(format_="PNG", mode="RGB", **options):
    buffer = io.BytesIO()
    picture = Image.fromarray(noise())
    {"I;16": lambda: Image.fromarray(noise()[:, :, 0].astype(np.uint16) * 257)}.get(
        mode, lambda: picture.convert(mode)
    )().save(buffer, format_, **options)
    return buffer.getvalue()


def with_alpha():
    picture = Image.fromarray(noise()).convert("RGBA")
    picture.putalpha(Image.fromarray(noise()[:, :, 1]))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


# EXIF data of one entry: the orientation, 6
ROTATED = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"


def swapped_profile() -> bytes:
    """An ICC profile of RGB whose red is sRGB's blue, so that nobody can overlook it."""
    from PIL import ImageCms

    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile)


@pytest.mark.parametrize(
    "data",
    [
        opened(),
        opened(mode="I;16"),
        opened(mode="L"),
        opened(mode="P"),
        opened("JPEG", "CMYK"),
        with_alpha(),
        opened(icc_profile=swapped_profile()),
        opened("JPEG", icc_profile=swapped_profile(), exif=ROTATED),
        opened(icc_profile=b"no profile"),
    ],
)
def test_files_that_pillow_opened_are_read_as_the_detector_reads_them(data):
    """16 bits were clipped to white, and profiles ignored."""
    np.testing.assert_array_equal(pixels(Image.open(io.BytesIO(data))), pixels(load_picture(data)))


def test_a_profile_is_followed():
    data = opened(icc_profile=swapped_profile())
    assert np.abs(pixels(Image.open(io.BytesIO(data))) - pixels(Image.fromarray(noise()))).max() > 0.1


# ---- arguments that other processors take: here, in a call and in a file

# Of 8 x 8 pixels, so that what is compared is not how two libraries resize.
SMALL = Image.fromarray(noise(8, 8))
VIT = {"size": {"height": 8, "width": 8}, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
ONE_BY_ONE: list[dict[str, Any]] = [
    {},
    {"do_normalize": False},
    {"do_rescale": False},
    {"do_rescale": False, "do_normalize": False},
    {"rescale_factor": 1 / 127.5},
    {"image_mean": 0.5},
    {"image_mean": [0.1, 0.2, 0.3], "image_std": (0.5, 1.0, 2.0)},
    {"image_std": 2.0},
    {"data_format": "channels_last"},
    {"data_format": ChannelDimension.LAST},
    {"input_data_format": "channels_last"},
    {"do_resize": False},
    {"do_resize": False, "size": {"height": 4, "width": 4}},
    {"do_convert_rgb": True},
    {"disable_grouping": True},
    {"device": "cpu"},
    {"size": {"height": 16, "width": 16}, "resample": 2, "do_normalize": False},
    {"size": {"height": 4, "width": 4}, "resample": 3, "do_normalize": False},
    {"size": {"height": 4, "width": 4}, "resample": Image.Resampling.BILINEAR, "do_normalize": False},
    {"size": {"height": 16, "width": 16}, "resample": InterpolationMode.BICUBIC, "do_normalize": False},
]


@pytest.mark.parametrize("arguments", ONE_BY_ONE, ids=[",".join(each) or "none" for each in ONE_BY_ONE])
def test_arguments_do_what_they_do_in_transformers_own_processor(arguments):
    """They were ignored, all of them."""
    shown = np.array(SMALL) if "input_data_format" in arguments else SMALL
    # That has the channels first, whatever it is told, and bytes where nothing is computed.
    theirs = ViTImageProcessor(**VIT)(shown, return_tensors="pt", **arguments)["pixel_values"].float()
    theirs = theirs.permute(0, 2, 3, 1) if "data_format" in arguments else theirs
    ours = FakeFaceImageProcessor(size=8)(shown, return_tensors="pt", **arguments)["pixel_values"]
    # Pillow and torchvision resize to the nearest of 256 values, not always the same one.
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2 / 255 if "resample" in arguments else 1e-5)


SUBSETS = st.fixed_dictionaries(
    {},
    optional={
        "do_resize": st.booleans(),
        "do_rescale": st.booleans(),
        "do_normalize": st.booleans(),
        "rescale_factor": st.floats(1e-4, 1),
        "image_mean": st.floats(-1, 1) | st.lists(st.floats(-1, 1), min_size=3, max_size=3),
        "image_std": st.floats(0.1, 2) | st.lists(st.floats(0.1, 2), min_size=3, max_size=3),
        "data_format": st.sampled_from(["channels_first", "channels_last"]),
    },
)


@given(SUBSETS)
@settings(max_examples=60, deadline=None)
def test_any_subset_of_arguments(arguments):
    theirs = ViTImageProcessor(**VIT)(SMALL, return_tensors="np", **arguments)["pixel_values"]
    theirs = theirs.transpose(0, 2, 3, 1) if arguments.get("data_format") == "channels_last" else theirs
    ours = FakeFaceImageProcessor(size=8)(SMALL, return_tensors="np", **arguments)["pixel_values"]
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-3)
    # In a call, when it is made, and from a file, they are the same.
    kept = FakeFaceImageProcessor(size=8, **arguments)
    again = FakeFaceImageProcessor.from_dict(json.loads(kept.to_json_string()))
    for processor in (kept, again):
        np.testing.assert_array_equal(processor(SMALL, return_tensors="np")["pixel_values"], ours)  # pyright: ignore


@pytest.mark.parametrize(
    "size", [12, {"height": 12, "width": 12}, {"shortest_edge": 12}, [12, 12], SizeDict(height=12, width=12)]
)
def test_the_side_in_a_call(size):
    assert pixels(noise(), size=8).shape == (1, 3, 8, 8)
    found = FakeFaceImageProcessor(size=8)(noise(), size=size, return_tensors="np")["pixel_values"]
    np.testing.assert_array_equal(found, pixels(noise(), size=12))


def test_without_resizing_the_square_keeps_its_side():
    found = FakeFaceImageProcessor(size=8, do_resize=False, do_rescale=False, do_normalize=False)
    (values,) = found(noise(40, 50))["pixel_values"]
    np.testing.assert_array_equal(values, noise(40, 50)[:, 5:45].transpose(2, 0, 1))
    with pytest.raises(ValueError, match="the pictures have several sizes: leave do_resize on"):
        found([noise(40, 50), noise(9, 9)], return_tensors="pt")


def test_a_tensor_goes_where_it_is_asked_to():
    found = FakeFaceImageProcessor(size=8)(noise(), return_tensors="pt", device="meta")["pixel_values"]
    assert found.device.type == "meta"
    with pytest.raises(ValueError, match='device is given: it takes return_tensors="pt"'):
        FakeFaceImageProcessor(size=8)(noise(), device="cpu")


def test_the_order_of_channels_of_an_array_that_has_both():
    array = np.random.default_rng(0).integers(0, 256, (3, 9, 3), np.uint8)
    last, first = (pixels_in_order(array, order) for order in ("channels_last", "channels_first"))
    np.testing.assert_array_equal(last, pixels(Image.fromarray(array)))
    np.testing.assert_array_equal(first, pixels(Image.fromarray(array.transpose(1, 2, 0))))


def pixels_in_order(array, order):
    found = FakeFaceImageProcessor(size=8)(array, return_tensors="np", input_data_format=order)
    return found["pixel_values"]


WRONG = [
    ({"nonsense": 1}, "'nonsense' is not an argument of FakeFaceImageProcessor: it takes size, crop_fraction, "),
    ({"do_resize": "no"}, "do_resize is 'no': it takes True or False"),
    ({"size": {"height": 8, "width": 9}}, "the output is a square"),
    ({"size": 0}, "size is 0: the output is a square"),
    ({"size": {"longest_edge": 8}}, "the output is a square"),
    ({"image_mean": [0.5, 0.5]}, "it takes three numbers, or one for all"),
    ({"image_mean": float("nan")}, "image_mean is nan: it takes three numbers"),
    ({"image_std": [1, 0, 1]}, "it takes three numbers, other than 0, or one for all"),
    ({"resample": 9}, "resample is 9: it takes one of NEAREST"),
    ({"rescale_factor": "1/255"}, "rescale_factor is '1/255': it takes a number"),
    ({"data_format": "none"}, "data_format is 'none': it takes channels_first or channels_last"),
    ({"do_center_crop": False}, "the centre square is always cut"),
    ({"crop_size": 8}, "crop_fraction says how large the square is"),
    ({"do_pad": True}, "the centre square has one side"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_what_it_cannot_do_is_refused_in_a_call_when_made_and_when_loaded(arguments, message, tmp_path):
    processor = FakeFaceImageProcessor(size=8)
    processor.save_pretrained(tmp_path)
    for refuse in (
        lambda: processor(noise(), **arguments),
        lambda: FakeFaceImageProcessor(**arguments),
        lambda: FakeFaceImageProcessor.from_pretrained(tmp_path, **arguments),
        lambda: AutoImageProcessor.from_pretrained(tmp_path, **arguments),
    ):
        with pytest.raises(ValueError, match=r"(is|:) ") as refusal:
            refuse()
        assert message in str(refusal.value)


def test_arguments_at_loading_are_kept(tmp_path):
    FakeFaceImageProcessor(size=8).save_pretrained(tmp_path)
    content = json.loads((tmp_path / "preprocessor_config.json").read_text())
    assert content.keys() == {
        "auto_map", "image_processor_type", "size", "crop_fraction", "image_mean", "image_std"
    }  # fmt: skip
    loaded = AutoImageProcessor.from_pretrained(tmp_path, do_normalize=False, use_fast=True, trust_remote_code=False)
    np.testing.assert_array_equal(
        loaded(noise(), return_tensors="np")["pixel_values"], pixels(noise(), do_normalize=False)
    )
    loaded.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "preprocessor_config.json").read_text()) == {**content, "do_normalize": False}
