"""The page: three tabs over `Service`. Results are put into words in `panels` and `tables`; `page.js` places them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache

from .. import __version__
from ..detector.points import DEFAULT
from ..explain import Explanation
from ..images import PictureError, load_picture, open_picture
from ..images.file_parts import file_format
from ..model_folder.fingerprint import weights_sha256
from ..results import Result
from . import links, panels, rates, tables
from .picture_report import Record, picture_report
from .service import METHODS, Service

KEPT_SECONDS = 600
STRENGTH = 65  # per cent, of the map where the evidence is strongest; style.css has it too, and why
JUDGE = "judge"  # everything that asks the model shares one limit of how many run at once
PAGE: dict[str, Any] = {"api_visibility": "private"}  # what happens in the browser alone
ASKED: dict[str, Any] = {
    **PAGE,
    "preprocess": False,
    "show_progress": "hidden",  # the panel says it itself, of the picture that is shown
    "trigger_mode": "multiple",  # page.js decides, and must not have a question dropped
}

DESCRIPTION = "Give it a picture of a face: was it taken by a camera, or made by a generative model?"
INTRO = """
<header>
  <h1>Photograph or generated?</h1>
  <p>Give fakeface a picture of a face. It says whether a camera or a generative model made it, how sure it is,
  and where it looked.</p>
</header>
"""
METHOD_NAMES = {"centred-cam": "Centred CAM", "grad-cam": "Grad-CAM", "hires-cam": "HiResCAM", "layer-cam": "LayerCAM"}
WIDGET_WORDS = {  # in place of Gradio's own
    "upload_text.drop_file": "Drop pictures here",
    "upload_text.click_to_upload": "click to choose them",
}
LABEL_CHOICES = [("for its verdict", ""), ("for “generated”", "generated"), ("for “photograph”", "real")]


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

    @cached_property
    def weights(self) -> str:
        """sha256 of the model's weights."""
        return weights_sha256(str(self.model))

    @property
    def version(self) -> str:
        """Of program and model, as saved results name it."""
        return f"fakeface {__version__}, model {self.name}"


# Not in style.css: Gradio puts its own container before each selector there, and `page.js` marks the document.
UNSCOPED = "<style>.stale .of-picture, .stale #evidence, .stale #report { display: none !important; }</style>"


def head() -> str:
    """What the page's head holds: `page.js` and its words, and a rule that is not Gradio's to change."""
    script = Path(__file__).with_name("page.js").read_text("utf-8")
    return f"{UNSCOPED}<script>{script}window.fakeface = fakeface({json.dumps(panels.WORDS)});</script>"


def build(service: Service, about: About) -> gr.Blocks:
    """The page without its queue."""
    report = tables.report_of(about.model)
    # Files of visitors go within twice this time.
    with gr.Blocks(title="fakeface: photograph or generated?", delete_cache=(KEPT_SECONDS, KEPT_SECONDS)) as page:
        with gr.Row(elem_id="top"):
            gr.HTML(INTRO)
            gr.Button("Light or dark", size="sm", elem_id="theme").click(
                None, js="fakeface.theme", api_visibility="private"
            )
        if not service.finds_faces:
            gr.HTML(panels.NO_FINDER_BANNER)
        with gr.Tabs() as tabs:
            with gr.Tab("One picture", id="one"):
                picture = _one_picture(service, about, report)
            with gr.Tab("Many", id="many"):
                files = _many_pictures(service, about)
            with gr.Tab("Accuracy", id="accuracy"):
                gr.HTML(tables.evaluation_page(report), elem_id="evaluation")
        # A click on one of many shows all that is said of it.
        opened = gr.Button("Open", visible="hidden", elem_id="open")
        opened.click(None, files, [picture, tabs], js="fakeface.opened", **PAGE)
        gr.HTML(panels.LIMITS)
        known = links.links(about.model, service.settings.source, service.settings.docs)
        gr.HTML(
            f'{known}<p class="about">{escape(about.version)}. Pictures are judged on this server, deleted within '
            f"{2 * KEPT_SECONDS // 60} minutes and used for nothing else.</p>"
        )
    return page


