"""The door for pictures: what comes through, as which pixels, and what is refused for which reason."""

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hostile import encode, photo, scan_bomb, segments, valid_files, write_corpus
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from profiles import display_p3, icc_profile

from fakeface.images.load import Limits, OtherFiles, PictureError, is_picture_file, list_pictures, load_picture

RED, WHITE = (255, 0, 0), (255, 255, 255)


def plain(colour, mode="RGB", size=(16, 16)):
    return Image.new(mode, size, colour)


def reason(picture, **options):
    """Why `picture` is refused."""
    with pytest.raises(PictureError) as refusal:
        load_picture(picture, **options)
    return refusal.value.reason


def pixel(picture, x, y):
    red, green, blue = np.asarray(picture)[y, x].tolist()
    return red, green, blue


def first_pixel(picture):
    return pixel(load_picture(picture), 0, 0)


def quadrants(size=(32, 16)):
    """Red, green over blue, white; wider than high."""
    picture = Image.new("RGB", size, "white")
    half = size[0] // 2, size[1] // 2
    picture.paste("red", (0, 0, *half))
    picture.paste("lime", (half[0], 0, size[0], half[1]))
    picture.paste("blue", (0, half[1], half[0], size[1]))
    return picture


def grey_ink() -> bytes:
    """A CMYK profile of a press that prints everything in the same grey, L* = 50.2: sRGB (120, 120, 120)."""
    identity = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    ramp = bytes(range(256))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + ramp * 4 + bytes([128] * 3 * 16) + ramp * 3
    return icc_profile(b"CMYK", b"Lab ", {b"A2B0": table})


# ---- what comes through, as which pixels


def test_the_result_is_new_rgb_without_metadata():
    exif = Image.Exif()
    exif[274] = 6
    once = load_picture(encode("JPEG", quadrants(), exif=exif))
    twice = load_picture(once)
    assert (once.mode, once.size, once.info) == ("RGB", (16, 32), {})
    assert type(once) is Image.Image
    assert np.array_equal(np.asarray(once), np.asarray(twice))


# Which quadrant of the stored picture ends up at the top left and top right: CIPA DC-008, orientation.
@pytest.mark.parametrize(
    ("orientation", "corners"),
    [(1, "rg bw"), (2, "gr wb"), (3, "wb gr"), (4, "bw rg"), (5, "rb gw"), (6, "br wg"), (7, "wg br"), (8, "gw rb")],
)
@pytest.mark.parametrize("format_", ["PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(format_, orientation, corners):
    exif = Image.Exif()
    exif[274] = orientation
    options = {"lossless": True} if format_ == "WEBP" else {}
    picture = load_picture(encode(format_, quadrants(), exif=exif, **options))
    width, height = picture.size
    letter = {RED: "r", (0, 255, 0): "g", (0, 0, 255): "b", WHITE: "w"}
    at = [(0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)]
    found = [letter[pixel(picture, *xy)] for xy in at]
    assert "".join(found[:2]) + " " + "".join(found[2:]) == corners
    assert picture.size == ((32, 16) if orientation < 5 else (16, 32))


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "JPEG2000"])
def test_16_bit_grey_is_scaled_not_clipped(format_):
    values = np.full((16, 16), 0x80FF, np.uint16)
    values[:, 8:] = 0xFFFF
    picture = load_picture(encode(format_, Image.fromarray(values)))
    assert pixel(picture, 0, 0) == (128, 128, 128)
    assert pixel(picture, 15, 0) == WHITE


