"""What programs get from the Space: the same verdicts on the same bytes, refusals as data, nothing of the server."""

import json
import urllib.request
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from serving import ANSWERING

from fakeface import Detector

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def client(space: str) -> Client:
    return Client(space, verbose=False)


def test_programs_get_the_same_verdict_on_the_same_bytes(client: Client, picture: Path, detector: Detector):
    # Saved again on the way, the score would differ; lost EXIF would turn the picture
    answer = client.predict(handle_file(picture), api_name="/predict")
    expected = detector(picture).to_dict()
    assert answer.pop("score") == pytest.approx(expected.pop("score"), abs=1e-6)
    assert answer == {**expected, "picture": "portrait.jpg"}


def test_programs_get_a_refusal_as_data(client: Client, tmp_path: Path):
    empty = tmp_path / "empty.png"
    empty.touch()
    answer = client.predict(handle_file(empty), api_name="/predict")
    assert (answer["score"], answer["verdict"]) == (None, None)
    assert answer["error"].startswith("empty.png: ")


def test_many_pictures_get_an_answer_each_in_order(client: Client, picture: Path, tmp_path: Path):
    (tmp_path / "text.jpg").write_text("not a picture")
    files = [handle_file(picture), handle_file(tmp_path / "text.jpg"), handle_file(picture)]
    answers = client.predict(files, api_name="/predict_many")
    assert [answer["picture"] for answer in answers] == ["portrait.jpg", "text.jpg", "portrait.jpg"]
    assert answers[0] == answers[2]
    assert (answers[1]["verdict"], answers[1]["error"].split(":")[0]) == (None, "text.jpg")


def test_a_map_comes_as_a_file_with_the_verdict(client: Client, picture: Path):
    verdict, file = client.predict(handle_file(picture), "generated", "hires-cam", api_name="/explain")
    assert verdict == client.predict(handle_file(picture), api_name="/predict")
    with Image.open(file) as overlay:
        assert overlay.size == (320, 240)


def test_what_a_file_says_comes_as_data(client: Client, picture: Path):
    found = client.predict(handle_file(picture), api_name="/provenance")
    assert (found["format"], found["jpeg_quality"], found["content_credentials"]) == ("JPEG", 60, False)
    assert found["size"] == picture.stat().st_size
    refused = client.predict({"path": "https://127.0.0.1/a.jpg"}, api_name="/provenance")
    assert "not on the public internet" in refused["error"]


def test_a_method_that_is_not_there_is_refused_in_words(client: Client, picture: Path):
    with pytest.raises(AppError, match="unknown method 'guess': choose one of centred-cam"):
        client.predict(handle_file(picture), "real", "guess", api_name="/explain")


def test_endpoints_are_named_typed_and_described(space: str):
    with urllib.request.urlopen(f"{space}gradio_api/info", timeout=ANSWERING) as answer:
        endpoints = json.load(answer)["named_endpoints"]
    assert set(endpoints) == {"/predict", "/predict_many", "/explain", "/provenance"}
    names = [parameter["parameter_name"] for parameter in endpoints["/explain"]["parameters"]]
    assert names == ["picture", "label", "method", "face"]
    assert endpoints["/explain"]["parameters"][1]["type"] == {"enum": ["verdict", "real", "generated"]}
    assert endpoints["/predict"]["description"].startswith("Tell whether a face picture is a photograph")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("{picture}", "picture: no picture arrived"),
        ("portrait\0.jpg", "picture: no picture arrived"),
        ("../../../../etc/passwd", "picture: no picture arrived"),
        ("file:///etc/passwd", "picture: no picture arrived"),
        ("", "picture: no picture arrived"),
        ("x" * 10_000, "picture: no picture arrived"),
        ("http://127.0.0.1:9/portrait.jpg", "http://127.0.0.1:9/portrait.jpg: "),
        ("https://127.0.0.1/portrait.jpg", "https://127.0.0.1/portrait.jpg: "),
        ("https://169.254.169.254/latest/meta-data", "https://169.254.169.254/latest/meta-data: "),
        ("https://[::1]/a.jpg", "https://[::1]/a.jpg: "),
    ],
)
@pytest.mark.parametrize("marked", [False, True])
def test_a_request_cannot_name_a_file_or_an_inner_address(
    space: str, picture: Path, path: str, words: str, marked: bool
):
    # Given a request written by hand, with or without the mark that makes Gradio check its path
    upload: dict[str, object] = {"path": path.format(picture=picture)}
    if marked:
        upload["meta"] = {"_type": "gradio.FileData"}
    body = json.dumps({"data": [upload]}).encode()
    request = urllib.request.Request(
        f"{space}gradio_api/call/predict", body, headers={"Content-Type": "application/json"}
    )
    # When it names a picture that was not uploaded
    with urllib.request.urlopen(request, timeout=ANSWERING) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{space}gradio_api/call/predict/{event}", timeout=ANSWERING) as answer:
        said = answer.read().decode()
    # Then there is no verdict, and nothing said about the file
    if "event: error" in said:
        assert marked
        return
    (result,) = json.loads(said.split("data: ", 1)[1])
    assert result["verdict"] is None
    assert result["error"].startswith(words)
