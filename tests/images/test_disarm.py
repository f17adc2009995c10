"""Sound files that decoders refuse for what stands beside their pixels, or lacks behind them."""

import sys
import zlib

import numpy as np
import pytest
from hostile import chunk, encode, photo
from PIL import Image
from profiles import display_p3

from fakeface.images.file_parts import jpeg_is_whole, jxl_size
from fakeface.images.load import PictureError, load_picture

SOUND = encode("PNG")
LONG = zlib.compress(b"a workflow " * 300_000)  # of 3.3 MB


@pytest.mark.parametrize(
    "part",
    [
        chunk(b"zTXt", b"workflow\0\0" + LONG),
        chunk(b"iTXt", b"workflow\0\1\0\0\0" + LONG),
    ],
    ids=["zTXt", "iTXt"],
)
@pytest.mark.parametrize("at", [33, -12])
def test_a_png_with_long_texts_is_read(part, at):
    picture = load_picture(SOUND[:at] + part + SOUND[at:])
    assert np.array_equal(np.asarray(picture), np.asarray(photo()))


def test_a_png_with_a_large_profile_is_read_and_the_profile_followed():
    sound = encode("PNG", Image.new("RGB", (16, 16), (200, 100, 100)))
    profile = display_p3() + bytes(2_000_000)  # as calibrated monitors' are, with their tables
    profile = len(profile).to_bytes(4, "big") + profile[4:]
    data = sound[:33] + chunk(b"iCCP", b"monitor\0\0" + zlib.compress(profile)) + sound[33:]
    assert load_picture(data).getpixel((0, 0)) == pytest.approx((215, 93, 97), abs=3)


def test_a_profile_beyond_all_is_left_out():
    data = SOUND[:33] + chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(50_000_000))) + SOUND[33:]
    assert np.array_equal(np.asarray(load_picture(data)), np.asarray(photo()))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [(64, 48), (61, 47)])
@pytest.mark.parametrize("lost", [1, 2])
def test_a_jpeg_without_its_last_two_bytes_has_all_its_pixels(lost, size, progressive):
    data = encode("JPEG", photo(*size), progressive=progressive)
    assert np.array_equal(np.asarray(load_picture(data[:-lost])), np.asarray(load_picture(data)))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("lost", [8, 40, 200])
def test_a_jpeg_without_more_of_its_end_is_cut(lost, progressive):
    with pytest.raises(PictureError) as refusal:
        load_picture(encode("JPEG", progressive=progressive)[:-lost])
    assert refusal.value.reason == "truncated"


def test_a_progressive_jpeg_that_ends_between_two_scans_is_cut():
    data = encode("JPEG", progressive=True)
    scans = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xda"]
    assert jpeg_is_whole(data)
    for at in scans[1:]:
        tables = data.rfind(b"\xff\xc4", 0, at)
        assert not jpeg_is_whole(data[:tables])
        with pytest.raises(PictureError):
            load_picture(data[:tables])


def jxl_head(width: int, height: int) -> bytes:
    """The size of a codestream, each side in 9 to 30 bits (ISO/IEC 18181-1, D.2)."""
    bits, at = 0, 1  # not small

    def put(value: int, count: int) -> None:
        nonlocal bits, at
        bits, at = bits | value << at, at + count

    for number, side in enumerate((height, width)):
        kind = next(kind for kind, count in enumerate((9, 13, 18, 30)) if side <= 1 << count)
        put(kind, 2)
        put(side - 1, (9, 13, 18, 30)[kind])
        if number == 0:
            put(0, 3)
    return b"\xff\x0a" + bits.to_bytes(12, "little")


@pytest.mark.parametrize("size", [(64, 48), (513, 512), (9000, 8000), (1_000_000, 7)])
def test_the_size_of_a_jpeg_xl_file_is_read_before_it_is_decoded(size):
    assert jxl_size(jxl_head(*size)) == size
    boxes = b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0\0\0\x14ftypjxl \0\0\0\0jxl "
    assert jxl_size(boxes + b"\0\0\0\0jxlc" + jxl_head(*size)) == size
    assert jxl_size(boxes + b"\0\0\0\0jxlp\0\0\0\0" + jxl_head(*size)) == size


@pytest.mark.parametrize("data", [b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n", b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50)])
def test_a_jpeg_xl_file_that_is_cut_has_no_size(data):
    assert jxl_size(data) is None


def test_jpeg_xl_without_a_decoder_tells_which(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    with pytest.raises(PictureError, match="pip install pillow-jxl-plugin") as refusal:
        load_picture(jxl_head(64, 48))
    assert refusal.value.reason == "unsupported-format"


def test_jpeg_xl_with_its_decoder():
    pytest.importorskip("pillow_jxl", reason="needs a decoder: pip install pillow-jxl-plugin")
    data = encode("JXL", Image.new("RGB", (16, 16), (200, 100, 100)), lossless=True)
    assert load_picture(data).getpixel((0, 0)) == (200, 100, 100)
    with pytest.raises(PictureError, match="more than 50 million"):
        load_picture(jxl_head(60_000, 60_000))