@pytest.mark.parametrize(
    ("mode", "values", "expected"),
    [
        ("I", (0, 0x8000), (0, 128)),  # a 16-bit range
        ("I", (-100_000, 100_000), (0, 255)),  # any other is stretched
        ("F", (0.0, 0.5), (0, 128)),
        ("F", (0.0, 1000.0), (0, 255)),
        ("F", (float("nan"), 1.0), (0, 255)),
    ],
)
def test_32_bit_modes_are_scaled(mode, values, expected):
    picture = plain(values[0], mode)
    picture.paste(values[1], (8, 0, 16, 16))
    loaded = load_picture(encode("TIFF", picture))
    assert [pixel(loaded, x, 0)[0] for x in (0, 15)] == list(expected)


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (plain((255, 0, 0, 0), "RGBA"), WHITE),
        (plain((255, 0, 0, 255), "RGBA"), RED),
        (plain((255, 0, 0, 51), "RGBA"), (255, 204, 204)),
        (plain((0, 51), "LA"), (204, 204, 204)),
        (plain(1, "1"), WHITE),
        (plain(77, "L"), (77, 77, 77)),
    ],
)
def test_alpha_lies_on_white(picture, expected):
    assert first_pixel(encode("PNG", picture)) == expected
    assert first_pixel(picture) == expected


def test_transparent_palette_entries_become_white():
    palette = plain(0, "P")
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.paste(1, (8, 0, 16, 16))
    for data in (encode("PNG", palette, transparency=0), encode("GIF", palette, transparency=0)):
        picture = load_picture(data)
        assert [pixel(picture, x, 0) for x in (0, 15)] == [WHITE, (0, 0, 255)]
    # one alpha value per entry, which Pillow warns about in other conversions
    assert first_pixel(encode("PNG", palette, transparency=bytes([51, 255]))) == (255, 204, 204)


@pytest.mark.parametrize("format_", ["JPEG", "TIFF"])
def test_cmyk_without_a_profile_is_the_plain_complement(format_):
    cyan = first_pixel(encode(format_, plain((255, 0, 0, 0), "CMYK")))
    assert cyan == pytest.approx((0, 255, 255), abs=2)


@pytest.mark.parametrize("format_", ["JPEG", "TIFF"])
def test_cmyk_follows_its_profile(format_):
    data = encode(format_, plain((255, 0, 0, 0), "CMYK"), icc_profile=grey_ink())
    assert first_pixel(data) == pytest.approx((120, 120, 120), abs=2)


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_display_p3_becomes_srgb(format_):
    # by the matrix of CSS Color 4, section 10.9
    options = {"quality": 100} if format_ in ("JPEG", "WEBP") else {}
    data = encode(format_, plain((200, 100, 100)), icc_profile=display_p3(), **options)
    assert first_pixel(data) == pytest.approx((215, 93, 97), abs=3)


def test_a_profile_that_does_not_fit_is_ignored():
    for profile in (b"nonsense", display_p3()[:150], grey_ink()):
        assert first_pixel(encode("PNG", plain((200, 100, 100)), icc_profile=profile)) == (200, 100, 100)


def test_lab_becomes_rgb():
    assert first_pixel(encode("TIFF", plain((255, 128, 128), "LAB"))) == pytest.approx(WHITE, abs=2)


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_the_first_frame_of_an_animation(format_):
    data = encode(format_, plain(RED), save_all=True, append_images=[plain("blue")])
    assert first_pixel(data) == pytest.approx(RED, abs=6)


# ---- every kind of picture


def test_all_kinds_of_input_give_the_same_pixels(tmp_path):
    path = tmp_path / "photo.png"
    photo().save(path)
    data = path.read_bytes()
    expected = np.asarray(photo())
    kinds = [data, bytearray(data), path, str(path), io.BytesIO(data), photo(), expected]
    kinds += [
        {"bytes": data, "path": None},
        {"bytes": data, "path": "/no/such.png"},
        {"bytes": None, "path": str(path)},
    ]
    with path.open("rb") as file, path.open("rb", buffering=0) as raw:
        for kind in [*kinds, file, raw]:
            assert np.array_equal(np.asarray(load_picture(kind)), expected), type(kind)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.full((16, 16), 7, np.uint8), (7, 7, 7)),
        (np.full((16, 16, 1), 7, np.uint8), (7, 7, 7)),
        (np.full((16, 16, 3), 0x80FF, np.uint16), (128, 128, 128)),
        (np.full((16, 16, 3), 0.5, np.float64), (128, 128, 128)),
        (np.full((16, 16), 1, np.float16), WHITE),
        (np.full((16, 16, 4), 0, np.uint8), WHITE),  # transparent
    ],
)
def test_arrays(array, expected):
    assert first_pixel(array) == expected


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((16, 16, 2), np.uint8),
        np.zeros((2, 16, 16, 3), np.uint8),
        np.zeros(16, np.uint8),
        np.zeros((16, 16), np.int64),
        np.full((16, 16), 1.5),
        np.full((16, 16), -0.5),
        np.full((16, 16), np.nan),
        np.zeros((16, 16), object),
    ],
)
def test_arrays_that_could_mean_anything_are_refused(array):
    assert reason(array) == "unsupported-type"


