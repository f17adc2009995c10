"""Runs the service as a process of its own: what `fakeface serve` does."""

import logging
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from ...utils.errors import OptionError
from .accounting import LOG
from .batching import Batcher, Options
from .routes import make_app

if TYPE_CHECKING:
    from ...detector import Detector

# Seconds. Load balancers keep an idle connection for 60; if we closed it first, a request on its way would fail.
KEEP_ALIVE = 75


def serve(
    load: "Callable[[], Detector]", *, host: str = "127.0.0.1", port: int = 8000, options: Options | None = None
) -> None:
    """Serve until the process is told to end by SIGTERM or SIGINT; what was accepted until then is answered first.

    Args:
        load: makes the detector.
        host: address to listen on.
        port: to listen on, from 1; 0 for any that is free, which the log then says.
        options: bounds; by default those of `Options`.

    Raises:
        FakefaceError: prometheus-client is missing, the address is taken, or the model cannot be loaded.
    """
    _log_to_stderr()
    app = make_app(load, options)
    batcher: Batcher = app.state.batcher
    with _listen(host, port) as listener:
        LOG.info("listening on %s", _address(listener))
        server = Server(
            uvicorn.Config(app, log_config=None, access_log=False, server_header=False, timeout_keep_alive=KEEP_ALIVE),
            batcher,
        )
        server.run(sockets=[listener])
    if error := batcher.loaded.exception(timeout=0):
        raise error
    LOG.info("ended")


class Server(uvicorn.Server):
    """Told to end, it goes on listening until all that was accepted is answered, so that `/readyz` can say so.

    Args:
        config: with an application of `make_app`.
        batcher: of that application.
    """

    def __init__(self, config: uvicorn.Config, batcher: Batcher) -> None:
        super().__init__(config)
        self._batcher = batcher
        batcher.loaded.add_done_callback(self._note)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._batcher.draining:  # told twice: at once
            super().handle_exit(sig, frame)
        self._batcher.draining = True

    async def on_tick(self, counter: int) -> bool:
        if self._batcher.draining and not self._batcher.pending:
            self.should_exit = True
        return await super().on_tick(counter)

    def _note(self, loaded: "Future[Detector]") -> None:
        if loaded.exception():
            self.should_exit = True
            return
        model = self._batcher.model
        LOG.info("ready: model %s, version %s, on %s", *model.values(), loaded.result().model.device)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]  # Python adds the address once more
        problem = f"{host}, port {port}: cannot be listened on ({reason}); name others by --host and --port"
        raise OptionError(problem) from None


def _address(listener: socket.socket) -> str:
    host, port, *_ = listener.getsockname()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _log_to_stderr() -> None:
    lines = logging.StreamHandler()
    lines.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ"))
    lines.formatter.converter = time.gmtime  # pyright: ignore[reportOptionalMemberAccess]
    for name, level in ((LOG.name, logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.level, logger.propagate = [lines], level, False


__all__ = ["KEEP_ALIVE", "Server", "serve"]
