"""What programs and services that generate pictures write into their files, and how each is told by it.

All of it is what a file claims: anyone can write such notes into a photograph, or wipe them from a generated picture.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """One way in which a program leaves its notes.

    Attributes:
        program: which leaves them so, as it stands behind "made by".
        fields: of the file, in lower case: keys of PNG texts, and names of `exif.TAGS`.
        pattern: what the text holds; by default anything.
    """

    program: str
    fields: tuple[str, ...]
    pattern: re.Pattern[str] = re.compile("")


# The first that fits counts, so those that write as others do stand before them. `parameters` is a PNG text, `comment`
# EXIF's user comment, which JPEG and WebP files carry instead.
_SETTINGS = ("parameters", "comment")
NOTES = (
    # SwarmUI, src/Text2Image/T2IParamInput.cs: JSON in either place.
    Note("SwarmUI", _SETTINGS, re.compile(r'"sui_image_params"')),
    # Fooocus, modules/meta_parser.py and private_logger.py: a key that names the scheme, JSON or AUTOMATIC1111's text.
    Note("Fooocus", ("fooocus_scheme",)),
    Note("Fooocus", _SETTINGS, re.compile(r'"metadata_scheme"|\bVersion: Fooocus|"version": "Fooocus')),
    # Forge, modules_forge/forge_version.py: its version goes in front of AUTOMATIC1111's.
    Note("Stable Diffusion WebUI Forge", _SETTINGS, re.compile(r"\bVersion: f\d")),
    # SD.Next, modules/processing_info.py.
    Note("SD.Next", _SETTINGS, re.compile(r"\bApp: SD\.?Next\b")),
    # Nodes of ComfyUI that save pictures with AUTOMATIC1111's text.
    Note("ComfyUI", _SETTINGS, re.compile(r"\bVersion: ComfyUI\b")),
    # AUTOMATIC1111's stable-diffusion-webui, modules/images.py (save_image_with_geninfo) and processing.py.
    Note(
        "AUTOMATIC1111's Stable Diffusion web UI, or a program that writes as it does",
        _SETTINGS,
        re.compile(r"\bSteps: \d{1,9}, (Sampler|Schedule type|CFG scale): "),
    ),
    Note("a Stable Diffusion program", ("parameters",)),
    # ComfyUI, nodes.py (SaveImage): PNG texts; comfy_extras/nodes_images.py (SaveAnimatedWEBP): EXIF's model is the
    # prompt, its maker and the tags before that are the workflow.
    Note("ComfyUI", ("prompt", "workflow")),
    Note("ComfyUI", ("camera maker", "camera model", "description"), re.compile(r"\A(prompt|workflow): ?\{")),
    # InvokeAI, invokeai/app/services/image_files; the last two are of its versions 1 and 2.
    Note("InvokeAI", ("invokeai_metadata", "invokeai_graph", "invokeai_workflow", "sd-metadata", "dream")),
    # NovelAI's PNG texts Title, Software, Source and Comment, and the EXIF of its other formats.
    Note("NovelAI", ("title", "software", "source", "description"), re.compile(r"\ANovelAI\b")),
    Note("NovelAI", ("comment",), re.compile(r'"signed_hash"\s*:|"uc"\s*:\s*"')),
    # Midjourney's PNG text Description, XMP's dc:description and EXIF's: the prompt, and the job's number.
    Note("Midjourney", ("description",), re.compile(r"\bJob ID: [0-9a-f]{8}-[0-9a-f]{4}-")),
)
KEYS = frozenset(field for note in NOTES if not note.pattern.pattern for field in note.fields)

# Programs and services as they sign themselves in EXIF, XMP, IPTC-IIM, PNG texts and Content Credentials. A photo
# editor with a generator in it (Photoshop) is not one.
SERVICES = {
    "Midjourney": "midjourney",
    "OpenAI's DALL·E or ChatGPT": r"dall[ ·-]?e|openai|chatgpt|gpt-4o|gpt-image",
    "ComfyUI": "comfyui",
    "InvokeAI": "invokeai",
    "AUTOMATIC1111's Stable Diffusion web UI": "automatic1111",
    "Fooocus": "fooocus",
    "NovelAI": "novelai",
    "Draw Things": "draw things",
    "Stable Diffusion": "stable[ -]?diffusion",
    "Adobe Firefly": "firefly",
    "Google's Imagen or Gemini": "imagen|gemini|made with google ai",
    "Bing Image Creator": "bing image creator",
    "Leonardo.Ai": r"leonardo\.ai",
    "Ideogram": "ideogram",
    "FLUX": r"black forest labs|flux\.1",
    "Meta AI": "meta ai|imagined with ai",
    "Grok": "grok",
    "StyleGAN": r"stylegan\w{0,9}|thispersondoesnotexist",
    "Generated Photos": r"generated\.photos",
}
_SERVICES = {name: re.compile(rf"\b({pattern})\b", re.IGNORECASE) for name, pattern in SERVICES.items()}
_SIGNED = frozenset(
    ("software", "source", "credit", "author", "camera maker", "camera model", "named in the credentials")
)
# Elsewhere a name alone may be what the picture shows: Gemini is a constellation too.
_MADE = re.compile(r"\b(?:made|created|generated) (?:with|by|using|in) ", re.IGNORECASE)


def program_of_notes(field: str, text: str) -> str:
    """Which program left notes on how it made the picture; empty where nothing says so.

    Args:
        field: a key of a PNG text, or a name of `exif.TAGS`.
        text: what stands there, whole.
    """
    field = field.lower()
    return next((note.program for note in NOTES if field in note.fields and note.pattern.search(text)), "")


def service_named(field: str, text: str) -> str:
    """Which of `SERVICES` a field names as the picture's maker; empty where it names none.

    Args:
        field: as of `program_of_notes`, or `credit`, or `named in the credentials`.
        text: a short one.
    """
    if field not in _SIGNED:
        said = _MADE.search(text)
        text = text[said.end() :] if said else ""
    return next((name for name, pattern in _SERVICES.items() if pattern.search(text)), "")


__all__ = ["KEYS", "NOTES", "SERVICES", "Note", "program_of_notes", "service_named"]
