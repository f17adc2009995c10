"""Results in plain words, as HTML. All names from outside are escaped."""

import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from io import BytesIO

import numpy as np
from PIL import Image

from ..configuration_fakeface import FakeFaceConfig
from ..detector.judging import TOO_SMALL
from ..explain import Explanation
from ..explain.drawing import draw_faces, map_layer
from ..images import Provenance
from ..images.provenance import ABSENCE
from ..results import FaceResult, Result
from ..results import verdict as verdict_of
from . import links

FACE_SIDE = 96  # pixels; a face in the list
SHOWN_SIDE = 1024  # pixels; the picture with its boxes is for looking at

VERDICTS = {"generated": "Looks generated", "real": "Looks like a photograph", "uncertain": "Cannot tell"}
SAID_OF_FACES = {"generated": "looks generated", "real": "looks like a photograph", "uncertain": "could be either"}
MEANINGS = {
    "generated": "Take this as a reason to look closer, not as proof.",
    "real": "This is not proof either: some generated pictures pass for photographs.",
    "uncertain": "This picture could be either.",
}
SMALL = "The face is too small to judge. Look for a larger copy of the picture."
NO_FACE = (
    '<section class="verdict refused" role="status"><h2 tabindex="-1">No face found</h2>'
    "<p>Only faces are judged, and none was found. If there is one, crop the picture to it and try again.</p></section>"
)
NO_FINDER_BANNER = (
    '<section class="verdict refused" role="alert"><h2>No face model here</h2><p>This server cannot find faces, so it '
    "gives no verdicts. Whoever runs it can set <code>FAKEFACE_FACE_MODEL</code> to the file of one.</p></section>"
)
WAITING = '<div class="verdict waiting" role="status">The verdict will appear here.</div>'
WORDS = {
    "waiting": WAITING,
    "judging": '<div class="verdict waiting" role="status">Judging…</div>',
    "fetching": '<div class="verdict waiting" role="status">Fetching the picture…</div>',
    "failed": '<section class="verdict refused" role="alert"><h2 tabindex="-1">No answer</h2>'
    "<p>The server is busy, or something went wrong there. Try again in a moment.</p></section>",
    "caveat": "A score is evidence, not proof.",
    "many": '<p role="status">Waiting for the server…</p>',
}
MAP_LABELS = {
    "generated": "Where it looks generated to the model",
    "real": "Where it looks like a photograph to the model",
}
LABEL_NAMES = {"generated": "“generated”", "real": "“photograph”"}
NO_MAP = "No map, as the verdict is open"
NOTHING_STOOD_OUT = "No part of the face stood out"
SAYS_GENERATED = "The file itself says that a generative model was at work."
UNCHECKED = "The verdict above takes none of this into account: anyone can write such notes, or wipe them."
NOTES_APART = (
    "Not part of the verdict or its score: such notes can be removed or forged. All of it: File details, below."
)
LIMITS = """
<section class="limits" aria-labelledby="limits-title">
  <h2 id="limits-title">What it cannot know</h2>
  <ul>
    <li><b>It weighs traces, it does not prove.</b> It is wrong on some pictures, in both directions. Look for the
    source of a picture too, and never accuse anyone on this verdict alone.</li>
    <li><b>It was trained on fully generated faces.</b> Retouching, filters, face swaps and edits of a part may pass
    unseen, and so may generators newer than its training pictures.</li>
    <li><b>Every copy wipes out traces.</b> Screenshots, messengers and strong compression make it less sure. Use the
    earliest copy that you can find.</li>
    <li><b>The colours show where its evidence lay</b>, not what was altered, nor by whom.</li>
  </ul>
</section>
"""
OWN_LINES = "The lines are this server's own, so the error rate measured for the model does not hold for them."


@dataclass(frozen=True)
class Words:
    """What is said with each verdict of a Space.

    Attributes:
        config: of its model.
        measured: a sentence for each verdict, of `rates.sentences`.
        own_lines: whether the thresholds are not those the model was calibrated for.
        model: what it is called, with the version of fakeface.
        source: where a wrong verdict is reported.
    """

    config: FakeFaceConfig
    measured: Mapping[str, str] = field(default_factory=dict)
    own_lines: bool = False
    model: str = ""
    source: str | None = None