def test_tensors():
    torch = pytest.importorskip("torch")
    tensor = torch.zeros(3, 16, 24)
    tensor[0] = 1
    for dtype in (torch.float32, torch.bfloat16):
        assert (load_picture(tensor.to(dtype)).size, first_pixel(tensor.to(dtype))) == ((24, 16), RED)
    assert first_pixel((tensor * 255).to(torch.uint8).requires_grad_(False)) == RED
    assert first_pixel(torch.full((16, 16), 0.2)) == (51, 51, 51)
    assert reason(torch.zeros(16, 16, 3)) == "unsupported-type"


# ---- refusals


def test_a_refusal_names_the_picture_and_the_cure_and_survives_pickling(tmp_path):
    missing = tmp_path / "gone\x1b[2J\n.jpg"
    with pytest.raises(PictureError) as refusal:
        load_picture(missing)
    error = pickle.loads(pickle.dumps(refusal.value))
    assert (error.picture, error.reason) == (str(missing), "missing")
    assert str(error) == f"{tmp_path}/gone\\x1b[2J\\n.jpg: no such file; check the path"
    assert isinstance(error, ValueError)


def test_a_given_name_is_used():
    with pytest.raises(PictureError, match=r"^row 7: the file is empty; download or copy it again$"):
        load_picture(b"", name="row 7")


@pytest.mark.parametrize("picture", [42, None, [], object(), {1: 2}.keys()])
def test_things_that_are_no_pictures(picture):
    assert reason(picture) == "unsupported-type"


@pytest.mark.parametrize("path", ["zip://a.jpg::b.zip", "https://example.org/a.jpg", "file:///etc/passwd", None, 3, ""])
def test_rows_open_plain_local_paths_only(path):
    assert reason({"bytes": None, "path": path}) in ("missing", "not-a-file")


def test_addresses_other_than_public_https_are_refused():
    for address in ("http://example.org/a.jpg", "file:///a.jpg", "ftp://example.org/a.jpg", "https://127.0.0.1/a.jpg"):
        assert reason(address) == "refused-address"


def test_folders_pipes_and_devices_are_not_opened(tmp_path):
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)  # opening it would wait for a writer for ever
    for path in (pipe, tmp_path, "/dev/zero"):
        assert reason(path) == "not-a-file"


def test_odd_paths():
    assert reason("a\0b.jpg") in ("unreadable", "missing")
    assert reason("x" * 5000) == "unsupported-type"  # longer than any path: a picture in base64, by its look
    assert reason(Path(__file__) / "a.jpg") == "missing"


def test_files_opened_wrongly():
    assert reason(io.StringIO("text")) == "unsupported-type"
    closed = io.BytesIO(b"x")
    closed.close()
    assert reason(closed) == "broken"


def test_limits():
    data = encode("PNG", photo(64, 48))
    assert reason(data, limits=Limits(max_bytes=len(data) - 1)) == "too-many-bytes"
    assert reason(io.BytesIO(data), limits=Limits(max_bytes=len(data) - 1)) == "too-many-bytes"
    assert reason(data, limits=Limits(max_pixels=64 * 48 - 1)) == "too-many-pixels"
    assert reason(photo(64, 48), limits=Limits(max_pixels=64 * 48 - 1)) == "too-many-pixels"
    assert reason(np.asarray(photo(64, 48)), limits=Limits(min_side=49)) == "too-small"
    exact = Limits(max_bytes=len(data), max_pixels=64 * 48, min_side=48)
    assert load_picture(data, limits=exact).size == (64, 48)


