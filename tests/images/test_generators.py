"""Notes of programs that generate, on files laid out here as these programs write them."""

import json
import struct
import time

import pytest
from hostile import encode, segments
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fakeface import Provenance, read_provenance
from fakeface.images.generators import NOTES, program_of_notes
from fakeface.images.iptc import iptc_texts
from fakeface.images.provenance import MOST_NOTES

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
WEBUI = "AUTOMATIC1111's Stable Diffusion web UI, or a program that writes as it does"
SETTINGS = "a portrait\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512"
NODES = {"3": {"class_type": "KSampler", "inputs": {"seed": 1, "steps": 20}}}
SWARM = json.dumps({"sui_image_params": {"prompt": "a portrait", "steps": 20, "swarm_version": "0.9.1.1"}})
FOOOCUS = json.dumps({"base_model": "juggernaut", "metadata_scheme": "fooocus", "version": "Fooocus v2.5.0"})
NOVELAI = json.dumps({"prompt": "a portrait", "steps": 28, "sampler": "k_euler", "uc": "lowres", "seed": 1})
JOB = "a portrait --ar 2:1 --v 6 Job ID: a7421d2f-b262-44f9-977c-ac23e9c7d3e3"


def png(**texts: str) -> Provenance:
    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key.replace("_dash_", "-"), text)
    return read_provenance(encode("PNG", pnginfo=info))


@pytest.mark.parametrize(
    ("texts", "program"),
    [
        ({"parameters": SETTINGS}, WEBUI),
        ({"parameters": f"{SETTINGS}, Version: v1.10.1"}, WEBUI),
        ({"parameters": f"{SETTINGS}, Version: f2.0.1v1.10.1-previous-669-gdfdcbab6"}, "Stable Diffusion WebUI Forge"),
        (
            {"parameters": "a portrait\nSteps: 20, Size: 512x512, Sampler: Euler, App: SD.Next, Version: 8b73cb6"},
            "SD.Next",
        ),
        ({"parameters": SWARM}, "SwarmUI"),
        ({"parameters": FOOOCUS, "fooocus_scheme": "fooocus"}, "Fooocus"),
        ({"prompt": json.dumps(NODES), "workflow": json.dumps({"nodes": [{"id": 3}], "links": []})}, "ComfyUI"),
        ({"invokeai_metadata": json.dumps({"generation_mode": "txt2img"})}, "InvokeAI"),
        ({"sd_dash_metadata": json.dumps({"model": "stable diffusion"})}, "InvokeAI"),
        ({"Dream": '"a portrait" -s 50 -S 1'}, "InvokeAI"),
        (
            {
                "Title": "NovelAI generated image",
                "Description": "a portrait",
                "Software": "NovelAI",
                "Source": "NovelAI Diffusion V4.5 4BDE2A90",
                "Comment": NOVELAI,
            },
            "NovelAI",
        ),
        ({"Comment": NOVELAI}, "NovelAI"),
        ({"Description": JOB, "Author": "somebody"}, "Midjourney"),
        ({"Software": "Draw Things"}, "Draw Things"),
        ({"Comment": "Made with Google AI"}, ""),  # the whole of that stands in Credit
        ({"Comment": "Created with Midjourney"}, "Midjourney"),
    ],
)
def test_png_texts_name_the_program(texts: dict[str, str], program: str):
    found = png(**texts)
    assert found.says_generated == bool(program)
    expected = [f"The file says it was made by {program}."] if program else []
    assert [note for note in found.notes() if "made by" in note] == expected
    assert [line.value for line in found.lines() if line.name == "says it was made by"] == [program] * bool(program)


@pytest.mark.parametrize("texts", [{"Description": "Gemini and Orion over a firefly meadow"}, {"Title": "My workflow"}])
def test_what_a_picture_shows_is_not_who_made_it(texts: dict[str, str]):
    found = png(**texts)
    assert not found.says_generated
    assert found.notes() == []


def exif(tags: dict[int, str], comment: bytes = b"") -> Image.Exif:
    made = Image.Exif()
    made.update(tags)
    if comment:
        made.get_ifd(0x8769)[0x9286] = comment
    return made


