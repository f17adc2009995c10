"""Reads the pictures of a request, within its bounds, into memory and nowhere else."""

from collections.abc import AsyncGenerator

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from .refusals import RequestError

FIELD = "file"
UNNAMED = "picture"
NOTHING_ARRIVED = f"no picture arrived; send its bytes as the body, or files in the field {FIELD}"
OTHER_TYPE = "the body is neither a picture nor multipart; say Content-Type: application/octet-stream, or image/jpeg"


async def read_pictures(request: Request, max_bytes: int) -> list[tuple[str, bytes]]:
    """Names and files of the pictures that a request brings.

    Args:
        request: with one picture as its body, or with any number of them in a multipart form.
        max_bytes: of the body.

    Raises:
        RequestError: the body is too large, of another type or malformed, or brings no picture.
    """
    kind = request.headers.get("content-type", "application/octet-stream").partition(";")[0].strip().lower()
    body = _bounded(request, max_bytes)
    if kind == "multipart/form-data":
        return await _files(request, body, max_bytes)
    if kind != "application/octet-stream" and not kind.startswith("image/"):
        raise RequestError(415, "unsupported-body", OTHER_TYPE)
    data = b"".join([chunk async for chunk in body])
    if not data:
        raise RequestError(400, "missing", NOTHING_ARRIVED)
    return [(UNNAMED, data)]


async def _bounded(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """The body, chunk by chunk; what it says of its length is only believed where that is too much."""
    problem = f"more than {max_bytes / 2**20:.4g} MiB; save the picture smaller, or send fewer at once"
    too_large = RequestError(413, "too-many-bytes", problem)
    promised = request.headers.get("content-length", "")
    if promised.isdecimal() and int(promised) > max_bytes:
        raise too_large
    left = max_bytes
    async for chunk in request.stream():
        left -= len(chunk)
        if left < 0:
            raise too_large
        yield chunk


async def _files(request: Request, body: AsyncGenerator[bytes, None], max_bytes: int) -> list[tuple[str, bytes]]:
    # Any number of files: the body is bounded, and who is asked for places counts them.
    parser = MultiPartParser(request.headers, body, max_files=float("inf"))
    parser.spool_max_size = max_bytes  # or large pictures would be written to the disk
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise RequestError(400, "malformed-body", f"not a multipart form ({error.message}); send it again") from None
    try:
        files = [file for file in form.getlist(FIELD) if isinstance(file, UploadFile)]
        if not files:
            raise RequestError(400, "missing", NOTHING_ARRIVED)
        return [(file.filename or f"{UNNAMED} {number}", await file.read()) for number, file in enumerate(files, 1)]
    finally:
        await form.close()


__all__ = ["FIELD", "UNNAMED", "read_pictures"]
