"""A report to keep of one picture: a page of HTML that holds everything it shows, for an archive or a printer."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from markupsafe import Markup
from PIL import Image

from .. import __version__
from ..detector import Detector
from ..detector.points import DEFAULT
from ..explain import Explanation
from ..explain.drawing import draw_faces
from ..images import ABSENCE, Opened, PictureError, Provenance, open_picture, picture_bytes, read_provenance
from ..model_folder.fingerprint import weights_sha256
from ..model_folder.onnx import OnnxModel
from ..reports.html import templates
from ..results import FaceResult, Result, group_threshold
from ..results import verdict as verdict_of
from . import panels, rates
from .tables import report_of

SHOWN_SIDE = 900  # pixels; as wide as a sheet of A4 needs at 120 dots per inch
NO_FACE = "No face found"
NO_RATE = "No rate of this verdict was measured for this model."


@dataclass(frozen=True)
class Record:
    """What a report tells of.

    Attributes:
        found: what the detector said, with a map where there is one.
        picture: upright RGB; of an animation without a map its first frame.
        provenance: what its file says.
        words: of the model and its rates.
        weights: sha256 of the model's weights, as 64 hex digits.
        at: when it was judged, with a time zone.
    """

    found: Result | Explanation
    picture: Image.Image
    provenance: Provenance
    words: panels.Words
    weights: str
    at: datetime

    @property
    def result(self) -> Result:
        """The verdict."""
        return self.found.result if isinstance(self.found, Explanation) else self.found


def record_file(detector: Detector, picture: str | os.PathLike[str], operating_point: str = DEFAULT) -> Record:
    """Judge one picture for a report.

    Args:
        detector: without a cascade, as a report tells of one model.
        picture: a path or an https address, which is read once.
        operating_point: at which the detector judges; rates were measured at the default one.

    Raises:
        PictureError: the picture is refused.
    """
    name = os.fspath(picture)
    data = picture_bytes(picture)
    opened = open_picture(data, name=name)
    report = report_of(detector.name) if operating_point == DEFAULT else None
    model = Path(detector.name).name if os.path.exists(detector.name) else detector.name
    found = _judged(detector, opened, name)
    return Record(
        found,
        found.picture if isinstance(found, Explanation) else opened.frames[0],
        read_provenance(data, name=name),
        panels.Words(detector.config, rates.sentences(report), model=f"fakeface {__version__}, model {model}"),
        weights_sha256(detector.name),
        datetime.now().astimezone(),
    )


def _judged(detector: Detector, opened: Opened, name: str) -> Result | Explanation:
    if isinstance(detector.model, OnnxModel):  # it has no gradients
        return replace(detector(opened), picture=name)
    try:
        explained = detector.explain(opened, label=None)
    except PictureError as error:
        if error.reason != "no-face":
            raise
        return Result(name, None, "no face", (error.problem,))
    return replace(explained, result=replace(explained.result, picture=name))


def picture_report(record: Record) -> str:
    """The report as HTML: no script, no request to anywhere, and all that comes from outside escaped."""
    result, words = record.result, record.words
    page = templates(Path(__file__).parent, score=panels.shown)
    rate = ""
    if result.score is not None and verdict_of(result.score, words.config) == result.verdict:
        rate = words.measured.get(result.verdict or "", "")
    return page.get_template("picture_report.html").render(
        result=result,
        heading=panels.VERDICTS.get(result.verdict or "", NO_FACE),
        meaning=panels.MEANINGS.get(result.verdict or "", ""),
        rate=panels.OWN_LINES if words.own_lines else rate or NO_RATE,
        lines=_lines(record),
        faces=[_face(number, face) for number, face in enumerate(result.faces, start=1)],
        boxed=panels.data_address(draw_faces(record.picture, result.faces, largest=SHOWN_SIDE), "JPEG"),
        map=_map(record.found),
        notes=record.provenance.notes(),
        details=record.provenance.lines(),
        unchecked=panels.UNCHECKED,
        absence=ABSENCE,
        size=record.picture.size,
        shrunk=max(record.picture.size) > SHOWN_SIDE,
        sha256=record.provenance.sha256,
        model=words.model,
        weights=record.weights,
        at=record.at.isoformat(" ", "seconds"),
        caveat=panels.WORDS["caveat"],
        limits=Markup(panels.LIMITS),
    )


def _lines(record: Record) -> list[tuple[str, str]]:
    """Where verdicts begin, by the model's config."""
    config, faces = record.words.config, len(record.result.faces)
    lines = [
        (panels.VERDICTS["real"], f"up to {panels.number(config.threshold_real)}"),
        (panels.VERDICTS["generated"], f"from {panels.number(config.threshold_generated)}"),
    ]
    if faces > 1:
        line = group_threshold(faces, config)
        lines.append((f"{panels.VERDICTS['generated']}, a picture of {faces} faces", f"from {panels.number(line)}"))
    return lines


def _face(number: int, face: FaceResult) -> dict[str, object]:
    """A row of the table of faces."""
    left, top, right, bottom = map(round, face.box)
    return {
        "number": number,
        "said": panels.VERDICTS[face.verdict],
        "score": panels.shown(face.score),
        "box": f"{left}, {top} to {right}, {bottom}",
        "reasons": "; ".join(face.reasons),
    }


def _map(found: Result | Explanation) -> dict[str, object] | None:
    """Pictures and words of the map; nothing where there is none, or none is drawn because the verdict is open."""
    if not isinstance(found, Explanation) or panels.is_open(found):
        return None
    whole = found.overlay()
    whole.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    caption = panels.MAP_LABELS[found.label] if found.map.any() else panels.NOTHING_STOOD_OUT
    several = found.face is not None and len(found.result.faces) > 1
    return {
        "whole": panels.data_address(whole, "JPEG"),
        "face": panels.data_address(found.on_crop(), "JPEG"),
        "caption": f"{caption}, face {found.face + 1}" if several and found.face is not None else caption,
        "method": found.method,
        "key": Markup(panels.map_key(found.label)),
    }


__all__ = ["Record", "picture_report", "record_file"]
