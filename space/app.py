"""The fakeface Space: drop a picture, read the verdict, see where the model looked.

    python space/app.py                                   # http://127.0.0.1:7860
    FAKEFACE_MODEL=path/or/hub-id PORT=8000 python space/app.py

A thin face on `fakeface`: what it shows, the package said. The model comes from FAKEFACE_MODEL, else it is the default
of `Detector`; the address from GRADIO_SERVER_NAME (127.0.0.1) and PORT or GRADIO_SERVER_PORT (7860).
"""

import os

# Read once, when Gradio is imported: no usage statistics, and no list of past pictures in the visitor's browser.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["GRADIO_RUN_HISTORY"] = "False"

import math
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.themes import Default
from PIL import Image

import fakeface
from fakeface import (
    Detector,
    FaceFinderError,
    FakeFaceConfig,
    Limits,
    ModelFolderError,
    PictureError,
    Result,
    default_model,
    load_picture,
)
from fakeface.explain import colour_table

HERE = Path(__file__).parent
UPLOAD_BYTES = 20 * 2**20  # a phone's largest pictures, and little enough for a queue of them
SHOWN_SIDE = 1024  # pixels; the overlay is for looking at
OPACITY = 0.65  # of the overlay where the evidence is strongest: plain to see on a phone, the face still readable
KEPT_SECONDS = 600
QUEUE_LENGTH = 32

VERDICTS = {"generated": "Looks generated", "real": "Looks like a photograph", "uncertain": "Cannot tell"}
NO_FACE = (
    '<section class="verdict refused" role="status"><h2>No face found</h2>'
    "<p>Only faces are judged. Crop the picture to the face and try again.</p></section>"
)
MEANINGS = {
    "generated": "Take this as a reason to look closer, not as proof.",
    "real": "This is no proof either: some generated pictures pass for photographs.",
    "uncertain": "This picture could be either.",
}
MAP_LABELS = {
    "generated": "Where it looks generated to the model",
    "real": "Where it looks like a photograph to the model",
}
NOTHING_STOOD_OUT = "No part of the picture stood out"

INTRO = """
<header>
  <h1>Photograph or generated?</h1>
  <p>Give fakeface a picture of a face. It says whether a camera or a generative model made it, how sure it is,
  and where it looked.</p>
</header>
"""
WAITING = '<div class="verdict waiting" role="status">The verdict will appear here.</div>'
LIMITS = """
<section class="limits" aria-labelledby="limits-title">
  <h2 id="limits-title">What it cannot know</h2>
  <ul>
    <li><b>It weighs traces, it does not prove.</b> It is wrong on some pictures, in both directions. Look for the
    source of a picture too, and never accuse anyone on this verdict alone.</li>
    <li><b>It knows faces that were generated whole.</b> Retouching, filters, face swaps and edits of a part may pass
    unseen, and so may generators newer than its training pictures.</li>
    <li><b>Every copy wipes out traces.</b> Screenshots, messengers and strong compression make it less sure. Use the
    earliest copy that you can find.</li>
    <li><b>The colours show where its evidence lay</b>, not what was altered, nor by whom.</li>
  </ul>
</section>
"""


def uploaded_file(upload: dict[str, Any] | None, folder: str) -> Path | None:
    """The file that a request brought, if it did.

    Gradio checks the path only if the request marks it as a file, which a hand-written request need not do. Without
    this check it could have any file of the server judged, or have the server fetch an address.
    """
    try:
        path = Path((upload or {}).get("path") or "").resolve()
    except ValueError:  # a zero byte
        return None
    return path if path.is_relative_to(Path(folder).resolve()) else None