def verdict_panel(result: Result, words: Words) -> str:
    """What was found in one picture."""
    if result.error is not None:
        return (
            '<section class="verdict refused" role="alert"><h2 tabindex="-1">This picture could not be judged</h2>'
            f"<p>{escape(result.error)}</p></section>"
        )
    if result.verdict == "no face":
        return NO_FACE
    assert result.score is not None
    assert result.verdict is not None
    small = result.verdict == "uncertain" and any(TOO_SMALL in reason for reason in result.reasons)
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in result.reasons)
    report = ""
    if words.source:
        address = links.report(words.source, result, words.model)
        report = f'<p class="report">{links.link(address, "Report a wrong verdict")}</p>'
    config, several = words.config, len(result.faces) > 1
    # Of what is open for another reason than its score, such as its size, nothing was measured.
    rate = words.measured.get(result.verdict, "") if verdict_of(result.score, config) == result.verdict else ""
    point = ""
    if words.own_lines:
        point = OWN_LINES
    elif not rate or several:
        point = operating_point(config.target_fpr, len(result.faces), bool(config.group_thresholds))
    return (
        f'<section class="verdict {result.verdict}" role="status"><h2 tabindex="-1">{VERDICTS[result.verdict]}</h2>'
        f"<p>{SMALL if small else MEANINGS[result.verdict]}</p>"
        f"{_paragraph(rate, 'rate')}"
        f"{scale(result.score, result.verdict, config.threshold_real, config.threshold_generated)}"
        f"{_paragraph(point, 'operating-point')}"
        f'<ul class="reasons">{reasons}</ul>{report}</section>'
    )


def _paragraph(text: str, kind: str) -> str:
    return f'<p class="{kind}">{text}</p>' if text else ""


def face_list(result: Result, picture: Image.Image | None = None, chosen: int | None = None) -> str:
    """The faces of a group, the most generated first and those too small to tell last, with what is said of each.

    With the picture that was judged each is a button with a thumbnail, by which `page.js` asks for that face's map.
    """
    if len(result.faces) < 2:
        return ""
    small = [any(TOO_SMALL in reason for reason in face.reasons) for face in result.faces]
    items = ""
    for place in sorted(range(len(small)), key=lambda place: (small[place], -result.faces[place].score)):
        face = result.faces[place]
        why = "; too small to tell" if small[place] else ""
        words = f"<b>Face {place + 1}</b> {_said(face)}{why}"
        if picture:
            pressed = "true" if place == chosen else "false"
            words = f'<img alt="" src="{data_address(_face(picture, face), "JPEG")}"><span>{words}</span>'
            words = f'<button type="button" data-face="{place}" aria-pressed="{pressed}">{words}</button>'
        items += f'<li class="{face.verdict}">{words}</li>'
    return f'<ol class="faces" aria-label="The faces, the most generated first">{items}</ol>'


def _said(face: FaceResult) -> str:
    return f"{SAID_OF_FACES[face.verdict]}, score {shown(face.score)}"


def _face(picture: Image.Image, face: FaceResult) -> Image.Image:
    """A thumbnail of a face, with some room around its box."""
    left, top, right, bottom = face.box
    half = 0.7 * max(right - left, bottom - top)
    x, y = (left + right) / 2, (top + bottom) / 2
    square = (round(x - half), round(y - half), round(x + half), round(y + half))
    return picture.crop(square).resize((FACE_SIDE, FACE_SIDE))


def scale(score: float, verdict: str, lower: float, upper: float) -> str:
    """The score on a line from 0 to 1 with the two thresholds."""
    zones = [("real", 0, lower, f"up to {number(lower)}"), ("generated", upper, 1, f"from {number(upper)}")]
    if lower < upper:
        zones.insert(1, ("uncertain", lower, upper, "in between"))
    bars = "".join(
        f'<i class="{zone}" style="left: {100 * start:.2f}%; right: {100 - 100 * end:.2f}%"></i>'
        for zone, start, end, _ in zones
    )
    key = "".join(f'<li class="{zone}"><b>{VERDICTS[zone]}</b> {extent}</li>' for zone, _, _, extent in zones)
    return (
        '<div class="scale" role="meter" aria-label="Score, from 0 for a photograph to 1 for generated"'
        f' aria-valuemin="0" aria-valuemax="1" aria-valuenow="{score:.3f}"'
        f' aria-valuetext="{shown(score)}: {VERDICTS[verdict].lower()}">'
        f'<div class="pointer" style="--at: {100 * score:.2f}%"><span>score <b>{shown(score)}</b></span></div>'
        f'<div class="zones">{bars}</div>'
        '<div class="ends"><span>0 photograph</span><span>generated 1</span></div></div>'
        f'<ul class="key" aria-label="The lines on the scale">{key}</ul>'
    )


