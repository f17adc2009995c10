"""What files tell of themselves, on files that Pillow wrote with known settings."""

import io
import struct
import tracemalloc

import pytest
from PIL import Image
from planted import noise

from fakeface.data.file_facts import FORMATS, file_format, format_facts, jpeg_facts, metadata_facts


def saved(format_, **options):
    buffer = io.BytesIO()
    noise(48, 0).save(buffer, format_, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("format_", FORMATS)
def test_each_format_is_told_by_its_bytes(format_):
    data = saved(format_)
    assert file_format(data) == format_
    assert [name for name, value in format_facts(data).items() if value] == [format_]


def test_what_is_no_picture_is_of_other_format():
    assert file_format(b"") == "other"
    assert jpeg_facts(b"PK\3\4")["quality"] == -1


@pytest.mark.parametrize("quality", [25, 30, 50, 75, 88, 95, 100])
def test_quality_is_the_one_it_was_saved_with(quality):
    # Steps are whole numbers from 1 to 255: below about 20 many are cut off, and quality comes out too high.
    assert jpeg_facts(saved("JPEG", quality=quality))["quality"] == pytest.approx(quality, abs=1)


def test_the_other_facts_of_a_jpeg():
    plain = jpeg_facts(saved("JPEG", quality=50, subsampling="4:2:0"))
    other = jpeg_facts(saved("JPEG", quality=50, subsampling="4:4:4", progressive=True))
    # At quality 50 the tables are those of the standard.
    assert (plain["luma_table"], plain["chroma_table"], plain["first_step"]) == (3688, 5505, 16)
    assert (plain["subsampling"], plain["progressive"]) == (0x22, 0)
    assert (other["subsampling"], other["progressive"]) == (0x11, 1)
    assert set(jpeg_facts(saved("PNG")).values()) == {-1}


def test_metadata_is_counted_by_kind():
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    bare = {"exif": 0, "xmp": 0, "profile": 0, "comment": 0, "other": 0}
    for format_ in ("JPEG", "PNG", "WEBP"):
        assert metadata_facts(saved(format_)) == bare
        found = metadata_facts(saved(format_, exif=exif, icc_profile=b"profile" * 30))
        assert found["exif"] > 30
        assert found["profile"] > 20  # PNG packs it
    assert metadata_facts(saved("JPEG", comment=b"twelve bytes"))["comment"] == 12
    assert metadata_facts(saved("AVIF", exif=exif)) == bare


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_cut_and_odd_files_end_the_walk(format_):
    data = saved(format_)
    for length in range(0, min(len(data), 700), 3):
        cut = data[:length]
        assert set(metadata_facts(cut)) == {"exif", "xmp", "profile", "comment", "other"}
        jpeg_facts(cut)
    endless = data[:12] + bytes(4000)
    assert metadata_facts(endless)["exif"] == 0


HOSTILE = {
    "JPEG": b"\xff\xd8" + b"\xff\xe0\x00\x02" * 400_000,
    "PNG": b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sI", 0, b"tEXt", 0) * 400_000,
    "WEBP": b"RIFF\0\0\0\0WEBP" + struct.pack("<4sI", b"EXIF", 0) * 400_000,
}


@pytest.mark.parametrize("format_", HOSTILE)
def test_a_file_of_nothing_but_chunks_takes_no_memory(format_):
    """The chunks were once listed, which took many times the size of the file."""
    tracemalloc.start()
    metadata_facts(HOSTILE[format_])
    jpeg_facts(HOSTILE[format_])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


def test_after_so_many_chunks_the_walk_ends():
    data = b"RIFF\0\0\0\0WEBP" + struct.pack("<4sI", b"VP8 ", 0) * 49_999 + struct.pack("<4sI2x", b"EXIF", 2) * 2
    assert metadata_facts(data)["exif"] == 2