def judge(detector: Detector, upload: dict[str, Any] | None, folder: str) -> tuple[Result, Image.Image | None]:
    """The verdict on a file uploaded to the folder, and the picture in it unless it was refused."""
    path = uploaded_file(upload, folder)
    name = (upload or {}).get("orig_name") or (path.name if path else "picture")
    try:
        if path is None:
            raise PictureError(name, "missing", "no picture arrived; choose one and send it again")
        picture = load_picture(path, name=name)
        return replace(detector(picture), picture=name), picture
    except PictureError as error:
        return Result(picture=name, score=None, verdict=None, reasons=(), error=str(error)), None


def verdict_panel(result: Result, config: FakeFaceConfig) -> str:
    """What was found, as HTML."""
    if result.error is not None:
        return (
            '<section class="verdict refused" role="alert"><h2>This picture could not be judged</h2>'
            f"<p>{escape(result.error)}</p></section>"
        )
    if result.verdict == "no face":
        return NO_FACE
    assert result.score is not None
    assert result.verdict is not None
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in result.reasons)
    return (
        f'<section class="verdict {result.verdict}" role="status"><h2>{VERDICTS[result.verdict]}</h2>'
        f"<p>{MEANINGS[result.verdict]}</p>"
        f"{scale(result.score, result.verdict, config.threshold_real, config.threshold_generated)}"
        f'<p class="operating-point">{operating_point(config.target_fpr)}</p>'
        f'<ul class="reasons">{reasons}</ul></section>'
    )


def scale(score: float, verdict: str, lower: float, upper: float) -> str:
    """The score on a line from 0 to 1 with the two thresholds, as HTML."""
    zones = [("real", 0, lower, f"up to {number(lower)}"), ("generated", upper, 1, f"from {number(upper)}")]
    if lower < upper:
        zones.insert(1, ("uncertain", lower, upper, "in between"))
    bars = "".join(
        f'<i class="{zone}" style="left: {100 * start:.2f}%; right: {100 - 100 * end:.2f}%"></i>'
        for zone, start, end, _ in zones
    )
    key = "".join(f'<li class="{zone}"><b>{VERDICTS[zone]}</b> {extent}</li>' for zone, _, _, extent in zones)
    # Nobody should read certainty off a rounded score.
    shown = "under 0.001" if score < 0.001 else "over 0.999" if score > 0.999 else f"{score:.3f}"
    return (
        '<div class="scale" role="meter" aria-label="Score, from 0 for a photograph to 1 for generated"'
        f' aria-valuemin="0" aria-valuemax="1" aria-valuenow="{score:.3f}"'
        f' aria-valuetext="{shown}: {VERDICTS[verdict].lower()}">'
        f'<div class="pointer" style="--at: {100 * score:.2f}%"><span>score <b>{shown}</b></span></div>'
        f'<div class="zones">{bars}</div>'
        '<div class="ends"><span>0 photograph</span><span>generated 1</span></div></div>'
        f'<ul class="key" aria-label="The lines on the scale">{key}</ul>'
    )


def number(threshold: float) -> str:
    """A threshold in three digits; in six near 0 and 1, so that it is not rounded to them."""
    digits = 3 if 0.001 <= threshold <= 0.999 else 6
    return f"{threshold:.{digits}f}".rstrip("0").rstrip(".")


def operating_point(target_fpr: float | None) -> str:
    """The false-positive rate in plain words; empty for an uncalibrated model, of which `Result` warns itself."""
    if not target_fpr:
        return ""
    photos = 10 ** max(2, math.ceil(-math.log10(target_fpr)))
    called = float(f"{target_fpr * photos:.2g}")
    is_called = "is" if called == 1 else "are"
    return (
        "The line for “looks generated” is drawn so that "
        f"of {photos} real photos about {called:g} {is_called} called generated."
    )


def map_key() -> str:
    """What the colours of the map mean, as HTML: they fade in as in an overlay."""
    stops = ", ".join(
        f"rgb({red} {green} {blue} / {100 * step // 255}%)"
        for step, (red, green, blue) in enumerate(colour_table())
        if step % 51 == 0
    )
    strip = f'<i style="background: linear-gradient(to right, {stops})"></i>'
    return f'<div class="map-key"><span>little evidence</span>{strip}<span>much</span></div>'


