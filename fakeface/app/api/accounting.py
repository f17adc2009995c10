"""Accounts for every request: its id, a line in the log, its figures; and no traceback leaves the server.

A line of the log names neither pictures nor clients, nor what a client wrote into the address.
"""

import logging
import re
import time
import traceback
import uuid
from collections.abc import Collection
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...utils.errors import FakefaceError
from .metrics import Metrics
from .refusals import RequestError, told

LOG = logging.getLogger("fakeface.serve")
ID_HEADER = "X-Request-ID"
JUDGE = "/v1/judge"
_ID = re.compile(r"[\w.:+/=@-]{1,128}", re.ASCII)  # one that could steer the log, or fill it, is not taken
_OTHER = "other"  # a path that the service does not have: whoever asks must not make figures without end


class Accounting:
    """ASGI middleware around the routes.

    Args:
        app: the application inside.
        metrics: that count.
        paths: of the service.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, paths: Collection[str]) -> None:
        self._app, self._metrics, self._paths = app, metrics, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        given = Headers(scope=scope).get(ID_HEADER, "")
        request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        state: dict[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[ID_HEADER] = request_id
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except Exception as error:
            LOG.error("request=%s %s", request_id, fault(error))
            if not status:
                failed = RequestError(500, "fault", "the server failed; tell its operator the request's id")
                state["code"] = failed.code
                await JSONResponse(told(failed, request_id), failed.status)(scope, receive, answer)
        finally:
            path = scope["path"] if scope["path"] in self._paths else _OTHER
            self._count(path, str(status), time.monotonic() - started, state, request_id)

    def _count(self, path: str, status: str, seconds: float, state: dict[str, Any], request_id: str) -> None:
        self._metrics.requests.labels(path, status).inc()
        if "code" in state:
            self._metrics.refusals.labels(state["code"]).inc()
        if path != JUDGE:  # probes would fill the log
            return
        self._metrics.seconds.labels(status).observe(seconds)
        about = f" pictures={state['pictures']}" if "pictures" in state else ""
        code = f" code={state['code']}" if "code" in state else ""
        LOG.info("request=%s status=%s seconds=%.3f%s%s", request_id, status, seconds, about, code)


def fault(error: Exception) -> str:
    """An exception for the log: its place, and its words only where they are ours and of no picture."""
    if isinstance(error, FakefaceError):
        return str(error)
    # Words of other libraries may hold names of files.
    return f"{type(error).__name__} at\n{''.join(traceback.format_tb(error.__traceback__))}"


__all__ = ["ID_HEADER", "JUDGE", "LOG", "Accounting", "fault"]
