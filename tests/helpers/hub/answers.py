"""Addresses and answers of the Hub on loopback."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from hub.repositories import File
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

RANGE = re.compile(r"bytes=(\d+)-(\d*)")


def revision_of(request: Request) -> str:
    """The branch, tag, commit or pull request that an address names."""
    return unquote(request.path_params.get("revision", "main"))


def ranged(request: Request, data: bytes, headers: dict[str, str]) -> Response:
    """All of a file, or the one range of it that is asked for."""
    headers = {**headers, "Accept-Ranges": "bytes"}
    asked = RANGE.fullmatch(request.headers.get("range", ""))
    if not asked:
        return Response(data, headers=headers, media_type="application/octet-stream")
    first, last = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
    if first > last:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return Response(data[first : last + 1], 206, headers, "application/octet-stream")


def entry(path: str, file: File) -> dict[str, Any]:
    """A file in a listing."""
    size = len(file.data)
    large = {"lfs": {"oid": file.etag, "size": size, "pointerSize": 134}} if file.large else {}
    return {"type": "file", "path": path, "size": size, "oid": file.oid, **large}


def folder_entry(path: str) -> dict[str, Any]:
    """A folder in a listing."""
    return {"type": "directory", "path": path, "size": 0, "oid": hashlib.sha1(path.encode()).hexdigest()}


def listing(files: Mapping[str, File], folder: str, recursive: bool) -> list[dict[str, Any]]:
    """Files and folders below a folder, `""` for the top; without `recursive` only what stands in it itself."""
    prefix = f"{folder}/" if folder else ""
    below = {path: file for path, file in files.items() if path.startswith(prefix)}
    folders = {prefix + "/".join(parts[:i]) for path in below
               for parts in [path.removeprefix(prefix).split("/")] for i in range(1, len(parts))}  # fmt: skip
    entries = [*map(folder_entry, sorted(folders)), *(entry(path, file) for path, file in below.items())]
    return [each for each in entries if recursive or "/" not in each["path"].removeprefix(prefix)]


def ref_entry(name: str, ref: str, commit: str) -> dict[str, str]:
    return {"name": name, "ref": ref, "targetCommit": commit}


def with_whole_revisions(app: ASGIApp) -> ASGIApp:
    """Keeps `refs%2Fpr%2F1` one part of the address; handlers unquote it."""

    async def whole(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            raw = scope["raw_path"].replace(b"%2F", b"%252F").replace(b"%2f", b"%252F")
            scope["path"] = unquote_to_bytes(raw).decode()
        await app(scope, receive, send)

    return whole
