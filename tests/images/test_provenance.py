"""What files say of themselves, on files made here as cameras, editors and generators write them."""

import hashlib
import io
import struct
import time
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from hostile import chunk, encode, exif_bomb, photo, segments, valid_files, write_corpus
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fakeface import PictureError, Provenance, read_provenance
from fakeface.images.credentials import Credentials
from fakeface.images.provenance import LONGEST_VALUE, MOST_CLAIMS, Claim

NOTES = "a portrait, 85mm\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512"
IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def xmp(body: str) -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        f"{body}</rdf:RDF></x:xmpmeta>"
    ).encode()


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def credentials() -> bytes:
    """A manifest store as C2PA frames it: JUMBF boxes around CBOR, without a signature."""
    claim = b"\xa2\x6fclaim_generator\x70Made by Imagen 9\x67actions\x81\xa1\x71digitalSourceType\x78\x46"
    claim += f"{IPTC}trainedAlgorithmicMedia".encode()
    description = box(b"jumd", b"c2pa" + bytes(12) + b"\x03c2pa\0")
    return box(b"jumb", description + box(b"cbor", claim))


def claims(file: bytes) -> dict[str, Claim]:
    return {claim.name: claim for claim in read_provenance(file).claims}


def test_a_bare_picture_claims_nothing():
    found = read_provenance(encode("PNG"))
    assert (found.format, found.claims, found.jpeg_quality, found.content_credentials) == ("PNG", (), None, False)
    assert not found.says_generated


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_the_quality_of_a_jpeg_is_read_off_its_tables(quality: int):
    assert read_provenance(encode("JPEG", quality=quality)).jpeg_quality == quality


def test_size_and_hash_identify_the_file(tmp_path: Path):
    path = tmp_path / "a.gif"
    path.write_bytes(b"GIF89a" + bytes(4))
    found = read_provenance(path)
    assert (found.format, found.size) == ("GIF", 10)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.lines()[1].value == f"10 bytes, sha256 {found.sha256}"


@pytest.mark.parametrize("format_", ["JPEG", "WEBP", "PNG", "TIFF"])
def test_a_camera_signs_exif(format_: str):
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0131] = "Canon", "EOS R5", "Adobe Photoshop 26"
    exif.get_ifd(0x8769)[0x9003] = "2026:11:25 21:00:00"
    found = claims(encode(format_, exif=exif))
    assert found["camera maker"] == Claim("camera maker", "Canon", "camera")
    assert found["camera model"] == Claim("camera model", "EOS R5", "camera")
    assert found["software"] == Claim("software", "Adobe Photoshop 26")
    if format_ != "TIFF":  # of which Pillow writes the first directory alone
        assert found["taken"].value == "2026:11:25 21:00:00"


@pytest.mark.parametrize("codec", ["utf-16-be", "utf-16-le"])
@pytest.mark.parametrize("format_", ["JPEG", "WEBP"])
def test_automatic1111_writes_its_settings_as_a_user_comment(format_: str, codec: str):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + NOTES.encode(codec)
    found = claims(encode(format_, exif=exif))["a generator's notes"]
    assert found.says == "generated"
    assert found.value.startswith("a portrait, 85mm Negative prompt: blurry Steps: 20, Sampler: Euler a")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("key", "program"),
    [
        ("parameters", "a Stable Diffusion program"),
        ("prompt", "ComfyUI"),
        ("workflow", "ComfyUI"),
        ("invokeai_metadata", "InvokeAI"),
    ],
)
def test_programs_that_generate_write_png_texts(key: str, program: str, packed: bool):
    info = PngInfo()
    info.add_text(key, '{"3": {"class_type": "KSampler"}}', zip=packed)
    info.add_itxt("Title", "häuser", zip=packed)
    file = encode("PNG", pnginfo=info)
    assert read_provenance(file).says_generated
    found = claims(file)
    assert found["a generator's notes"] == Claim(
        "a generator's notes", f'{key}: {{"3": {{"class_type": "KSampler"}}}}', "generated", program
    )
    assert found["title"].value == "häuser"


@pytest.mark.parametrize(
    ("software", "maker"),
    [
        ("Midjourney v7", "Midjourney"),
        ("OpenAI DALL·E", "OpenAI's DALL·E or ChatGPT"),
        ("NovelAI", "NovelAI"),
        ("Adobe Photoshop 26", ""),
        ("Imagenomic Portraiture", ""),  # not Imagen
        ("Grokking Camera", ""),
    ],
)
def test_software_that_generates_is_told_from_software_that_edits(software: str, maker: str):
    info = PngInfo()
    info.add_text("Software", software)
    says = "generated" if maker else ""
    assert claims(encode("PNG", pnginfo=info))["software"] == Claim("software", software, says, maker)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "body",
    [
        f'Iptc4xmpExt:DigitalSourceType="{IPTC}trainedAlgorithmicMedia" xmp:CreatorTool="Firefly"/>',
        f"><Iptc4xmpExt:DigitalSourceType>{IPTC}trainedAlgorithmicMedia</Iptc4xmpExt:DigitalSourceType>"
        "<xmp:CreatorTool>Firefly</xmp:CreatorTool></rdf:Description>",
    ],
)
def test_xmp_says_where_a_picture_came_from(format_: str, body: str):
    packet = xmp(body)
    if format_ == "PNG":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        file = encode("PNG", pnginfo=info)
    else:
        file = encode(format_, xmp=packet)
    found = claims(file)
    assert found["digital source type"] == Claim("digital source type", "made by a generative model", "generated")
    assert found["software"] == Claim("software", "Firefly", "generated", "Adobe Firefly")


