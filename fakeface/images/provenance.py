"""What a picture file says it has been through: format, compression, camera, software, generators' notes, credentials.

    >>> from fakeface import read_provenance
    >>> for line in read_provenance("portrait.png").lines():            # doctest: +SKIP
    ...     print(line.name, line.value)

All of it is what the file claims. Metadata is written and wiped by anyone, so a claim is not proof, and the absence of
one means nothing; no score takes any of it into account. Files are untrusted: see `metadata`, `exif` and
`credentials` for the bounds of what is read.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from ..utils.text import one_line
from . import generators
from .credentials import Credentials, check
from .exif import exif_texts
from .file_parts import MOST_PARTS, file_format, jpeg_segments, quality, quantisation_tables
from .iptc import iptc_texts
from .load import Limits, picture_bytes
from .metadata import LONGEST_TEXT, cbor_texts, manifest, metadata

LONGEST_VALUE = 300  # letters of a value in a report
MOST_CLAIMS = 60
MOST_NOTES = 6  # sentences beside a verdict

ABSENCE = "What is not found means nothing: messengers, sites and screenshots wipe it all."

TEXT_KEYS = frozenset(("software", "source", "title", "comment", "description", "author"))
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
    "trainedAlgorithmicData": "made by a generative model",
}
_SAYS = {
    "trainedAlgorithmicMedia": "generated",
    "compositeWithTrainedAlgorithmicMedia": "generated",
    "trainedAlgorithmicData": "generated",
    "digitalCapture": "camera",
    "computationalCapture": "camera",
}
_CAMERA = ("camera maker", "camera model", "lens")
_SIGNATURES = ("software", "source", "title")  # where a generator gives its name, and no notes
_SOURCE_TYPE = re.compile(rb"digitalsourcetype/([A-Za-z]{1,60})")
# Where the manifest lies if it is not in the file (C2PA 2.1, 11.3: dcterms:provenance).
_ELSEWHERE = re.compile(rb"""\bdcterms:provenance(?:=["']|>)\s{0,9}(https?://[^"'<\s]{1,300})""")
_XMP_FIELDS = {"CreatorTool": "software", "Credit": "credit", "Make": "camera maker", "Model": "camera model"}


@dataclass(frozen=True)
class Claim:
    """One thing the file says.

    Attributes:
        name: such as `"camera model"`.
        value: in printable characters, at most `LONGEST_VALUE`.
        says: `"generated"` where it claims that a generative model was at work, `"camera"` where a camera, else empty.
        made_by: the program or service that it says made the picture, one of those in `generators`; else empty.
    """

    name: str
    value: str
    says: str = ""
    made_by: str = ""


@dataclass(frozen=True)
class Provenance:
    """What a file says of itself.

    Attributes:
        format: one of `file_parts.FORMATS`, or `"other"`.
        size: bytes.
        sha256: of the file, to cite it by.
        jpeg_quality: libjpeg's quality whose quantisation table comes nearest, 1 to 100; `None` for other formats.
        content_credentials: whether a C2PA manifest is in the file.
        claims: what else was found, in the order of the file.
        credentials: what checking the manifest found; `None` where the file has none and names none.
    """

    format: str
    size: int
    sha256: str
    jpeg_quality: int | None = None
    content_credentials: bool = False
    claims: tuple[Claim, ...] = ()
    credentials: Credentials | None = None

    @property
    def says_generated(self) -> bool:
        """Whether anything in the file claims that a generative model was at work."""
        return any(claim.says == "generated" for claim in self.claims)

    def notes(self) -> list[str]:
        """In sentences who or what the file says made it: what is said of its credentials, its notes, its camera."""
        told = []
        if self.credentials is not None:
            told.append(f"Content Credentials: {self.credentials.told}.")
        told += [f"The file says it was made by {maker}." for maker in self._found(made_by=True)]
        for value in self._found("digital source type"):
            told.append(f"The file says it {'is' if value.startswith('a ') else 'was'} {value}.")
        maker, model = ("".join(self._found(field)[:1]) for field in ("camera maker", "camera model"))
        camera = model if model.lower().startswith(maker.lower()) else f"{maker} {model}"
        if camera.strip():
            told.append(f"The file says it was taken with {camera.strip()}.")
        told += [f"The file names the program {program}." for program in self._found("software")]
        return [one_line(sentence, LONGEST_VALUE) for sentence in told[:MOST_NOTES]]

    def _found(self, name: str = "", made_by: bool = False) -> list[str]:
        """What the claims of a name say, those that name a generator apart; or which generators they name."""
        if made_by:
            return list(dict.fromkeys(claim.made_by for claim in self.claims if claim.made_by))
        return list(dict.fromkeys(claim.value for claim in self.claims if claim.name == name and not claim.made_by))

    def lines(self) -> list[Claim]:
        """Everything, as names and values in plain words."""
        found = [Claim("format", self.format), Claim("file", f"{self.size:,} bytes, sha256 {self.sha256}")]
        if self.jpeg_quality is not None:
            found.append(Claim("JPEG quality", f"about {self.jpeg_quality} of 100, by its tables"))
        if self.credentials is not None:
            given = self.credentials
            found.append(Claim("Content Credentials", given.told))
            parts = {"issuer": given.signer, "tool": given.tool, "date": given.date}
            found += [Claim(f"{part} in the credentials", value) for part, value in parts.items() if value]
        found += [Claim("says it was made by", maker, "generated") for maker in self._found(made_by=True)]
        return [*found, *self.claims]

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON types."""
        return {**asdict(self), "claims": [asdict(claim) for claim in self.claims]}


def read_provenance(
    picture: Any, *, name: str | None = None, limits: Limits | None = None, verify: bool = True
) -> Provenance:
    """Read what a picture file says of itself.

    Args:
        picture: bytes of a file, its path, an https address, or a file object.
        name: what to call it in errors.
        limits: at most `max_bytes` are read.
        verify: check Content Credentials where there are some, as `credentials.check` does: in a process of its own,
            within seconds, without asking another machine.

    Raises:
        PictureError: the file cannot be read. Whatever is in it, nothing else is raised.
    """
    data = picture_bytes(picture, name=name, limits=limits or Limits())
    format_ = file_format(data)
    store = manifest(data, format_)
    claims = [*islice(_claims(data, format_), MOST_CLAIMS), *_credential_claims(store)]
    if store:
        credentials = check(data, format_) if verify else Credentials("unchecked", problem="nobody asked for it")
    else:
        credentials = _elsewhere(data, format_)
    return Provenance(
        format=format_,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        jpeg_quality=_jpeg_quality(data) if format_ == "JPEG" else None,
        content_credentials=bool(store),
        claims=tuple(dict.fromkeys(claims)),
        credentials=credentials,
    )


def _claims(data: bytes, format_: str) -> Iterator[Claim]:
    for kind, content in metadata(data, format_):
        if kind == "exif":
            yield from (_claim(field, text) for field, text in exif_texts(content))
        elif kind == "xmp":
            yield from _xmp_claims(content)
        elif kind == "iptc":
            yield from (_claim(field, text) for field, text in iptc_texts(content))
            yield from _source_types(content)
        elif kind.lower() in generators.KEYS | TEXT_KEYS:
            yield _claim(kind, _decoded(content[:LONGEST_TEXT]))


def _claim(name: str, text: str) -> Claim:
    """With what it says of the picture's origin."""
    field = name.lower()
    value = _clean(text)
    program = generators.program_of_notes(field, text)
    if program and (field in generators.KEYS or field not in _SIGNATURES):
        key = f"{name}: " if field in generators.KEYS else ""
        return Claim("a generator's notes", _clean(key + text), "generated", program)
    maker = program or generators.service_named(field, value)
    says = "generated" if maker else "camera" if field in _CAMERA and value else ""
    return Claim(field, value, says, maker)


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


def _elsewhere(data: bytes, format_: str) -> Credentials | None:
    """The credentials that lie where the file says; nobody is asked for them."""
    for kind, content in islice(metadata(data, format_), MOST_PARTS):
        address = _ELSEWHERE.search(content[:LONGEST_TEXT]) if kind == "xmp" else None
        if address:
            return Credentials("elsewhere", problem=_clean(address[1].decode("utf-8", "replace")))
    return None


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
    return one_line(text, LONGEST_VALUE)


__all__ = ["ABSENCE", "Claim", "Provenance", "read_provenance"]