def test_a_progressive_jpeg_of_endless_scans_ends_with_the_time_allowed():
    assert reason(scan_bomb(1000, 1000, 50_000), limits=Limits(seconds=0.2)) == "timeout"


def test_a_film_and_a_photoshop_file_are_named():
    with pytest.raises(PictureError, match=r"Photoshop files are not supported; save it as JPEG or PNG"):
        load_picture(b"8BPS\0\1" + bytes(100))


def test_heic_without_its_package_tells_which(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as if it were not installed
    with pytest.raises(PictureError, match="pip install pillow-heif") as refusal:
        load_picture(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    assert refusal.value.reason == "unsupported-format"


def test_heic_with_its_package():
    pillow_heif = pytest.importorskip("pillow_heif", reason="needs the extra: pip install pillow-heif")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(quadrants((64, 32))).save(buffer, quality=90)
    assert first_pixel(buffer.getvalue()) == pytest.approx(RED, abs=12)
    assert reason(buffer.getvalue()[:300]) in ("broken", "truncated")


def test_no_warning_leaks_and_none_of_pillows_settings_changes():
    before = (Image.MAX_IMAGE_PIXELS, list(warnings.filters))
    odd = encode("JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with ThreadPoolExecutor(4) as pool:
            sizes = {picture.size for picture in pool.map(load_picture, [odd, encode("TIFF")] * 20)}
    assert (sizes, caught) == ({(64, 48)}, [])
    assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before


# ---- the corpus, and what chance makes of valid files

CHILD = """
import json, re, sys
from pathlib import Path
from fakeface.images import Limits, PictureError, load_picture

results = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        picture = load_picture(path, limits=Limits(seconds=0.6))
        assert picture.mode == "RGB"
        results[path.name] = "picture"
    except PictureError as error:
        assert error.picture == str(path) and str(error).startswith(str(path) + ": ")
        results[path.name] = "refused:" + error.reason
# Not getrusage: its ru_maxrss starts at the peak of the process that started this one.
kilobytes = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
heavy = sorted({"torch", "transformers"} & set(sys.modules))
json.dump({"results": results, "kilobytes": kilobytes, "heavy": heavy}, sys.stdout)
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """The corpus read in a process of its own, so that its memory can be told from the tests'."""
    folder = tmp_path_factory.mktemp("corpus")
    expected = write_corpus(folder)
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder)], capture_output=True, text=True, timeout=240, check=False
    )
    assert child.returncode == 0, child.stderr[-2000:]
    return expected, json.loads(child.stdout)


def test_every_hostile_file_gives_a_picture_or_a_reason(corpus):
    expected, report = corpus
    results = report["results"]
    surprises = {
        name: (wanted, results[name])
        for name, wanted in expected.items()
        if wanted not in ("either", results[name], results[name].partition(":")[0])
    }
    assert len(expected) >= 370
    assert set(results) == set(expected)
    assert surprises == {}


def test_the_corpus_needs_little_memory_and_no_torch(corpus):
    _, report = corpus
    assert report["kilobytes"] < 1_000_000
    assert report["heavy"] == []


@pytest.mark.parametrize("name", valid_files())
def test_a_cut_file_never_becomes_half_a_picture(name):
    data = valid_files()[name]
    whole = np.asarray(load_picture(data))
    for percent in range(2, 100, 7):
        try:
            part = load_picture(data[: len(data) * percent // 100])
        except PictureError:
            continue
        assert np.array_equal(np.asarray(part), whole), percent


# Examples of the fuzz target; more by the environment, for a longer hunt: FAKEFACE_FUZZ=100000.
FUZZ = int(os.environ.get("FAKEFACE_FUZZ", "150"))
EDITS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=6)), min_size=1, max_size=8)


