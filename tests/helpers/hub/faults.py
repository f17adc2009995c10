"""What goes wrong between a client and a Hub: errors, cut connections, lost answers and slow bodies, on demand."""

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

WRITES = ("POST", "PUT", "DELETE")


class CuttableProtocol(H11Protocol):
    """HTTP whose requests carry their connection, so that a fault can end it."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.app_state = {**self.app_state, "connection": transport}


@dataclass(frozen=True)
class Seen:
    """A request as it came, and the answer's status; 0 where the connection was cut first."""

    method: str
    path: str
    host: str
    authorization: str
    received: int  # bytes of body
    status: int


@dataclass
class Faults:
    """Which faults to make; each is made `times` times for every different request, and then no more.

    Attributes:
        fail: answer 500.
        cut_uploads: cut the connection when a random number of bytes of the request's body have come.
        cut_downloads: cut it when a random number of bytes of the answer's body have gone.
        lose_answers: do what a writing request asks, then cut the connection in place of the answer.
        pause: seconds before an answer, and before each further piece of its body.
        only: a part of the address; requests to others meet no fault.
        chance: where the cuts fall.
    """

    fail: bool = False
    cut_uploads: bool = False
    cut_downloads: bool = False
    lose_answers: bool = False
    pause: float = 0.0
    only: str = ""
    times: int = 1
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    made: Counter[tuple[Any, ...]] = field(default_factory=Counter)

    def due(self, kind: str, *request: object) -> bool:
        """Whether this request has not met all of its faults of a kind; counts one more if so."""
        due = self.made[(kind, *request)] < self.times
        self.made[(kind, *request)] += due
        return due


def with_faults(app: ASGIApp, faults: Callable[[], Faults], seen: list[Seen], piece: int = 1 << 16) -> ASGIApp:
    """The app as it is reached over a bad line.

    Args:
        app: reads a request's whole body before it acts, and answers in one piece.
        faults: asked at each request.
        seen: gets a row for each request.
        piece: bytes of an answer's body that are sent at once.
    """

    async def faulty(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await app(scope, receive, send)
        settings, request = faults(), Request(scope)
        connection = request.state.connection
        method, address = scope["method"], (scope["raw_path"] + b"?" + scope["query_string"]).decode()
        meets = settings.only in address
        status = received = 0

        def note() -> None:
            headers = request.headers
            seen.append(
                Seen(method, address, headers.get("host", ""), headers.get("authorization", ""), received, status)
            )

        async def hang_up(flush: bool = False) -> None:
            note()
            connection.close() if flush else connection.abort()
            await asyncio.sleep(0.01)  # until the server knows; else it complains that nothing was answered

        # The request
        length = int(request.headers.get("content-length", 0))
        stop_at = -1
        if meets and settings.cut_uploads and length and settings.due("cut", method, address, length):
            stop_at = settings.chance.randrange(length)
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return note()
            body += message.get("body", b"")
            received, more = len(body), message.get("more_body", False)
            if 0 <= stop_at <= received:
                received = stop_at
                return await hang_up()
        key = (method, address, hashlib.sha256(body).digest())
        if meets and settings.fail and settings.due("fail", *key):
            status = 500
            note()
            await send({"type": "http.response.start", "status": 500, "headers": [(b"content-length", b"0")]})
            return await send({"type": "http.response.body", "body": b""})

        # The answer
        lost = meets and settings.lose_answers and method in WRITES and settings.due("lose", *key)
        answer: list[Message] = []

        async def replay() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def keep(message: Message) -> None:
            answer.append(message)

        await app(scope, replay, keep)
        if lost:
            return await hang_up()
        if meets and settings.pause:
            await asyncio.sleep(settings.pause)
        status = answer[0]["status"]
        await send(answer[0])
        content = b"".join(message.get("body", b"") for message in answer[1:])
        cut_at = None
        if meets and settings.cut_downloads and content and settings.due("cut answer", method, address):
            cut_at = settings.chance.randrange(len(content))
        for start in range(0, len(content), piece):
            if meets and start and settings.pause:
                await asyncio.sleep(settings.pause)
            sent = content[start : start + piece]
            cut = cut_at is not None and cut_at < start + len(sent)
            await send(
                {"type": "http.response.body", "body": content[start:cut_at] if cut else sent, "more_body": True}
            )
            if cut:
                return await hang_up(flush=True)
        note()
        await send({"type": "http.response.body", "body": b""})

    return faulty