def _one_picture(service: Service, about: About, report: dict[str, Any] | None) -> gr.Image:
    own_lines = service.settings.thresholds is not None
    # Rates at other lines than those that were measured would be other rates.
    as_measured = not own_lines and service.settings.operating_point == DEFAULT
    measured = rates.sentences(report) if as_measured else {}
    words = panels.Words(service.detector.config, measured, own_lines, about.version, service.settings.source)

    def judged(upload: dict[str, Any] | None, face: int | None, label: str, method: str, asked: str) -> dict[str, Any]:
        """Verdict, what the file says of itself, the map, and the faces to choose from; with what was asked."""
        found = service.explain(upload, label or None, method, face)
        answer: dict[str, Any] = {"asked": asked, "said": "", "figure": "", "faces": "", "face": None}
        if isinstance(found, Explanation):
            result, size = found.result, found.picture.size
            answer |= {"figure": panels.evidence_figure(found, words), "face": found.face}
            answer["faces"] = panels.face_list(result, found.picture, found.face)
        else:
            result, size = found, None
            answer["faces"] = panels.face_list(result)
        answer["panel"] = panels.verdict_panel(result, words)
        if result.error is None:
            told = service.provenance(upload)
            answer["panel"] += panels.notes_panel(told)
            answer["said"] = panels.provenance_panel(told, size)
        return answer

    def reported(upload: dict[str, Any] | None, face: int | None, label: str, method: str) -> dict[str, Any]:
        """A report to keep of the picture, with the path of that."""
        try:
            found = service.explain(upload, label or None, method, face)
            if isinstance(found, Explanation):
                shown = found.picture
            else:
                shown = open_picture(service.read(upload)[1], limits=service.settings.limits).frames[0]
            told = service.provenance(upload)
        except PictureError as error:
            raise gr.Error(str(error), print_exception=False) from None
        record = Record(found, shown, told, words, about.weights, datetime.now().astimezone())
        return {"path": (upload or {}).get("path"), "name": told.sha256[:8], "html": picture_report(record)}

    def fetched(address: str, turn: int) -> tuple[str | None, dict[str, Any]]:
        """The picture of an address, as if it had been uploaded, or why there is none; with the turn it belongs to."""
        name = address.strip()
        try:
            name, data = service.read({"path": name if "://" in name else f"https://{name}"})
            load_picture(data, name=name, limits=service.settings.limits)
        except PictureError as error:
            refused = panels.verdict_panel(Result(name, None, None, error=str(error)), words)
            return None, {"turn": turn, "refusal": refused}
        kind = file_format(data).lower()  # browsers show what they know by its suffix
        path = save_bytes_to_cache(data, f"address.{kind}", picture.GRADIO_CACHE)
        picture.temp_files.add(path)
        return path, {"turn": turn}

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
            another = gr.Button("Check another picture", elem_id="another")
            with gr.Row(elem_id="address", visible=service.settings.addresses):
                address = gr.Textbox(label="or its address on the web", placeholder="https://…", scale=4, max_lines=1)
                fetch = gr.Button("Fetch it", scale=1)
            examples = _examples(about)
        panel = gr.HTML(panels.WAITING, elem_id="verdict")
        with gr.Column(elem_id="evidence"):
            overlay = gr.HTML(elem_id="overlay")
            faces = gr.HTML(elem_id="faces")
            strength = gr.Slider(
                0, 100, STRENGTH, step=1, label="Strength of the colours", buttons=[], elem_id="strength"
            )
            with gr.Accordion("Map options", open=False, elem_id="map-options"):
                label = gr.Radio(LABEL_CHOICES, value="", label="Evidence")
                method = gr.Radio(
                    [(METHOD_NAMES[name], name) for name in METHODS], value=METHODS[0], label="How the map is made"
                )
            save = gr.Button("Save the picture with its verdict", size="sm", elem_id="save")
    with gr.Column(elem_id="record"):
        said = gr.HTML(elem_id="said")
        report_button = gr.Button("Save a report of this picture", size="sm", elem_id="report")

    shown, out = [picture, label, method], [panel, said, overlay, faces]
    # page.js puts the question when there is one to put, and shows the answer where it belongs.
    ask = gr.Button("Ask", visible="hidden", elem_id="ask")
    answer = gr.JSON(visible=False)
    picture.change(None, picture, out, js="fakeface.shown", **PAGE)
    for chooser in (label, method):
        chooser.input(None, js="fakeface.ask", **PAGE)
    # preprocess=False hands over the path of the file as it was sent. Otherwise gr.Image opens it with Pillow first
    # and saves it again: outside our guarded decoder, and without the traces that the model reads.
    asked = ask.click(
        judged, [picture, answer, label, method, answer], answer, js="fakeface.asking", concurrency_id=JUDGE, **ASKED
    )
    asked.success(None, [answer, *shown], out, js="fakeface.answered", **PAGE)
    asked.failure(None, shown, out, js="fakeface.failed", **PAGE)

    arrived, file = gr.JSON(visible=False), gr.Image(visible=False)
    asks_for = [address.submit, fetch.click]
    gr.on(asks_for, None, None, [picture, *out], js="fakeface.wanted", **PAGE)
    brought = gr.on(asks_for, fetched, [address, arrived], [file, arrived], js="fakeface.fetching", **ASKED)
    brought.success(None, [arrived, file, picture], [picture, panel], js="fakeface.fetched", **PAGE)
    brought.failure(None, picture, [picture, panel], js="fakeface.lost", **PAGE)
    another.click(None, None, picture, js="fakeface.another", **PAGE)
    for button, path in examples:
        call = ", ".join(json.dumps(text) for text in (button.elem_id, str(path), path.name))
        button.click(None, None, picture, js=f"() => fakeface.example({call})", **PAGE)
    # It is made when it is asked for, and goes to the browser with the answer: no file of it is kept.
    reported_file = gr.JSON(visible=False)
    asked = report_button.click(
        reported,
        [picture, answer, label, method],
        reported_file,
        js="fakeface.reporting",
        concurrency_id=JUDGE,
        **ASKED,
    )
    asked.success(None, [reported_file, picture], None, js="fakeface.reported", **PAGE)
    strength.input(None, strength, js="fakeface.strength", **PAGE)
    save.click(None, js="fakeface.save", **PAGE)
    return picture


