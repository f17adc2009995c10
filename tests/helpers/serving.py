"""Starts a Space as a process of its own, as an operator would."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Seconds, for a machine that does other work too; an idle one starts the Space in ten and answers in one.
STARTING, ANSWERING = 600, 60


@contextmanager
def serve(repo: Path, scratch: Path, script: str = "space/app.py", **settings: str) -> Iterator[str]:
    """The address of a Space that `script` serves with these variables.

    Its log must hold no traceback through our code. Gradio writes one for every request that it refuses itself.
    """
    port = free_port()
    address, log = f"http://127.0.0.1:{port}/", scratch / "log.txt"
    environment = {**os.environ, "PORT": str(port), "CUDA_VISIBLE_DEVICES": "", **settings}
    environment["PYTHONPATH"] = os.pathsep.join([str(repo), os.environ.get("PYTHONPATH", "")])
    environment["GRADIO_TEMP_DIR"] = str(scratch / "uploads")
    command = [sys.executable, str(repo / script)]
    with log.open("w") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as server:
        try:
            wait_for(address, server, log)
            yield address
        finally:
            server.terminate()
    assert f'File "{repo}/space' not in log.read_text()
    assert f'File "{repo}/fakeface' not in log.read_text()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTING
    while not answers(address):
        assert server.poll() is None, f"the Space ended:\n{log.read_text()}"
        assert time.monotonic() < deadline, f"the Space does not answer:\n{log.read_text()}"
        time.sleep(0.2)


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=ANSWERING):
            return True
    except OSError:
        return False
