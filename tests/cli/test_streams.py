"""Where the commands print to: a device that is full, a stream that is closed, a reader that has gone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fakeface
from fakeface.results import Result

CODE = "from fakeface.cli import main; main()"
FULL = Path("/dev/full")
ODD = os.fsdecode(b"\xff.jpg")


def command(*words: str, redirect: str = "") -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, its streams redirected as a shell would."""
    script = f'exec "$@" {redirect}'
    environment = {**os.environ, "PYTHONPATH": str(Path(fakeface.__file__).parents[1])}
    return subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, "-c", CODE, *words],
        env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@pytest.mark.skipif(not FULL.exists(), reason="has no /dev/full")
@pytest.mark.parametrize("words", [("predict", "none.jpg", "--json"), ("--help",), ("data", "sources")])
def test_a_full_device_takes_one_line(words: tuple[str, ...]):
    done = command(*words, redirect="> /dev/full")
    assert done.stderr == "standard output: cannot be written (No space left on device); send it elsewhere\n"
    assert done.returncode == 2


def test_a_closed_output_takes_one_line():
    done = command("predict", "none.jpg", redirect=">&-")
    assert (done.returncode, done.stderr) == (2, "standard output is closed; send it to a file, or to /dev/null\n")


def test_without_an_error_stream_nothing_is_said_in_its_place():
    done = command("predict", "none.jpg", redirect="2>&- <&-")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_a_reader_that_is_gone_ends_it_quietly():
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, "PYTHONPATH": str(Path(fakeface.__file__).parents[1])}
    words = [sys.executable, "-c", CODE, "data", "sources", "--source", "lfw"]
    done = subprocess.run(words, env=environment, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=300)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_name_that_is_no_utf8_can_be_sent_on():
    done = command("predict", "--json", ODD)
    told = json.loads(done.stdout)
    assert told["picture"] == r"\udcff.jpg"
    json.dumps(told, ensure_ascii=False).encode()


def test_to_dict_holds_what_utf8_can():
    told = Result(ODD, None, None, error=f"{ODD}: no such file").to_dict()
    assert (told["picture"], told["error"]) == (r"\udcff.jpg", r"\udcff.jpg: no such file")
    assert Result("b\u00e4r.jpg", 0.5, "uncertain").to_dict()["picture"] == "b\u00e4r.jpg"
