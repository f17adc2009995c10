"""Runs the service for programs on a port of its own in this process, and asks it as a client would."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI

from fakeface import Detector
from fakeface.app.api import Options, make_app
from fakeface.app.samples import EXAMPLES

PORTRAIT, COFFEE = (
    (EXAMPLES / name).read_bytes() for name in ("portrait.jpg", "coffee.jpg")
)  # with a face, and without
# Seconds, for a machine that does other work too: for an answer, and for a process to load its model.
WAITING, STARTING = 60, 600


def until(true: Callable[[], object], seconds: float = WAITING) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def client(address: str) -> httpx.Client:
    """A client that keeps to this machine, whatever proxies the environment names."""
    return httpx.Client(base_url=address, timeout=WAITING, trust_env=False)


@contextmanager
def listening(app: FastAPI) -> Iterator[httpx.Client]:
    """A client of the application, which may not be ready yet."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        with client(f"http://127.0.0.1:{port}") as asking:
            yield asking
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def serving(model: Path, load: Callable[[], Detector] | None = None, **options: float) -> Iterator[httpx.Client]:
    """A client of a service that is ready, with that model folder or with what `load` makes."""
    app = make_app(load or (lambda: Detector.from_pretrained(model)), Options(**options))  # pyright: ignore
    with listening(app) as asking:
        until(lambda: app.state.batcher.ready)
        yield asking


def figure(asking: httpx.Client, line: str) -> float:
    """A figure of `/metrics`, by its name with its labels; 0 where it is not there."""
    lines = dict(one.rsplit(" ", 1) for one in asking.get("/metrics").text.splitlines() if not one.startswith("#"))
    return float(lines.get(line, 0))