def build(detector: Detector, model: str) -> gr.Blocks:
    """The page and the endpoint `/predict`; `model` is the detector's name for the page."""

    def show(upload: dict[str, Any] | None):
        if upload is None:
            return WAITING, gr.Column(visible=False), None
        result, loaded = judge(detector, upload, picture.GRADIO_CACHE)
        panel = verdict_panel(result, detector.config)
        if loaded is None or result.score is None:
            return panel, gr.Column(visible=False), None
        label = "real" if result.verdict == "real" else "generated"
        explanation = detector.explain(loaded, label=label)
        shown = explanation.overlay(OPACITY)
        shown.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
        title = MAP_LABELS[label] if explanation.map.any() else NOTHING_STOOD_OUT
        overlay = gr.Image(shown, label=title, alt_text=title)
        return panel, gr.Column(visible=True), overlay

    def predict(upload: dict[str, Any]) -> dict[str, Any]:
        return judge(detector, upload, picture.GRADIO_CACHE)[0].to_dict()

    # Files of visitors and overlays go within twice this time.
    with gr.Blocks(title="fakeface: photograph or generated?", delete_cache=(KEPT_SECONDS, KEPT_SECONDS)) as page:
        gr.HTML(INTRO)
        with gr.Row(elem_id="board"):
            picture = gr.Image(
                label="Picture",
                sources=["upload", "clipboard", "webcam"],
                buttons=["fullscreen"],
                placeholder="Drop a picture of a face here\nor click to choose one",
                alt_text="The picture you chose",
                elem_id="picture",
            )
            panel = gr.HTML(WAITING, elem_id="verdict")
            with gr.Column(visible=False, elem_id="evidence") as evidence:
                overlay = gr.Image(interactive=False, buttons=["fullscreen", "download"], elem_id="overlay")
                gr.HTML(map_key())
        gr.HTML(LIMITS)
        gr.HTML(
            f'<p class="about">fakeface {escape(fakeface.__version__)}, model {escape(model)}. Pictures are judged on '
            f"this server, deleted within {2 * KEPT_SECONDS // 60} minutes and used for nothing else.</p>"
        )
        # preprocess=False hands over the path of the file as it was sent. Otherwise gr.Image opens it with Pillow first
        # and saves it again: outside our guarded decoder, and without the traces that the model reads.
        picture.input(
            show,
            picture,
            [panel, evidence, overlay],
            preprocess=False,
            show_progress_on=panel,
            concurrency_id="judge",
            api_visibility="private",
        )
        endpoint = gr.Button(visible=False)
        endpoint.click(
            predict,
            picture,
            gr.JSON(visible=False),
            preprocess=False,
            concurrency_id="judge",
            api_name="predict",
            api_description="Judge one picture: its name, score, verdict and reasons, or the error why it was refused.",
        )
    return page.queue(max_size=QUEUE_LENGTH, default_concurrency_limit=1)


def main() -> None:
    try:
        model = default_model()
        detector = Detector.from_pretrained(model)
    except (FaceFinderError, ModelFolderError) as error:
        raise SystemExit(str(error)) from None
    # A Hub id is worth stating whole; of a folder its name will do.
    name = Path(model).name if Path(model).is_dir() else str(model)
    port = os.environ.get("PORT") or os.environ.get("GRADIO_SERVER_PORT") or "7860"
    fonts = ["system-ui", "sans-serif"]  # Gradio's own themes bring fonts that the page would have to fetch
    build(detector, name).launch(
        server_name=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"),
        server_port=int(port),
        max_file_size=min(UPLOAD_BYTES, Limits().max_bytes),
        footer_links=["api"],
        ssr_mode=False,
        theme=Default(primary_hue="slate", neutral_hue="slate", font=fonts, font_mono=["monospace"]),
        css_paths=HERE / "style.css",
    )


if __name__ == "__main__":
    main()