def test_a_camera_can_be_the_source_too_and_an_unknown_type_is_quoted():
    file = encode("JPEG", xmp=xmp(f'a="{IPTC}digitalCapture" b="{IPTC}futureMedia"/>'))
    assert read_provenance(file).claims == (
        Claim("digital source type", "taken with a digital camera", "camera"),
        Claim("digital source type", "futureMedia"),
    )


def embedded(format_: str) -> bytes:
    """A picture with Content Credentials where the C2PA specification has them."""
    store, file = credentials(), encode(format_)
    if format_ == "JPEG":
        head = store[:8]
        parts = [store[i : i + 60] for i in range(8, len(store), 60)]
        packed = b"".join(
            segments(0xEB, b"JP\0\1" + struct.pack(">I", number) + head, part) for number, part in enumerate(parts, 1)
        )
        return file[:2] + packed + file[2:]
    if format_ == "PNG":
        return file[:33] + chunk(b"caBX", store) + file[33:]
    return file + b"C2PA" + struct.pack("<I", len(store)) + store


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_content_credentials_are_found_and_quoted(format_: str):
    found = read_provenance(embedded(format_), verify=False)
    assert found.content_credentials
    imagen = "Google's Imagen or Gemini"
    assert Claim("named in the credentials", "Made by Imagen 9", "generated", imagen) in found.claims
    assert Claim("digital source type", "made by a generative model", "generated") in found.claims
    assert found.credentials == Credentials("unchecked", problem="nobody asked for it")


def test_the_word_c2pa_alone_is_no_credential():
    assert not read_provenance(encode("JPEG", comment=b"c2pa jumb")).content_credentials


def test_what_is_said_is_one_printable_line_and_not_long():
    info = PngInfo()
    info.add_text("Software", "a\x1b[2J\nb" + "x" * 5000)
    (found,) = read_provenance(encode("PNG", pnginfo=info)).claims
    assert found.value.startswith("a [2J bxxx")
    assert len(found.value) == LONGEST_VALUE


def test_a_text_that_unpacks_to_gigabytes_is_cut():
    bomb = zlib.compress(bytes(50_000_000), 9)
    file = encode("PNG")
    file = file[:33] + chunk(b"zTXt", b"parameters\0\0" + bomb) + file[33:]
    program = "a Stable Diffusion program"
    assert read_provenance(file).claims == (Claim("a generator's notes", "parameters:", "generated", program),)


def test_no_file_makes_it_slow_or_long():
    file = encode("PNG")
    texts = chunk(b"tEXt", b"Software\0x") * 100_000 + b"".join(
        chunk(b"tEXt", b"Software\0" + str(number).encode()) for number in range(10_000)
    )
    started = time.process_time()
    assert len(read_provenance(file[:33] + texts + file[33:]).claims) <= MOST_CLAIMS
    assert read_provenance(b"II*\0" + b"<x:xmpmeta" * 1_000_000).claims == ()
    assert read_provenance(encode("JPEG", exif=b"Exif\0\0" + exif_bomb(65_000))).claims == ()
    assert time.process_time() - started < 20


def test_a_directory_that_is_its_own_ends():
    entry = struct.pack("<HHII", 0x8769, 4, 1, 8)
    loop = b"II*\0\x08\0\0\0" + struct.pack("<H", 3) + entry * 3
    assert read_provenance(encode("JPEG", exif=b"Exif\0\0" + loop)).claims == ()


def test_no_hostile_file_raises(tmp_path: Path):
    for name in write_corpus(tmp_path):
        with suppress(PictureError):  # too many bytes
            assert isinstance(read_provenance(tmp_path / name), Provenance)


RICH = (embedded("JPEG"), embedded("PNG"), embedded("WEBP"), encode("TIFF", photo()), *valid_files().values())


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(RICH), st.integers(0, 10_000), st.binary(max_size=40))
def test_no_change_to_a_file_raises(file: bytes, at: int, change: bytes):
    at %= len(file)
    for broken in (file[:at] + change + file[at + len(change) :], file[:at], file[:at] + change + file[at:]):
        if broken:
            told = read_provenance(broken, verify=False)  # `test_credentials` has some that are verified
            told.to_dict()
            told.notes()


def test_a_missing_file_is_refused_by_name():
    with pytest.raises(PictureError, match=r"nowhere\.jpg: no such file"):
        read_provenance("nowhere.jpg")


def test_a_stream_is_read_within_the_limits():
    assert read_provenance(io.BytesIO(encode("PNG"))).format == "PNG"
