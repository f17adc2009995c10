"""Git LFS of the Hub on loopback: large files come whole or in parts, and stay whether or not a commit takes them."""

import hashlib
from typing import TYPE_CHECKING, Any

from hub.answers import ranged
from hub.repositories import Repository, refusal
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


class LargeFiles:
    """The part of `Hub` that answers below `/large` and for `info/lfs`."""

    if TYPE_CHECKING:

        @property
        def endpoint(self) -> str: ...

        large: dict[str, bytes]
        parts: dict[tuple[str, int], bytes]
        part_size: int | None

        def repository(self, request: Request, write: bool = False) -> Repository: ...

    def large_file_routes(self) -> list[Route]:
        return [
            Route("/large/{oid}", self.put_large, methods=["PUT"]),
            Route("/large/{oid}", self.get_large),
            Route("/large/{oid}/complete", self.complete, methods=["POST"]),
            Route("/large/{oid}/{part:int}", self.put_part, methods=["PUT"]),
        ]

    async def batch(self, request: Request) -> Response:
        self.repository(request, write=True)
        where = f"{self.endpoint}{request.url.path.removesuffix('batch')}verify"
        objects = []
        for asked in (await request.json())["objects"]:
            upload: dict[str, Any] = {"href": f"{self.endpoint}/large/{asked['oid']}"}
            if self.part_size and asked["size"] > self.part_size:
                count = -(-asked["size"] // self.part_size)
                parts = {f"{part:05}": f"{upload['href']}/{part}" for part in range(1, count + 1)}
                upload = {"href": f"{upload['href']}/complete", "header": {"chunk_size": str(self.part_size), **parts}}
            actions = {"upload": upload, "verify": {"href": where}}
            objects.append({**asked, **({} if asked["oid"] in self.large else {"actions": actions})})
        return JSONResponse({"transfer": "basic", "objects": objects}, media_type="application/vnd.git-lfs+json")

    async def put_large(self, request: Request) -> Response:
        self.take(request.path_params["oid"], await request.body())
        return Response()

    async def put_part(self, request: Request) -> Response:
        data = await request.body()
        self.parts[request.path_params["oid"], request.path_params["part"]] = data
        return Response(headers={"ETag": hashlib.md5(data).hexdigest()})

    async def complete(self, request: Request) -> Response:
        oid = request.path_params["oid"]
        data = b""
        for part in (await request.json())["parts"]:
            piece = self.parts.get((oid, part["partNumber"]))
            if piece is None or hashlib.md5(piece).hexdigest() != part["etag"]:
                raise refusal(400, "", f"part {part['partNumber']} is missing")
            data += piece
        self.take(oid, data)
        return JSONResponse({"success": True})

    def take(self, oid: str, data: bytes) -> None:
        if hashlib.sha256(data).hexdigest() != oid:
            raise refusal(400, "", "these bytes have another sha256")
        self.large[oid] = data

    async def verify(self, request: Request) -> Response:
        self.repository(request, write=True)
        asked = await request.json()
        if len(self.large.get(asked["oid"], b"")) != asked["size"]:
            raise refusal(404, "", "the object was not uploaded")
        return Response()

    async def get_large(self, request: Request) -> Response:
        return ranged(request, self.large[request.path_params["oid"]], {})