@pytest.mark.parametrize("format_", ["JPEG", "WEBP"])
@pytest.mark.parametrize(
    ("given", "program"),
    [
        (exif({}, b"UNICODE\0" + SETTINGS.encode("utf-16-be")), WEBUI),
        (exif({}, b"ASCII\0\0\0" + SETTINGS.encode()), WEBUI),
        (exif({}, b"UNICODE\0" + SWARM.encode("utf-16-be")), "SwarmUI"),
        (exif({}, b"ASCII\0\0\0" + FOOOCUS.encode()), "Fooocus"),
        (exif({}, b"ASCII\0\0\0" + NOVELAI.encode()), "NovelAI"),
        (exif({0x0110: f"prompt:{json.dumps(NODES)}", 0x010F: 'workflow:{"nodes": []}'}), "ComfyUI"),
        (exif({0x010E: JOB}), "Midjourney"),
        (exif({0x0131: "Adobe Firefly"}), "Adobe Firefly"),
    ],
)
def test_exif_of_jpeg_and_webp_names_the_program(format_: str, given: Image.Exif, program: str):
    found = read_provenance(encode(format_, exif=given))
    assert found.notes() == [f"The file says it was made by {program}."]
    assert all(claim.says != "camera" for claim in found.claims)  # ComfyUI writes where cameras do


def test_a_camera_and_an_editor_are_told_too():
    made = exif({0x010F: "Canon", 0x0110: "Canon EOS R5", 0x0131: "Adobe Photoshop 26"})
    assert read_provenance(encode("JPEG", exif=made)).notes() == [
        "The file says it was taken with Canon EOS R5.",
        "The file names the program Adobe Photoshop 26.",
    ]
    made = exif({0x010F: "FUJIFILM", 0x0110: "X-T5"})
    assert read_provenance(encode("JPEG", exif=made)).notes() == ["The file says it was taken with FUJIFILM X-T5."]


@pytest.mark.parametrize(
    ("code", "note"),
    [
        ("trainedAlgorithmicMedia", "The file says it was made by a generative model."),
        (
            "compositeWithTrainedAlgorithmicMedia",
            "The file says it is a composite with parts from a generative model.",
        ),
        ("digitalCapture", "The file says it was taken with a digital camera."),
    ],
)
def test_the_digital_source_type_is_a_sentence(code: str, note: str):
    packet = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a Iptc4xmpExt:DigitalSourceType="{IPTC}{code}"/></x:xmpmeta>'
    assert read_provenance(encode("JPEG", xmp=packet.encode())).notes() == [note]


def data_set(number: int, text: str) -> bytes:
    return struct.pack(">BBBH", 0x1C, 2, number, len(text)) + text.encode()


def photoshop(content: bytes) -> bytes:
    """A segment of image resources, the second of which is IPTC-IIM; the first has a name."""
    first = b"8BIM" + struct.pack(">H", 0x03ED) + b"\x03abc" + struct.pack(">I", 3) + b"xyz\0"
    second = b"8BIM" + struct.pack(">H", 0x0404) + b"\0\0" + struct.pack(">I", len(content)) + content
    return b"Photoshop 3.0\0" + first + second


def test_iptc_iim_names_program_credit_and_source_type():
    content = data_set(65, "Midjourney") + data_set(110, "Made with Google AI") + data_set(5, "a title")
    content += data_set(115, f"{IPTC}trainedAlgorithmicMedia")
    file = encode("JPEG")
    found = read_provenance(file[:2] + segments(0xED, b"", photoshop(content)) + file[2:])
    assert found.notes() == [
        "The file says it was made by Midjourney.",
        "The file says it was made by Google's Imagen or Gemini.",
        "The file says it was made by a generative model.",
    ]


@pytest.mark.parametrize("length", [0, 1, 5, 0x7FFF, 0x8000, 0xFFFF])
def test_lengths_of_iptc_that_lie_end_the_walk(length: int):
    content = struct.pack(">BBBH", 0x1C, 2, 65, length) + b"Midj"
    for payload in (photoshop(content), photoshop(content)[:-3], photoshop(content)[:20], b"Photoshop 3.0\0" + content):
        list(iptc_texts(payload))
    resource = b"Photoshop 3.0\x008BIM" + struct.pack(">HBB", 0x0404, 255, 0) + b"\xff" * 40
    assert list(iptc_texts(resource)) == []


def test_beside_a_verdict_stand_a_few_notes_and_no_more():
    found = png(parameters=SETTINGS, Software="Midjourney", Source="Firefly", Author="grok")
    assert len(found.notes()) == 4
    many = {
        "parameters": "x",
        "prompt": "x",
        "Dream": "x",
        "Software": "Midjourney",
        "Source": "Firefly",
        "Author": "Grok",
    }
    assert len(png(**many, Comment=NOVELAI).notes()) == MOST_NOTES


def test_no_note_is_slow_to_tell():
    started = time.process_time()
    for field in {field for note in NOTES for field in note.fields}:
        for text in ("Steps: 1, " * 8000, '"uc" ' * 16000, "Job ID: a" * 9000, "made with " * 8000):
            program_of_notes(field, text)
    assert png(parameters="made with " * 8000, Description="made with " * 8000).says_generated
    assert time.process_time() - started < 5
