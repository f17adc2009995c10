"""Results in plain words, as HTML. All that a stranger named is escaped."""

import math
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO

from PIL import Image

from fakeface import Explanation, FakeFaceConfig, Provenance, Result
from fakeface.detector import TOO_SMALL
from fakeface.drawing import draw_faces, map_layer
from fakeface.explain import colour_table
from fakeface.provenance import ABSENCE

SHOWN_SIDE = 1024  # pixels; the picture with its boxes is for looking at

VERDICTS = {"generated": "Looks generated", "real": "Looks like a photograph", "uncertain": "Cannot tell"}
MEANINGS = {
    "generated": "Take this as a reason to look closer, not as proof.",
    "real": "This is no proof either: some generated pictures pass for photographs.",
    "uncertain": "This picture could be either.",
}
SMALL = "The face is too small to judge. Look for a larger copy of the picture."
NO_FACE = (
    '<section class="verdict refused" role="status"><h2>No face found</h2>'
    "<p>Only faces are judged, and none was found. If there is one, crop the picture to it and try again.</p></section>"
)
WAITING = '<div class="verdict waiting" role="status">The verdict will appear here.</div>'
MAP_LABELS = {
    "generated": "Where it looks generated to the model",
    "real": "Where it looks like a photograph to the model",
}
NOTHING_STOOD_OUT = "No part of the face stood out"
SAYS_GENERATED = "The file itself says that a generative model was at work."
UNCHECKED = "The verdict above takes none of this into account: anyone can write such notes, or wipe them."
OWN_LINES = "The lines are this server's own, so the error rate measured for the model does not hold for them."


def verdict_panel(result: Result, config: FakeFaceConfig, own_lines: bool = False) -> str:
    """What was found in one picture. `own_lines`: the thresholds are not those the model was calibrated for."""
    if result.error is not None:
        return (
            '<section class="verdict refused" role="alert"><h2>This picture could not be judged</h2>'
            f"<p>{escape(result.error)}</p></section>"
        )
    if result.verdict == "no face":
        return NO_FACE
    assert result.score is not None
    assert result.verdict is not None
    small = result.verdict == "uncertain" and any(TOO_SMALL in reason for reason in result.reasons)
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in result.reasons)
    point = OWN_LINES if own_lines else operating_point(config.target_fpr, len(result.faces))
    return (
        f'<section class="verdict {result.verdict}" role="status"><h2>{VERDICTS[result.verdict]}</h2>'
        f"<p>{SMALL if small else MEANINGS[result.verdict]}</p>"
        f"{scale(result.score, result.verdict, config.threshold_real, config.threshold_generated)}"
        f'<p class="operating-point">{point}</p>'
        f'<ul class="reasons">{reasons}</ul>{face_list(result)}</section>'
    )


def face_list(result: Result) -> str:
    """Verdict and score of each face, by the number on its box; empty for a single face."""
    if len(result.faces) < 2:
        return ""
    items = "".join(
        f'<li class="{face.verdict}"><b>Face {number}</b> {VERDICTS[face.verdict].lower()}, score {shown(face.score)}'
        f"{''.join(f'; {escape(reason)}' for reason in face.reasons if TOO_SMALL in reason)}</li>"
        for number, face in enumerate(result.faces, start=1)
    )
    return f'<h3>Face by face</h3><ol class="faces" aria-label="The faces, by the numbers on their boxes">{items}</ol>'


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


def operating_point(target_fpr: float | None, faces: int = 1) -> str:
    """The false-positive rate in plain words; empty for an uncalibrated model, of which `Result` warns itself."""
    if not target_fpr:
        return ""
    photos = 10 ** max(2, math.ceil(-math.log10(target_fpr)))
    called = float(f"{target_fpr * photos:.2g}")
    is_called = "is" if called == 1 else "are"
    line = (
        "The line for “looks generated” is drawn so that "
        f"of {photos} real photos about {called:g} {is_called} called generated."
    )
    return line if faces < 2 else f"{line} That is for one face: among {faces} faces one wrong call is likelier."


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
        '<section class="limits" aria-labelledby="said-title"><h2 id="said-title">What the file says it has been '
        f"through</h2>{claim}<dl>{items}</dl><p>{UNCHECKED} {ABSENCE}</p></section>"
    )


