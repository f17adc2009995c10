"""What assistants get over the Model Context Protocol, with a client of its own SDK."""

import asyncio
import base64
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import ANSWERING

from fakeface import Detector

mcp = pytest.importorskip("mcp")
pytestmark = pytest.mark.browser

TOOLS = ("predict", "predict_many", "explain", "provenance")


def in_session(space: str, do: Any) -> Any:
    """What `do` gets from a session; in a thread, as Playwright's event loop occupies this one."""
    from mcp.client.streamable_http import streamable_http_client

    async def visit() -> Any:
        async with (
            httpx.AsyncClient(timeout=ANSWERING) as client,
            streamable_http_client(f"{space}gradio_api/mcp/", http_client=client) as (read, write, _),
            mcp.ClientSession(read, write) as session,
        ):
            await session.initialize()
            return await do(session)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, visit()).result()


def call(space: str, tool: str, **arguments: Any) -> Any:
    return in_session(space, lambda session: session.call_tool(tool, arguments))


def answer(space: str, tool: str, **arguments: Any) -> Any:
    """The JSON of a tool's answer."""
    got = call(space, tool, **arguments)
    assert not got.isError, got.content
    return json.loads(got.content[0].text)


@pytest.fixture(scope="module", params=["file", "data", "address"])
def given(request: pytest.FixtureRequest, space: str, picture: Path, tried: Path) -> str:
    """A picture as an assistant may give it: uploaded before, as a data URI, or as an address on the web."""
    if request.param == "file":
        files = {"files": ("portrait.jpg", picture.read_bytes())}
        (path,) = httpx.post(f"{space}gradio_api/upload", files=files, timeout=ANSWERING).json()
        return f"{space}gradio_api/file={path}"
    if request.param == "data":
        return f"data:image/jpeg;base64,{base64.b64encode(picture.read_bytes()).decode()}"
    (tried / "portrait.jpg").write_bytes(picture.read_bytes())
    return "https://pictures.test/portrait.jpg"


def test_every_tool_takes_it_and_answers_in_json(space: str, given: str, picture: Path, detector: Detector):
    expected = detector(picture).to_dict()
    result = answer(space, "predict", picture=given)
    assert result["score"] == pytest.approx(expected["score"], abs=1e-6)
    assert (result["verdict"], result["error"], len(result["faces"])) == (expected["verdict"], None, 1)
    many = answer(space, "predict_many", pictures=[given, "data:image/png;base64,bm90IGEgcGljdHVyZQ==", given])
    assert [one["verdict"] for one in many] == [expected["verdict"], None, expected["verdict"]]
    assert many[1]["error"].startswith("picture 2: not a picture")
    explained = call(space, "explain", picture=given, label="generated", face=0)
    assert json.loads(explained.content[0].text)["score"] == pytest.approx(expected["score"], abs=1e-6)
    assert explained.content[1].type == "image"
    assert base64.b64decode(explained.content[1].data).startswith(b"\xff\xd8")
    assert answer(space, "provenance", picture=given)["size"] == picture.stat().st_size


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        ("https://127.0.0.1/a.jpg", "is not on the public internet"),
        ("http://pictures.test/a.jpg", "only https:// addresses are fetched"),
        ("https://pictures.test/none.jpg", "no such file"),
        ("data:image/png;base64,%%%", "not base64"),
        ("data:text/plain,hello", "not base64"),
        ("/etc/passwd", "no picture arrived"),
        ("http://127.0.0.1:1/gradio_api/file=/etc/passwd", "only https:// addresses are fetched"),
        ("portrait.jpg", "no picture arrived"),
        ("", "no picture arrived"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(space: str, picture: str, words: str):
    assert words in answer(space, "predict", picture=picture)["error"]
    assert words in answer(space, "predict_many", pictures=[picture])[0]["error"]
    assert words in answer(space, "explain", picture=picture)["error"]
    assert words in answer(space, "provenance", picture=picture)["error"]


def test_a_wrong_argument_is_an_error_that_names_the_cure(space: str, given: str):
    wrong = call(space, "explain", picture=given, method="guess")
    assert wrong.isError
    assert "unknown method 'guess': choose one of centred-cam" in wrong.content[0].text
    beyond = call(space, "explain", picture=given, face=7)
    assert "face is 7: the picture has 1, counted from 0" in beyond.content[0].text
    for tool in TOOLS:
        missing = call(space, tool)
        assert missing.isError
        assert "is a required property" in missing.content[0].text


def test_assistants_read_what_the_tools_take_and_return(space: str):
    tools = {tool.name: tool for tool in in_session(space, lambda session: session.list_tools()).tools}
    assert set(tools) == set(TOOLS)
    for tool in tools.values():
        assert "Returns: " in tool.description
        assert ",," not in tool.description.replace(" ", "")
        assert all(parameter["description"] for parameter in tool.inputSchema["properties"].values())
    assert tools["predict"].inputSchema["properties"]["picture"]["type"] == "string"
    assert tools["predict_many"].inputSchema["properties"]["pictures"]["items"]["type"] == "string"