def shown(score: float) -> str:
    """A score in three digits. Nobody should read certainty off a rounded one."""
    return "under 0.001" if score < 0.001 else "over 0.999" if score > 0.999 else f"{score:.3f}"


def number(threshold: float) -> str:
    """A threshold in three digits; in six near 0 and 1, so that it is not rounded to them."""
    digits = 3 if 0.001 <= threshold <= 0.999 else 6
    return f"{threshold:.{digits}f}".rstrip("0").rstrip(".")


def operating_point(target_fpr: float | None, faces: int = 1, groups: bool = False) -> str:
    """The false-positive rate in plain words; empty for an uncalibrated model, of which `Result` warns itself.

    Args:
        target_fpr: of the model.
        faces: how many were judged.
        groups: whether the model has thresholds of its own for pictures of several faces.
    """
    if not target_fpr:
        return ""
    photos = 10 ** max(2, math.ceil(-math.log10(target_fpr)))
    called = float(f"{target_fpr * photos:.2g}")
    is_called = "is" if called == 1 else "are"
    line = (
        "The line for “looks generated” is drawn so that "
        f"of {photos} real photos about {called:g} {is_called} called generated."
    )
    if faces < 2:
        return line
    if groups:
        return f"{line} For a picture of {faces} faces it is drawn higher, so that as few are called generated wrongly."
    return f"{line} That is for one face: among {faces} faces one wrong call is likelier."


def provenance_panel(found: Provenance, size: tuple[int, int] | None = None) -> str:
    """What a file says it has been through; `size` is the picture's width and height in pixels, where known."""
    lines = [(line.name, line.value, line.says) for line in found.lines()]
    if size:
        lines.insert(1, ("size", f"{size[0]} x {size[1]} pixels", ""))
    items = "".join(
        f'<div class="{says}"><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>' for name, value, says in lines
    )
    claim = f"<p><b>{SAYS_GENERATED}</b></p>" if found.says_generated else ""
    return (
        '<section class="limits" aria-labelledby="said-title"><h2 id="said-title">File details</h2>'
        f"{claim}<dl>{items}</dl><p>{UNCHECKED} {ABSENCE}</p></section>"
    )


def notes_panel(found: Provenance) -> str:
    """Who or what the file says made it, for beside the verdict and apart from it; nothing where it says nothing."""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in found.notes())
    if not items:
        return ""
    return (
        '<section class="notes" aria-labelledby="notes-title"><h3 id="notes-title">What the file says of itself</h3>'
        f"<ul>{items}</ul><p>{NOTES_APART}</p></section>"
    )


def evidence_figure(explanation: Explanation, words: Words) -> str:
    """The picture with boxed faces and the face as the model saw it, over both the map, whose opacity the slider sets.

    What is said of them goes with the figure, for the picture that `page.js` saves.
    """
    result, number = explanation.result, explanation.face
    boxed = draw_faces(explanation.picture, result.faces, chosen=number, largest=SHOWN_SIDE)
    no_map = is_open(explanation)
    found = NO_MAP if no_map else MAP_LABELS[explanation.label] if explanation.map.any() else NOTHING_STOOD_OUT
    assert result.score is not None
    assert result.verdict is not None
    told = f"{VERDICTS[result.verdict]}, score {shown(result.score)}"
    if number is not None and len(result.faces) > 1:
        found += f", face {number + 1}"
        told += f"; face {number + 1} of {len(result.faces)} {_said(result.faces[number])}"
    faces = {0: "", 1: " with a box around its face"}.get(
        len(result.faces), f" with {len(result.faces)} numbered faces"
    )
    layers = ["", ""]
    if not no_map:
        layers = [
            f'<img class="layer" alt="{alt}" src="{data_address(map_layer(map, explanation.label), "PNG")}">'
            for map, alt in ((explanation.map, found), (explanation.crop_map, ""))
        ]
    crop = data_address(explanation.crop, "JPEG")
    return (
        f'<figure class="map" data-told="{told}" data-model="{escape(words.model)}"><div class="views">'
        f'<div class="layers whole"><img class="boxed" alt="The picture{faces}" src="{data_address(boxed, "JPEG")}">'
        f"{layers[0]}{_targets(explanation)}</div>"
        f'<div class="layers face"><img alt="The face as the model sees it" src="{crop}">'
        f"{layers[1]}</div></div>"
        f"<figcaption>{found}</figcaption>{'' if no_map else map_key(explanation.label)}</figure>"
    )


