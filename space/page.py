"""The page: three tabs over `Service`. Results are put into words in `panels` and `tables`."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import panels
import tables
from gradio.processing_utils import save_bytes_to_cache
from service import METHODS, Service

import fakeface
from fakeface import PictureError, Result, load_picture, read_provenance

KEPT_SECONDS = 600
STRENGTH = 0.65  # of the map where the evidence is strongest: plain to see on a phone, the face still readable
JUDGE = "judge"  # everything that asks the model shares one limit of how many run at once

INTRO = """
<header>
  <h1>Photograph or generated?</h1>
  <p>Give fakeface a picture of a face. It says whether a camera or a generative model made it, how sure it is,
  and where it looked.</p>
</header>
"""
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
METHOD_NAMES = {"centred-cam": "Centred CAM", "grad-cam": "Grad-CAM", "hires-cam": "HiResCAM", "layer-cam": "LayerCAM"}
LABEL_CHOICES = [("for its verdict", ""), ("for “generated”", "generated"), ("for “photograph”", "real")]

# Runs in the visitor's browser: the slider needs no answer from the server, and the saved picture leaves no file there.
SET_STRENGTH = "(v) => { document.querySelector('#overlay figure')?.style.setProperty('--strength', v / 100) }"
SAVE_MAP = """() => {
  const [boxed, layer] = document.querySelectorAll('#overlay img');
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [boxed.naturalWidth, boxed.naturalHeight];
  const pen = canvas.getContext('2d');
  pen.drawImage(boxed, 0, 0);
  pen.globalAlpha = getComputedStyle(layer).opacity;
  pen.drawImage(layer, 0, 0, canvas.width, canvas.height);
  const link = document.createElement('a');
  [link.download, link.href] = ['fakeface.png', canvas.toDataURL()];
  link.click();
}"""
SWITCH_THEME = "() => { document.body.classList.toggle('dark') }"


@dataclass(frozen=True)
class About:
    """What the page says of its model.

    Attributes:
        name: of the model.
        model: its folder or Hub id.
        examples: names and files to try.
    """

    name: str
    model: str | Path
    examples: tuple[tuple[str, Path], ...] = ()


def build(service: Service, about: About) -> gr.Blocks:
    """The page without its queue."""
    # Files of visitors go within twice this time.
    with gr.Blocks(title="fakeface: photograph or generated?", delete_cache=(KEPT_SECONDS, KEPT_SECONDS)) as page:
        with gr.Row(elem_id="top"):
            gr.HTML(INTRO)
            gr.Button("Light or dark", size="sm", elem_id="theme").click(
                None, js=SWITCH_THEME, api_visibility="private"
            )
        with gr.Tabs():
            with gr.Tab("One picture", id="one"):
                _one_picture(service, about)
            with gr.Tab("Many", id="many"):
                _many_pictures(service)
            with gr.Tab("How good", id="good"):
                gr.HTML(tables.evaluation_page(about.model), elem_id="evaluation")
        gr.HTML(LIMITS)
        gr.HTML(
            f'<p class="about">fakeface {escape(fakeface.__version__)}, model {escape(about.name)}. Pictures are '
            f"judged on this server, deleted within {2 * KEPT_SECONDS // 60} minutes and used for nothing else.</p>"
        )
    return page


def _one_picture(service: Service, about: About) -> None:
    own_lines = service.settings.thresholds is not None
    no_evidence = (gr.update(visible=False), "", gr.update(visible=False))

    def judged(upload: dict[str, Any] | None, strength: float, method: str, label: str):
        """Verdict, what the file says of itself, whether there is evidence, its figure, and faces to choose from."""
        if not upload:
            return panels.WAITING, "", *no_evidence
        found = service.explain(upload, label or None, method)
        if isinstance(found, Result):
            said = panels.provenance_panel(service.provenance(upload)) if found.error is None else ""
            return panels.verdict_panel(found, service.detector.config, own_lines), said, *no_evidence
        panel = panels.verdict_panel(found.result, service.detector.config, own_lines)
        said = panels.provenance_panel(service.provenance(upload), found.picture.size)
        choices = [(f"Face {number + 1}", number) for number in range(len(found.result.faces))]
        chooser = gr.Radio(choices, value=found.face, visible=len(choices) > 1)
        return panel, said, gr.Column(visible=True), panels.evidence_figure(found, strength / 100), chooser

    def redrawn(upload: dict[str, Any] | None, face: int | None, strength: float, method: str, label: str):
        """The figure for another face, method or label."""
        found = service.explain(upload, label or None, method, face)
        return gr.skip() if isinstance(found, Result) else panels.evidence_figure(found, strength / 100)

    def fetched(address: str, strength: float, method: str, label: str):
        """The picture of an address, as if it had been uploaded, and what `judged` says of it."""
        name = address.strip()
        try:
            name, data = service.read({"path": name if "://" in name else f"https://{name}"})
            load_picture(data, name=name, limits=service.settings.limits)
        except PictureError as error:
            refused = panels.verdict_panel(Result(name, None, None, error=str(error)), service.detector.config)
            return None, refused, "", *no_evidence
        kind = read_provenance(data).format.lower()  # browsers show what they know by its suffix
        path = save_bytes_to_cache(data, f"address.{kind}", picture.GRADIO_CACHE)
        picture.temp_files.add(path)
        return path, *judged({"path": path, "orig_name": name}, strength, method, label)

    with gr.Row(elem_id="board"):
        with gr.Column(elem_id="given"):
            picture = gr.Image(
                label="Picture",
                sources=["upload", "clipboard", "webcam"],
                buttons=["fullscreen"],
                placeholder="Drop a picture of a face here\nor click to choose one",
                alt_text="The picture you chose",
                elem_id="picture",
            )
            with gr.Row(elem_id="address", visible=service.settings.addresses):
                address = gr.Textbox(label="or its address on the web", placeholder="https://…", scale=4, max_lines=1)
                fetch = gr.Button("Fetch it", scale=1)
            examples = _examples(about)
        panel = gr.HTML(panels.WAITING, elem_id="verdict")
        with gr.Column(visible=False, elem_id="evidence") as evidence:
            overlay = gr.HTML(elem_id="overlay")
            faces = gr.Radio(label="Show the map of", visible=False, elem_id="faces")
            strength = gr.Slider(0, 100, 100 * STRENGTH, step=1, label="Strength of the colours", buttons=[])
            with gr.Accordion("For the curious", open=False):
                label = gr.Radio(LABEL_CHOICES, value="", label="Evidence")
                method = gr.Radio(
                    [(METHOD_NAMES[name], name) for name in METHODS], value=METHODS[0], label="How the map is made"
                )
            save = gr.Button("Save the picture with its map", size="sm")
    said = gr.HTML(elem_id="said")

    look, out = [strength, method, label], [panel, said, evidence, overlay, faces]
    # preprocess=False hands over the path of the file as it was sent. Otherwise gr.Image opens it with Pillow first
    # and saves it again: outside our guarded decoder, and without the traces that the model reads.
    ask: dict[str, Any] = {"preprocess": False, "concurrency_id": JUDGE, "api_visibility": "private"}
    picture.input(judged, [picture, *look], out, show_progress_on=panel, **ask)
    for trigger in (address.submit, fetch.click):
        trigger(fetched, [address, *look], [picture, *out], show_progress_on=panel, **ask)
    for button, path in examples:
        given = gr.State(str(path))

        def shown(path: str, strength: float, method: str, label: str):
            return path, *judged({"path": path, "orig_name": Path(path).name}, strength, method, label)

        button.click(shown, [given, *look], [picture, *out], show_progress_on=panel, **ask)
    for chooser in (faces, label, method):
        # The last choice counts, also one made while an earlier is drawn.
        latest: dict[str, Any] = {**ask, "trigger_mode": "always_last"}
        chooser.input(redrawn, [picture, faces, *look], overlay, show_progress_on=overlay, **latest)
    strength.input(None, strength, js=SET_STRENGTH, api_visibility="private")
    save.click(None, js=SAVE_MAP, api_visibility="private")


def _examples(about: About) -> list[tuple[gr.Button, Path]]:
    """A button for each picture to try."""
    if not about.examples:
        return []
    # Served where they lie: copies would go with the files of visitors, and leave buttons without their pictures.
    gr.set_static_paths([path for _, path in about.examples])
    gr.HTML('<p class="try">or try one of these:</p>')
    with gr.Row(elem_id="examples"):
        return [(gr.Button(name, icon=path, size="sm"), path) for name, path in about.examples]


def _many_pictures(service: Service) -> None:
    most = service.settings.max_pictures

    def judged(uploads: list[dict[str, Any]] | None) -> Iterator[tuple[str, Any]]:
        """How far it is, in words, and at the end the gallery."""
        if not uploads:
            yield '<p role="status">Choose pictures first.</p>', ""
            return
        done = []
        for pair in service.judge_many(uploads):
            done.append(pair)
            yield f'<p role="status">{len(done)} of {len(uploads)} judged…</p>', gr.skip()
        link = tables.csv_link([result for result, _ in done])
        yield f'<p role="status">{panels.counts(done)} {link}</p>', panels.gallery(done)

    gr.HTML(
        f"<p>Up to {most} pictures at once, each judged by itself. With many pictures some calls are wrong by chance: "
        "look at each before you use it.</p>"
    )
    files = gr.File(file_count="multiple", file_types=["image"], label="Pictures", elem_id="pictures", height=220)
    start = gr.Button("Judge them", variant="primary")
    progress = gr.HTML(elem_id="progress")
    found = gr.HTML(elem_id="gallery")
    start.click(
        judged, files, [progress, found], preprocess=False, show_progress="hidden", concurrency_id=JUDGE,
        api_visibility="private",
    )  # fmt: skip
