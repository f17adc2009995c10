"""What is said of one picture."""

from dataclasses import replace

import numpy as np
import pytest
from tiny import picture, tiny_model

from fakeface import Explanation, Provenance, Result
from fakeface.app import panels
from fakeface.images.credentials import Credentials
from fakeface.images.provenance import Claim
from fakeface.results import FaceResult

MEASURED = {"generated": "One in a hundred.", "real": "Seven pass.", "uncertain": "Half are open."}


def words(measured: dict[str, str] = MEASURED) -> panels.Words:
    config = tiny_model().config
    config.threshold_real, config.threshold_generated, config.target_fpr = 0.3, 0.9, 0.01
    return panels.Words(config, measured)


@pytest.mark.parametrize(("score", "verdict"), [(0.95, "generated"), (0.1, "real"), (0.5, "uncertain")])
def test_a_verdict_comes_with_its_measured_rate(score: float, verdict: str):
    result = Result("a.jpg", score, verdict)
    panel = panels.verdict_panel(result, words())
    assert [sentence in panel for sentence in MEASURED.values()] == [key == verdict for key in MEASURED]
    assert "The line for" not in panel
    # and without an evaluation with what the line aims at
    assert "about 1 is called generated" in panels.verdict_panel(result, words({}))


def test_what_was_not_measured_has_no_rate():
    small = Result("a.jpg", 0.95, "uncertain", ("the face is too small to tell",))
    assert "Half are open" not in panels.verdict_panel(small, words())
    own = replace(words({}), own_lines=True)
    assert panels.OWN_LINES in panels.verdict_panel(Result("a.jpg", 0.95, "generated"), own)


def explanation(*verdicts: str, face: int = 0) -> Explanation:
    """Of a picture of 96 x 80 with a face of each verdict; the first decides."""
    faces = tuple(FaceResult((8 * n, 4, 8 * n + 30, 40), 0.5 + n / 100, told) for n, told in enumerate(verdicts))
    result = Result("a.jpg", 0.5, verdicts[0], faces=faces)
    map = np.ones((80, 96), np.float32)
    crop = picture().resize((32, 32))
    return Explanation(result, picture(), "generated", "centred-cam", "last", map, crop, map[:32, :32], face)


def figure(explained: Explanation) -> str:
    return panels.evidence_figure(explained, replace(words(), model="fakeface 1, model <tiny>"))


def test_a_figure_says_what_it_shows_and_carries_it_to_the_saved_picture():
    shown = figure(explanation("generated"))
    assert 'data-told="Looks generated, score 0.500" data-model="fakeface 1, model &lt;tiny&gt;"' in shown
    assert "much evidence for “generated”" in shown
    of_a_group = figure(explanation("generated", "real", face=1))
    assert "Looks generated, score 0.500; face 2 of 2 looks like a photograph, score 0.510" in of_a_group
    # Each label has its colours
    assert figure(replace(explanation("generated"), label="real")).count("src=") == 5
    assert panels.map_key("real") != panels.map_key("generated")


def test_where_the_verdict_is_open_there_is_no_map():
    assert 'class="layer"' in figure(explanation("generated"))
    bare = figure(explanation("uncertain"))
    assert panels.NO_MAP in bare
    assert 'class="layer"' not in bare
    assert "map-key" not in bare
    # In a group it is the chosen face's own verdict that counts
    assert panels.NO_MAP in figure(explanation("generated", "uncertain", face=1))
    assert panels.NO_MAP not in figure(explanation("uncertain", "real", face=1))


def test_the_faces_of_a_group_are_sorted_and_those_too_small_come_last():
    told = explanation("real", "generated", "uncertain").result
    small = replace(told.faces[2], reasons=("face 3 is too small to tell",))
    told = replace(told, faces=(*told.faces[:2], small))
    listed = panels.face_list(told, picture(), chosen=1)
    assert [int(part[0]) for part in listed.split("<b>Face ")[1:]] == [2, 1, 3]
    assert "<b>Face 3</b> could be either, score 0.520; too small to tell" in listed
    assert listed.count("<img") == 3
    assert listed.count('aria-pressed="true"') == 1
    assert 'data-face="1" aria-pressed="true"' in listed
    # Without the picture, as an ONNX model leaves it, there is nothing to choose
    assert "<button" not in panels.face_list(told)
    assert panels.face_list(replace(told, faces=told.faces[:1])) == ""


def test_a_wrong_verdict_can_be_reported_where_the_source_is_known():
    result = Result("a.jpg", 0.95, "generated")
    assert "Report a wrong verdict" not in panels.verdict_panel(result, words())
    shown = panels.verdict_panel(result, replace(words(), source="https://github.com/someone/code"))
    assert 'href="https://github.com/someone/code/issues/new?title=Wrong+verdict%3A+generated&amp;' in shown


def test_what_the_file_says_stands_apart_from_the_verdict_and_is_escaped():
    claim = Claim("software", "<b>Midjourney</b>", "generated", "Midjourney")
    camera = Claim("camera model", "<i>X</i>", "camera")
    given = Credentials("tampered", signer="<script>")
    told = panels.notes_panel(Provenance("JPEG", 9, "00", claims=(claim, camera), credentials=given))
    assert "The file says it was made by Midjourney." in told
    assert "taken with &lt;i&gt;X&lt;/i&gt;." in told
    assert "changed after “&lt;script&gt;” signed" in told
    assert panels.NOTES_APART in told
    assert "score" not in told.replace(panels.NOTES_APART, "")
    assert panels.notes_panel(Provenance("JPEG", 9, "00")) == ""