def evidence_figure(explanation: Explanation, strength: float) -> str:
    """The picture with boxed faces, and over it the map, whose opacity the page's slider sets (0 to 1)."""
    result = explanation.result
    boxed = draw_faces(explanation.picture, result.faces, chosen=explanation.face, largest=SHOWN_SIDE)
    found = MAP_LABELS[explanation.label] if explanation.map.any() else NOTHING_STOOD_OUT
    many = f", face {explanation.face + 1}" if explanation.face is not None and len(result.faces) > 1 else ""
    faces = {0: "", 1: " with a box around its face"}.get(
        len(result.faces), f" with {len(result.faces)} numbered faces"
    )
    return (
        f'<figure class="map" style="--strength: {strength:.2f}">'
        f'<div class="layers"><img class="boxed" alt="The picture{faces}" src="{data_address(boxed, "JPEG")}">'
        f'<img class="layer" alt="{found}{many}" src="{data_address(map_layer(explanation.map), "PNG")}"></div>'
        f"<figcaption>{found}{many}</figcaption>{map_key()}</figure>"
    )


def map_key() -> str:
    """What the colours of the map mean: they fade in as in an overlay."""
    stops = ", ".join(
        f"rgb({red} {green} {blue} / {100 * step // 255}%)"
        for step, (red, green, blue) in enumerate(colour_table())
        if step % 51 == 0
    )
    strip = f'<i style="background: linear-gradient(to right, {stops})"></i>'
    return f'<div class="map-key"><span>little evidence</span>{strip}<span>much</span></div>'


def gallery(judged: Sequence[tuple[Result, Image.Image | None]]) -> str:
    """Thumbnails of judged pictures, the most generated first, those without a score at the end."""
    ordered = sorted(judged, key=lambda pair: (pair[0].score is None, -(pair[0].score or 0)))
    return (
        f'<ol class="gallery" aria-label="The pictures, the most generated first">{"".join(map(_tile, ordered))}</ol>'
    )


def _tile(pair: tuple[Result, Image.Image | None]) -> str:
    result, thumbnail = pair
    picture = f'<img alt="" src="{data_address(thumbnail, "JPEG")}">' if thumbnail else '<span class="blank"></span>'
    verdict = result.verdict or "refused"
    words = {"refused": "Not judged", "no face": "No face found", **VERDICTS}[verdict]
    score = "" if result.score is None else f" <b>{shown(result.score)}</b>"
    faces = f", {len(result.faces)} faces" if len(result.faces) > 1 else ""
    detail = f"<small>{escape(result.error)}</small>" if result.error else f"<small>{escape(result.picture)}</small>"
    return f'<li class="{verdict.replace(" ", "-")}">{picture}<p>{words}{score}{faces}</p>{detail}</li>'


def counts(judged: Sequence[tuple[Result, Image.Image | None]]) -> str:
    """How many pictures got which verdict, in a sentence."""
    found = [result.verdict or "not judged" for result, _ in judged]
    words = {"generated": "look generated", "uncertain": "cannot be told", "real": "look like photographs"}
    words |= {"no face": "have no face", "not judged": "were not judged"}
    parts = [f"{found.count(verdict)} {text}" for verdict, text in words.items() if verdict in found]
    return f"{len(judged)} {'picture' if len(judged) == 1 else 'pictures'}: {', '.join(parts)}."


def data_address(picture: Image.Image, format_: str) -> str:
    """A picture as a `data:` address, so that no file of it is kept."""
    buffer = BytesIO()
    picture.save(buffer, format_, **({"quality": 85} if format_ == "JPEG" else {"optimize": True}))
    return f"data:image/{format_.lower()};base64,{b64encode(buffer.getvalue()).decode('ascii')}"