@settings(max_examples=FUZZ, deadline=None, derandomize=FUZZ == 150, suppress_health_check=[HealthCheck.too_slow])
@given(name=st.sampled_from(sorted(valid_files())), edits=EDITS, insert=st.booleans(), end=st.floats(0.05, 1))
def test_mutated_files_give_a_picture_or_a_refusal(name, edits, insert, end):
    data = bytearray(valid_files()[name])
    for position, patch in edits:
        at = int(position * len(data))
        data[at : at if insert else at + len(patch)] = patch
    try:
        picture = load_picture(bytes(data[: int(end * len(data)) + 1]), limits=Limits(max_pixels=4_000_000))
    except PictureError as error:
        outcome = error.reason
    else:
        outcome = picture.mode
    assert outcome in (
        "RGB",
        "not-a-picture",
        "unsupported-format",
        "truncated",
        "broken",
        "too-small",
        "too-many-pixels",
    )


def test_a_segmented_exif_bomb_does_not_hide_the_orientation():
    exif = Image.Exif()
    exif[274] = 6
    sound = encode("JPEG", quadrants(), exif=exif)
    end = 4 + int.from_bytes(sound[sound.index(b"\xff\xe1") + 2 :][:2], "big")
    first = sound.index(b"\xff\xe1") + end - 2
    bombed = sound[:first] + segments(0xE1, b"Exif\0\0", bytes(200_000)) + sound[first:]
    assert load_picture(bombed).size == (16, 32)


# ---- folders


def test_folders_are_expanded_in_order_and_files_passed_on(tmp_path):
    for name in ("b/2.PNG", "b/10.jpg", "b/notes.txt", "a/x.webp", "z.jpeg", "readme.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    given_paths = [tmp_path, str(tmp_path / "readme.md"), tmp_path / "gone"]
    found = [str(path.relative_to(tmp_path)) for path in list_pictures(given_paths)]
    assert found == ["z.jpeg", "a/x.webp", "b/10.jpg", "b/2.PNG", "readme.md", "gone"]


def test_a_linked_folder_that_was_asked_for_is_expanded(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.jpg").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert list(list_pictures([tmp_path / "link"])) == [tmp_path / "link" / "a.jpg"]


def test_pictures_without_a_suffix_are_told_by_their_first_bytes_and_counted(tmp_path):
    names = ["3f2a", "d41d8cd98f00b204e9800998ecf8427e", "a.bin", "photo.jpg.1", "photo.jpg_large"]
    for name, format_ in zip(names, ["JPEG", "PNG", "WEBP", "GIF", "TIFF"], strict=True):
        (tmp_path / name).write_bytes(encode(format_))
    (tmp_path / "BMI").write_text("BMI of all patients\n" * 9)
    (tmp_path / "README").write_text("no picture")
    (tmp_path / "notes.txt").write_bytes(encode("PNG"))  # its suffix says what it is
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    others = OtherFiles()
    found = [path.name for path in list_pictures([tmp_path], others)]
    assert found == sorted(names)
    assert (others.pictures, others.passed_over) == (5, 5)
    assert str(others) == (
        "other files: 5 without a picture's suffix read, by the first bytes, 5 passed over as no pictures"
    )


@pytest.mark.parametrize(
    "name", ["baseline.jpg", "plain.png", "lossy.webp", "plain.gif", "plain.bmp", "raw.tif", "plain.jp2"]
)
def test_every_format_is_told_by_its_first_bytes(name, tmp_path):
    (tmp_path / "3f2a").write_bytes(valid_files()[name])
    assert is_picture_file(tmp_path / "3f2a")


@pytest.mark.parametrize("suffix", [".mpo", ".jxl", ".JPG"])
def test_suffixes_of_pictures(suffix, tmp_path):
    assert is_picture_file(tmp_path / f"a{suffix}")
