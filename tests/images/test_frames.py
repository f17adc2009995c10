"""Animations: which frames are judged, and what is said of them."""

import io

import numpy as np
import pytest
from hostile import encode
from PIL import Image

from fakeface.images.animation import MOST_JUDGED, Animation, read_animation
from fakeface.images.load import Limits, PictureError, load_picture, open_picture

COLOURS = {"red": (255, 0, 0), "blue": (0, 0, 255), "white": (255, 255, 255), "lime": (0, 255, 0)}
FORMATS = ["GIF", "WEBP", "PNG", "AVIF"]


def animation(format_: str, *frames: tuple[str, int], **options: object) -> bytes:
    """Of frames of one colour, each shown for so many milliseconds."""
    pictures = [Image.new("RGB", (32, 32), colour) for colour, _ in frames]
    more = {"save_all": True, "append_images": pictures[1:], "duration": [time for _, time in frames], **options}
    return encode(format_, pictures[0], **more)


def colours(data: bytes, **options: object) -> list[str]:
    """Of the frames that are judged, in that order."""
    seen = [np.array(frame.getpixel((9, 9))) for frame in open_picture(data, **options).frames]  # pyright: ignore
    return [min(COLOURS, key=lambda name: abs(pixel - COLOURS[name]).sum()) for pixel in seen]


@pytest.mark.parametrize("format_", FORMATS)
def test_the_frame_shown_longest_comes_first(format_):
    data = animation(format_, ("red", 20), ("blue", 900), ("lime", 60))
    assert colours(data) == ["blue", "lime", "red"]
    assert load_picture(data).getpixel((9, 9)) == pytest.approx(COLOURS["blue"], abs=6)
    assert open_picture(data).remarks == (
        "an animation of 3 frames: the one shown longest and 2 others were judged, and the most generated one decides",
    )


@pytest.mark.parametrize("format_", FORMATS)
def test_one_frame_of_a_moment_does_not_hide_nine_others(format_):
    others = [("blue" if number % 2 else "lime", 50) for number in range(9)]
    found = colours(animation(format_, ("red", 10), *others))
    assert len(found) == MOST_JUDGED
    assert {"blue", "lime"} & set(found)


@pytest.mark.parametrize("format_", FORMATS)
def test_of_equally_long_frames_the_first_comes_first(format_):
    assert colours(animation(format_, ("red", 100), ("blue", 100)))[0] == "red"


def test_a_picture_that_browsers_do_not_show_is_not_judged():
    data = animation("PNG", ("red", 0), ("blue", 0), ("lime", 0), default_image=True, duration=[100, 200])
    assert colours(data) == ["lime", "blue"]
    one = animation("PNG", ("red", 0), ("blue", 100), default_image=True)
    assert (colours(one), open_picture(one).remarks) == (["blue"], ())


def test_still_pictures_have_one_frame_and_no_remark():
    for format_ in [*FORMATS, "JPEG", "TIFF"]:
        opened = open_picture(encode(format_))
        assert (len(opened.frames), opened.remarks, opened.doubts) == (1, (), ())


def test_times_are_those_that_browsers_show():
    data = animation("WEBP", ("red", 10), ("blue", 11), ("lime", 0))
    assert read_animation(data, "WEBP", 1) == Animation([100, 11, 100])


def test_what_an_animation_costs_is_bounded_and_what_was_not_looked_at_is_said():
    data = animation("GIF", *[("red" if number % 2 else "blue", 100) for number in range(9)], ("lime", 9000))
    opened = open_picture(data, limits=Limits(max_pixels=32 * 32 * 2))
    assert len(opened.frames) == 2
    assert opened.doubts == ("only the first 4 frames of the animation were looked at",)
    assert len(open_picture(data, limits=Limits(max_pixels=32 * 32)).frames) == 1


def test_a_cut_animation_is_judged_by_what_is_there():
    noise = [Image.fromarray(np.random.default_rng(n).integers(0, 255, (64, 64, 3), np.uint8)) for n in range(4)]
    data = encode("PNG", noise[0], save_all=True, append_images=noise[1:], duration=[20, 20, 30, 4000])
    opened = open_picture(data[: len(data) * 9 // 10])
    assert np.array_equal(np.asarray(opened.frames[0]), np.asarray(noise[2]))
    assert opened.doubts == ("some frames of the animation cannot be read",)
    with pytest.raises(PictureError):
        open_picture(data[: len(data) // 8])


def test_a_frame_that_would_enlarge_the_canvas_is_left_out():
    data = bytearray(animation("GIF", ("red", 100), ("blue", 500), ("lime", 100)))
    second = data.index(b",", data.index(b",") + 12)
    while data[second + 1 : second + 9] != bytes((0, 0, 0, 0, 32, 0, 32, 0)):
        second = data.index(b",", second + 1)
    data[second + 5 : second + 9] = b"\xff\xff\xff\xff"
    opened = open_picture(bytes(data))
    assert (opened.frames[0].size, colours(bytes(data))) == ((32, 32), ["red"])
    assert opened.doubts == ("only the first 1 frames of the animation were looked at",)


def test_a_picture_of_pillow_is_judged_as_it_stands():
    with Image.open(io.BytesIO(animation("WEBP", ("red", 10), ("blue", 900)))) as picture:
        assert len(open_picture(picture).frames) == 1