def _targets(explanation: Explanation) -> str:
    """What is clicked to choose a face in the picture; keyboards and screen readers have the list of faces."""
    faces, (width, height) = explanation.result.faces, explanation.picture.size
    targets = ""
    for place, face in enumerate(faces if len(faces) > 1 else ()):
        left, top, right, bottom = face.box
        edges = {"left": left / width, "top": top / height, "right": 1 - right / width, "bottom": 1 - bottom / height}
        style = "; ".join(f"{edge}: {100 * share:.2f}%" for edge, share in edges.items())
        targets += f'<i aria-hidden="true" data-face="{place}" style="{style}"></i>'
    return targets


def is_open(explanation: Explanation) -> bool:
    """Whether no verdict was given on what is mapped: its map would argue for a label that nobody gave."""
    result, face = explanation.result, explanation.face
    judged = result if face is None or len(result.faces) < 2 else result.faces[face]
    return judged.verdict == "uncertain"


def map_key(label: str) -> str:
    """What the colours of a map mean: they fade in as in an overlay."""
    strip = map_layer(np.linspace(0, 1, 256, dtype=np.float32)[None], label)
    return (
        f'<div class="map-key"><span>little</span><img alt="to" src="{data_address(strip, "PNG")}">'
        f"<span>much evidence for {LABEL_NAMES[label]}</span></div>"
    )


def gallery(judged: Sequence[tuple[Result, Image.Image | None]]) -> str:
    """Thumbnails of judged pictures, the most generated first, those without a score at the end.

    Each is a button with the place of its picture among those given, by which `page.js` shows all that is said of it.
    """
    places = sorted(range(len(judged)), key=lambda at: (judged[at][0].score is None, -(judged[at][0].score or 0)))
    tiles = "".join(_tile(place, *judged[place]) for place in places)
    return f'<ol class="gallery" aria-label="The pictures, the most generated first">{tiles}</ol>'


def _tile(place: int, result: Result, thumbnail: Image.Image | None) -> str:
    picture = '<span class="blank"></span>'
    if thumbnail:
        name = escape(f"Show the result of {result.picture}", quote=True)
        shown_small = f'<img alt="" src="{data_address(thumbnail, "JPEG")}">'
        picture = f'<button type="button" data-open="{place}" aria-label="{name}">{shown_small}</button>'
    verdict = result.verdict or "refused"
    words = {"refused": "Not judged", "no face": "No face found", **VERDICTS}[verdict]
    score = "" if result.score is None else f" <b>{shown(result.score)}</b>"
    faces = f", {len(result.faces)} faces" if len(result.faces) > 1 else ""
    detail = f"<small>{escape(result.error)}</small>" if result.error else f"<small>{escape(result.picture)}</small>"
    return f'<li class="{verdict.replace(" ", "-")}">{picture}<p>{words}{score}{faces}</p>{detail}</li>'


def progress(words: str, share: float | None = None) -> str:
    """How far many pictures are; `words` is HTML, `share` what part of them is judged."""
    bar = "" if share is None else f'<progress aria-label="Judged" value="{share:.3f}"></progress>'
    return f'<p role="status">{words}</p>{bar}'


def counts(judged: Sequence[tuple[Result, Image.Image | None]]) -> str:
    """How many pictures got which verdict, in a sentence."""
    found = [result.verdict or "not judged" for result, _ in judged]
    words = {"generated": "look generated", "uncertain": "could be either", "real": "look like photographs"}
    words |= {"no face": "have no face", "not judged": "were not judged"}
    parts = [f"{found.count(verdict)} {text}" for verdict, text in words.items() if verdict in found]
    return f"{len(judged)} {'picture' if len(judged) == 1 else 'pictures'}: {', '.join(parts)}."


def data_address(picture: Image.Image, format_: str) -> str:
    """A picture as a `data:` address, so that no file of it is kept."""
    buffer = BytesIO()
    picture.save(buffer, format_, **({"quality": 85} if format_ == "JPEG" else {"optimize": True}))
    return f"data:image/{format_.lower()};base64,{b64encode(buffer.getvalue()).decode('ascii')}"
