"""The ASGI application: pictures to judge, probes for whoever balances the load, figures."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ... import __version__
from ...images import PictureError
from ...results import Result
from .accounting import JUDGE, Accounting
from .batching import RETRY_AFTER, Batcher, Options
from .metrics import Metrics
from .reading import FIELD, read_pictures
from .refusals import RequestError, status_of, told

if TYPE_CHECKING:
    from ...detector import Detector

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FILES = {"type": "array", "items": _BINARY["schema"]}
_BODY = {
    "required": True,
    "content": {
        "image/*": _BINARY,
        "application/octet-stream": _BINARY,
        "multipart/form-data": {"schema": {"type": "object", "properties": {FIELD: _FILES}, "required": [FIELD]}},
    },
}


def make_app(load: "Callable[[], Detector]", options: Options | None = None) -> FastAPI:
    """Make the application, for uvicorn, Ray Serve or any other server of ASGI.

    It loads the model when it is started, and answers `/healthz` meanwhile. `state.batcher` is what judges.

    Args:
        load: makes the detector, such as `Detector.from_pretrained`; called in a thread of the application's own.
        options: bounds; by default those of `Options`.

    Raises:
        FakefaceError: prometheus-client is missing.
    """
    options = options or Options()
    metrics = Metrics(lambda: batcher.pending)
    batcher = Batcher(load, options, metrics.batches.observe)

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        batcher.start()
        yield
        await asyncio.to_thread(batcher.close)

    # Without the pages of documentation, which would load their scripts from other sites.
    app = FastAPI(title="fakeface", version=__version__, lifespan=running, docs_url=None, redoc_url=None)
    app.state.batcher = batcher

    @app.post(JUDGE, openapi_extra={"requestBody": _BODY})
    async def judge(request: Request) -> Response:
        """Judge one picture, or several: an object for one, and a list in the order of the files for several."""
        pictures = await _take(request, batcher)
        request.state.pictures = len(pictures)
        found = await _judge(batcher, pictures)
        if len(found) == 1 and isinstance(found[0], PictureError):
            raise found[0]
        answers = [_answer(name, one, batcher.model, metrics) for (name, _), one in zip(pictures, found, strict=True)]
        return JSONResponse(answers if len(answers) > 1 else answers[0])

    @app.get("/healthz")
    async def healthz() -> Response:
        """Whether the process answers; it may still be loading its model."""
        return JSONResponse({"alive": True})

    @app.get("/readyz")
    async def readyz() -> Response:
        """Whether pictures are judged: 503 until the model is warm, and from when the process was told to end."""
        if not batcher.ready:
            return JSONResponse({"ready": False}, 503)
        device = str(batcher.loaded.result().model.device)
        return JSONResponse({"ready": True, "model": batcher.model, "device": device})

    @app.get("/metrics")
    async def figures() -> Response:
        """Figures in the text format of Prometheus."""
        return Response(metrics.text(), media_type=metrics.content_type)

    @app.exception_handler(RequestError)
    @app.exception_handler(PictureError)
    async def refuse(request: Request, error: RequestError | PictureError) -> Response:
        return _refusal(request, error)

    @app.exception_handler(HTTPException)
    async def refuse_address(request: Request, error: HTTPException) -> Response:
        phrase = HTTPStatus(error.status_code).phrase
        problem = f"{phrase} here; POST pictures to {JUDGE}, GET /healthz, /readyz or /metrics"
        refused = RequestError(error.status_code, phrase.lower().replace(" ", "-"), problem)
        return _refusal(request, refused, error.headers)

    @app.exception_handler(ClientDisconnect)
    async def forget(request: Request, error: ClientDisconnect) -> Response:
        return _refusal(request, RequestError(400, "client-gone", "the connection ended early; send it again"))

    paths = frozenset(route.path for route in app.routes)  # pyright: ignore[reportAttributeAccessIssue]
    app.add_middleware(Accounting, metrics=metrics, paths=paths)
    return app


async def _take(request: Request, batcher: Batcher) -> list[tuple[str, bytes]]:
    """The pictures of a request, each with a place in the queue."""
    options = batcher.options
    batcher.admit()  # before the body is read, so that bodies in memory are bounded too
    try:
        try:
            pictures = await asyncio.wait_for(read_pictures(request, options.max_bytes), options.timeout)
        except asyncio.TimeoutError:
            problem = f"the body did not arrive within {options.timeout:g} seconds; send it faster, or save it smaller"
            raise RequestError(408, "body-timeout", problem) from None
        if len(pictures) > options.queue:
            problem = f"{len(pictures)} pictures in one request; send {options.queue} at most"
            raise RequestError(413, "too-many-pictures", problem)
        batcher.reserve(len(pictures) - 1)
    except BaseException:
        batcher.release()
        raise
    return pictures


async def _judge(batcher: Batcher, pictures: Sequence[tuple[str, bytes]]) -> list[Result | PictureError]:
    """What becomes of pictures that have their places, in order."""
    seconds = batcher.options.timeout
    answers = [asyncio.wrap_future(answer) for answer in batcher.submit(pictures)]
    try:
        found = await asyncio.wait_for(asyncio.gather(*answers, return_exceptions=True), seconds)
    except asyncio.TimeoutError:  # which cancels what is not begun
        problem = f"not judged within {seconds:g} seconds; send it again later"
        raise RequestError(503, "judge-timeout", problem, RETRY_AFTER) from None
    for one in found:
        if not isinstance(one, (Result, PictureError)):
            raise one
    return found  # pyright: ignore[reportReturnType]  # what is neither was raised


def _answer(name: str, found: Result | PictureError, model: dict[str, str], metrics: Metrics) -> dict[str, Any]:
    """What a client reads of one picture."""
    if isinstance(found, PictureError):
        metrics.refusals.labels(found.code).inc()
        refused = Result(name, None, None, error=str(found)).to_dict()
        return {**refused, "code": found.code, "cure": found.cure, "model": model}
    metrics.verdicts.labels(found.verdict).inc()
    return {**found.to_dict(), "model": model}


def _refusal(
    request: Request, error: RequestError | PictureError, headers: Mapping[str, str] | None = None
) -> Response:
    request.state.code = error.code
    sent = dict(headers or {})
    if isinstance(error, RequestError) and error.retry_after is not None:
        sent["Retry-After"] = str(error.retry_after)
    return JSONResponse(told(error, request.state.request_id), status_of(error), sent)


__all__ = ["make_app"]
