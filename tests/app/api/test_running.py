"""The service as a process of its own: how it starts, refuses to, and ends."""

import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from api_server import PORTRAIT, STARTING, client, figure, until
from serving import free_port
from tiny import tiny_folder
from typer.testing import CliRunner

from fakeface.cli import commands as cli

PACKAGE = Path(cli.__file__).parents[2]


def start(log: Path, *words: str) -> subprocess.Popen[bytes]:
    code = f"import sys; sys.path.insert(0, {str(PACKAGE)!r}); from fakeface.cli import main; main()"
    with log.open("wb") as lines:
        return subprocess.Popen([sys.executable, "-c", code, "serve", *words], stdout=lines, stderr=lines)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
def test_told_to_end_it_answers_what_it_accepted_takes_nothing_more_and_exits_0(tmp_path: Path):
    port, log = free_port(), tmp_path / "log.txt"
    # One picture waits for others to share its batch: long enough to look around meanwhile.
    words = ("--model", str(tiny_folder(tmp_path / "tiny")), "--port", str(port), "--max-wait-ms", "5000")
    with start(log, *words) as server, client(f"http://127.0.0.1:{port}") as asking, ThreadPoolExecutor(1) as clients:
        try:
            until(lambda: "listening" in log.read_text() or server.poll() is not None, STARTING)
            assert server.poll() is None, log.read_text()
            assert asking.get("/healthz").status_code == 200
            until(lambda: asking.get("/readyz").status_code == 200, STARTING)
            files = {"file": ("a name of somebody.jpg", PORTRAIT)}
            accepted = clients.submit(asking.post, "/v1/judge", files=files, headers={"X-Request-ID": "the-first"})
            until(lambda: figure(asking, "fakeface_queue_pictures") == 1)
            server.send_signal(signal.SIGTERM)
            until(lambda: asking.get("/readyz").status_code == 503)
            late = asking.post("/v1/judge", content=PORTRAIT, headers={"Content-Type": "image/jpeg"})
            assert (late.status_code, late.json()["code"]) == (503, "draining")
            assert not accepted.done()
            assert accepted.result().status_code == 200
            assert accepted.result().json()["faces"]
            assert server.wait(STARTING) == 0
        finally:
            server.kill()
    lines = log.read_text()
    assert "request=the-first status=200" in lines
    assert "code=draining" in lines
    assert "somebody" not in lines
    assert "Traceback" not in lines


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
def test_a_model_that_cannot_be_loaded_ends_it_with_one_line(tmp_path: Path):
    folder = tiny_folder(tmp_path / "tiny")
    (folder / "model.safetensors").write_bytes(b"broken")
    with start(tmp_path / "log.txt", "--model", str(folder), "--port", "0") as server:
        assert server.wait(STARTING) == 2
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert lines[-1].startswith(str(folder))
    assert not [line for line in lines if "Traceback" in line]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--model", "no/such/folder"], "no/such/folder: no such folder; check the path"),
        (["--fast", "--cascade"], "fast takes one model, and a cascade takes two"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_line(words: list[str], told: str):
    refused = CliRunner().invoke(cli.app, ["serve", *words])
    assert refused.exit_code == 2
    assert told in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_refused_with_the_cure():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        refused = CliRunner().invoke(cli.app, ["serve", "--port", port])
    assert refused.exit_code == 2
    assert f"port {port}: cannot be listened on (Address already in use); name others by --host" in refused.stderr


def test_without_prometheus_client_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    refused = CliRunner().invoke(cli.app, ["serve", "--port", "0"])
    assert refused.exit_code == 2
    assert refused.stderr == 'the service needs prometheus-client; pip install "fakeface[serve]"\n'