def _examples(about: About) -> list[tuple[gr.Button, Path]]:
    """A button for each picture to try."""
    if not about.examples:
        return []
    # Served where they lie: copies would go with the files of visitors, and leave buttons without their pictures.
    gr.set_static_paths([path for _, path in about.examples])
    gr.HTML('<p class="try">or try one of these:</p>', elem_id="try")
    with gr.Row(elem_id="examples"):
        return [
            (gr.Button(name, icon=path, size="sm", elem_id=f"example-{number}"), path)
            for number, (name, path) in enumerate(about.examples)
        ]


def _many_pictures(service: Service, about: About) -> gr.File:
    limits = service.settings
    # A batch is told of when all of it is judged; on a CPU, which gains little by batches, that would be a long wait.
    batches = {"batch_size": 1} if str(service.detector.model.device) == "cpu" else {}

    def judged(uploads: list[dict[str, Any]] | None, asked: str) -> Iterator[dict[str, Any]]:
        """How far it is, in words, and at the end the gallery; with what was asked."""
        uploads = uploads or []
        if not 0 < len(uploads) <= limits.max_pictures:
            problem = f"{len(uploads)} pictures are too many; remove {len(uploads) - limits.max_pictures} of them."
            words = panels.progress(problem if uploads else "Choose pictures first.")
            yield {"asked": asked, "progress": words, "gallery": ""}
            return
        done = []
        for pair in service.judge_many(uploads, **batches):
            done.append(pair)
            words = panels.progress(f"{len(done)} of {len(uploads)} judged…", len(done) / len(uploads))
            yield {"asked": asked, "progress": words, "gallery": None}
        rows = tables.face_rows([result for result, _ in done], service.detector.config, about.version)
        words = panels.progress(f"{panels.counts(done)} {tables.links(rows)}")
        yield {"asked": asked, "progress": words, "gallery": panels.gallery(done)}

    gr.HTML(
        f"<p>Up to {limits.max_pictures} pictures at once, of {limits.max_megabytes:g} MB at most, each judged by "
        "itself. With many pictures some calls are wrong by chance: look at each before you use it.</p>"
    )
    files = gr.File(file_count="multiple", file_types=["image"], label="Pictures", elem_id="pictures", height=220)
    start = gr.Button("Judge them", variant="primary")
    progress = gr.HTML(elem_id="progress")
    gallery = gr.HTML(elem_id="gallery")
    found, out = gr.JSON(visible=False), [progress, gallery, start]
    start.click(None, None, out, js="fakeface.started", **PAGE)
    run = start.click(judged, [files, found], found, js="fakeface.judging", concurrency_id=JUDGE, **ASKED)
    run.failure(None, None, start, js="fakeface.unjudged", **PAGE)
    found.change(None, [found, files], out, js="fakeface.judged", **PAGE)
    files.change(None, None, out, js="fakeface.chosen", cancels=[run], **PAGE)
    return files
