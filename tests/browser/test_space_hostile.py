"""Hostile uploads through the HTTP interface: nothing but answers and clean refusals, and the server goes on."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.utils import QueueError
from hostile import write_corpus
from serving import ANSWERING, serve

from fakeface.app.samples import EXAMPLES

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def small_space(repo: Path, model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Space that takes a megabyte at most, any number of pictures, two waiting requests, and never decides."""
    settings = {
        "FAKEFACE_MODEL": str(model_folder),
        "FAKEFACE_MAX_MEGABYTES": "1",
        "FAKEFACE_MAX_PICTURES": "1000",
        "FAKEFACE_MAX_SECONDS": "1000",
        "FAKEFACE_QUEUE": "2",
        "FAKEFACE_THRESHOLDS": "0,1",
    }
    with serve(repo, tmp_path_factory.mktemp("small_space"), **settings) as address:
        yield address


def test_the_hostile_corpus_gets_answers_or_clean_refusals(small_space: str, tmp_path: Path):
    expected = write_corpus(tmp_path)
    names = [name for name in expected if 0 < (tmp_path / name).stat().st_size < 2**20]
    assert len(names) > 350
    client = Client(small_space, verbose=False)
    answers = client.predict([handle_file(tmp_path / name) for name in names], api_name="/predict_many")
    assert [answer["picture"] for answer in answers] == names
    for name, answer in zip(names, answers, strict=True):
        if answer["error"] is None:
            assert expected[name] in ("picture", "either"), name
            assert answer["verdict"] == "no face"
        else:
            assert expected[name] != "picture", name
            assert answer["error"].startswith(f"{name}: ")
            assert "Traceback" not in answer["error"]
    # and the next visitor is served
    answer = client.predict(handle_file(EXAMPLES / "portrait.jpg"), api_name="/predict")
    assert answer["verdict"] == "uncertain"  # the thresholds of the environment


def test_a_file_that_is_too_large_is_refused_on_its_way_in(small_space: str):
    files = {"files": ("large.png", bytes(3 * 2**20))}
    assert httpx.post(f"{small_space}gradio_api/upload", files=files, timeout=ANSWERING).status_code == 413


@pytest.mark.parametrize(
    "route",
    [
        "gradio_api/file=/etc/passwd",
        "gradio_api/file=../../../../etc/passwd",
        "gradio_api/file=..%2f..%2f..%2fetc%2fpasswd",
        "gradio_api/file=http://127.0.0.1:1/a.jpg",
        "gradio_api/proxy=http://127.0.0.1:1/a.jpg",
        "gradio_api/file={repo}/pyproject.toml",
        "gradio_api/file={repo}/space/app.py",
        "static/../../../etc/passwd",
    ],
)
def test_no_file_of_the_server_and_no_inner_address_is_handed_out(space: str, repo: Path, route: str):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(space + route.format(repo=repo), timeout=ANSWERING)
    assert refused.value.code in (400, 403, 404, 500)
    assert b"root:" not in refused.value.read()


def test_a_full_queue_is_said_to_be_full_and_the_others_are_answered(small_space: str):
    portrait = handle_file(EXAMPLES / "portrait.jpg")
    clients = [Client(small_space, verbose=False) for _ in range(3)]
    jobs = [client.submit([portrait] * 40, api_name="/predict_many") for client in clients * 3]
    met = [job.exception(timeout=ANSWERING) for job in jobs]
    assert {type(error) for error in met} == {type(None), QueueError}
    answered = [job.result() for job, error in zip(jobs, met, strict=True) if error is None]
    assert [len(answer) for answer in answered] == [40] * len(answered)


def test_assistants_find_the_tools_with_their_descriptions(space: str):
    with urllib.request.urlopen(f"{space}gradio_api/mcp/schema", timeout=ANSWERING) as answer:
        tools = {tool["name"]: tool for tool in json.load(answer)}
    assert set(tools) == {"predict", "predict_many", "explain", "provenance"}
    assert tools["predict"]["inputSchema"]["required"] == ["picture"]
    assert tools["explain"]["inputSchema"]["properties"]["label"]["enum"] == ["verdict", "real", "generated"]
    assert tools["provenance"]["description"].startswith("Read what a picture file says it has been through")


def test_ready_says_which_model_is_served(space: str):
    with urllib.request.urlopen(f"{space}ready", timeout=ANSWERING) as answer:
        assert json.load(answer) == {"ready": True, "model": "tiny-cnn", "device": "cpu"}
