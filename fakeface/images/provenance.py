"""What a picture file says it has been through: format, compression, camera, software, generators' notes, credentials.

    >>> from fakeface import read_provenance
    >>> for line in read_provenance("portrait.png").lines():            # doctest: +SKIP
    ...     print(line.name, line.value)

All of it is what the file claims. Metadata is written and wiped by anyone, so a claim is not proof, and the absence of
one means nothing; no score takes any of it into account. Files are untrusted: see `file_metadata` and `exif` for the
bounds of what is read.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from .exif import exif_texts
from .file_parts import MOST_PARTS, file_format, jpeg_segments, quality, quantisation_tables
from .load import Limits, picture_bytes
from .metadata import LONGEST_TEXT, cbor_texts, manifest, metadata

LONGEST_VALUE = 300  # letters of a value in a report
MOST_CLAIMS = 60

ABSENCE = "What is not found means nothing: messengers, sites and screenshots wipe it all."

# Keys of PNG texts under which generators' programs keep prompt and settings: AUTOMATIC1111 and its forks; ComfyUI
# (two); InvokeAI, now and in its first versions (four); Fooocus.
_INVOKEAI = ("invokeai_metadata", "invokeai_graph", "sd-metadata", "Dream")
GENERATOR_KEYS = frozenset(("parameters", "prompt", "workflow", *_INVOKEAI, "fooocus_scheme"))
TEXT_KEYS = frozenset(("software", "source", "title", "comment", "description", "author"))
# What AUTOMATIC1111 writes of its settings; JPEG and WebP files carry it as EXIF's user comment.
_SETTINGS = re.compile(r"\bSteps: \d{1,9}, (Sampler|Schedule type|CFG scale): ")
# Programs and services that generate, as they sign EXIF, XMP and PNG texts. A photo editor with a generator in it
# (Photoshop) is not one.
_GENERATORS = re.compile(
    r"\b(midjourney|dall[ ·-]?e|openai|chatgpt|gpt-4o|stable[ -]?diffusion|comfyui|invokeai|automatic1111|fooocus"
    r"|novelai|firefly|imagen|gemini|made with google ai|bing image creator|leonardo\.ai|ideogram|black forest labs"
    r"|flux\.1|meta ai|imagined with ai|grok|stylegan\w{0,9}|thispersondoesnotexist|generated\.photos)\b",
    re.IGNORECASE,
)
# IPTC's words for where a picture came from (cv.iptc.org/newscodes/digitalsourcetype), in ours.
SOURCE_TYPES = {
    "trainedAlgorithmicMedia": "made by a generative model",
    "compositeWithTrainedAlgorithmicMedia": "a composite with parts from a generative model",
    "algorithmicMedia": "made by a program",
    "compositeSynthetic": "a composite with synthetic parts",
    "algorithmicallyEnhanced": "enhanced by a program",
    "digitalCapture": "taken with a digital camera",
    "computationalCapture": "taken with a digital camera that merges several exposures",
    "negativeFilm": "scanned from a negative",
    "positiveFilm": "scanned from a slide",
    "print": "scanned from a print",
    "screenCapture": "a screenshot",
    "virtualRecording": "recorded in a virtual world",
    "humanEdits": "edited by a human",
    "minorHumanEdits": "edited a little by a human",
    "composite": "a composite",
    "compositeCapture": "a composite of camera pictures",
    "dataDrivenMedia": "made from data",
    "digitalCreation": "drawn by a human",
    "digitalArt": "drawn by a human",
}
_SAYS = {
    "trainedAlgorithmicMedia": "generated",
    "compositeWithTrainedAlgorithmicMedia": "generated",
    "digitalCapture": "camera",
    "computationalCapture": "camera",
}
_CAMERA = ("camera maker", "camera model", "lens")
_SOURCE_TYPE = re.compile(rb"digitalsourcetype/([A-Za-z]{1,60})")
_XMP_FIELDS = {"CreatorTool": "software", "Credit": "credit", "Make": "camera maker", "Model": "camera model"}


@dataclass(frozen=True)
class Claim:
    """One thing the file says.

    Attributes:
        name: such as `"camera model"`.
        value: in printable characters, at most `LONGEST_VALUE`.
        says: `"generated"` where it claims that a generative model was at work, `"camera"` where a camera, else empty.
    """

    name: str
    value: str
    says: str = ""


@dataclass(frozen=True)
class Provenance:
    """What a file says of itself.

    Attributes:
        format: one of `file_parts.FORMATS`, or `"other"`.
        size: bytes.
        sha256: of the file, to cite it by.
        jpeg_quality: libjpeg's quality whose quantisation table comes nearest, 1 to 100; `None` for other formats.
        content_credentials: whether a C2PA manifest is in the file. Its signature is not checked.
        claims: what else was found, in the order of the file.
    """

    format: str
    size: int
    sha256: str
    jpeg_quality: int | None = None
    content_credentials: bool = False
    claims: tuple[Claim, ...] = ()

    @property
    def says_generated(self) -> bool:
        """Whether anything in the file claims that a generative model was at work."""
        return any(claim.says == "generated" for claim in self.claims)

    def lines(self) -> list[Claim]:
        """Everything, as names and values in plain words."""
        found = [Claim("format", self.format), Claim("file", f"{self.size:,} bytes, sha256 {self.sha256}")]
        if self.jpeg_quality is not None:
            found.append(Claim("JPEG quality", f"about {self.jpeg_quality} of 100, by its tables"))
        if self.content_credentials:
            found.append(Claim("Content Credentials", "a C2PA manifest is there; its signature was not checked"))
        return [*found, *self.claims]

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON types."""
        return {**asdict(self), "claims": [asdict(claim) for claim in self.claims]}


def read_provenance(picture: Any, *, name: str | None = None, limits: Limits | None = None) -> Provenance:
    """Read what a picture file says of itself.

    Args:
        picture: bytes of a file, its path, an https address, or a file object.
        name: what to call it in errors.
        limits: at most `max_bytes` are read.

    Raises:
        PictureError: the file cannot be read. Whatever is in it, nothing else is raised.
    """
    data = picture_bytes(picture, name=name, limits=limits or Limits())
    format_ = file_format(data)
    store = manifest(data, format_)
    claims = [*islice(_claims(data, format_), MOST_CLAIMS), *_credential_claims(store)]
    return Provenance(
        format=format_,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        jpeg_quality=_jpeg_quality(data) if format_ == "JPEG" else None,
        content_credentials=bool(store),
        claims=tuple(dict.fromkeys(claims)),
    )


def _claims(data: bytes, format_: str) -> Iterator[Claim]:
    for kind, content in metadata(data, format_):
        if kind == "exif":
            yield from (_claim(field, text) for field, text in exif_texts(content))
        elif kind == "xmp":
            yield from _xmp_claims(content)
        else:
            text = _decoded(content[:LONGEST_TEXT])
            if kind in GENERATOR_KEYS:
                yield Claim("a generator's notes", _clean(f"{kind}: {text}"), "generated")
            elif kind.lower() in TEXT_KEYS:
                yield _claim(kind.lower(), text)


def _claim(name: str, text: str) -> Claim:
    """With what it says of the picture's origin."""
    if _SETTINGS.search(text):
        return Claim("a generator's notes", _clean(text), "generated")
    value = _clean(text)
    says = "generated" if _GENERATORS.search(value) else "camera" if name in _CAMERA and value else ""
    return Claim(name, value, says)


def _xmp_claims(content: bytes) -> Iterator[Claim]:
    """XMP's fields by pattern, as attributes or elements: its XML is untrusted, and no parser sees it."""
    yield from _source_types(content)
    text = content[:LONGEST_TEXT].decode("utf-8", "replace")
    for field, name in _XMP_FIELDS.items():
        for match in islice(re.finditer(rf'\b{field}(?:="([^"<]{{1,300}})"|>([^<]{{1,300}})<)', text), 3):
            yield _claim(name, match[1] or match[2])


def _source_types(content: bytes) -> Iterator[Claim]:
    for match in islice(_SOURCE_TYPE.finditer(content), 5):
        code = match[1].decode("ascii")
        yield Claim("digital source type", SOURCE_TYPES.get(code, code), _SAYS.get(code, ""))


def _credential_claims(store: bytes) -> Iterator[Claim]:
    """Who wrote the manifest, and the source types in it, by pattern: its CBOR is not parsed."""
    for text in cbor_texts(store, (b"claim_generator", b"softwareAgent", b"dname")):
        yield _claim("named in the credentials", text)
    yield from _source_types(store)


def _jpeg_quality(data: bytes) -> int | None:
    for marker, payload in islice(jpeg_segments(data), MOST_PARTS):
        for number, table in quantisation_tables(payload) if marker == 0xDB else ():
            if number == 0:
                return round(quality(int(table.sum())))
    return None


def _decoded(content: bytes) -> str:
    """PNG's texts are Latin-1 by its specification, and UTF-8 by what many write."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _clean(text: str) -> str:
    """In one line of printable characters: what a file holds is untrusted."""
    words = "".join(c if c.isprintable() else " " for c in text[: 4 * LONGEST_VALUE])
    return " ".join(words.split())[:LONGEST_VALUE]


__all__ = ["ABSENCE", "Claim", "Provenance", "read_provenance"]
