"""A Hub on loopback for the real client of huggingface_hub: enough to create, fill and fetch repositories.

    with serve() as hub:
        subprocess.run([...], env=hub.environment(home))  # the client reads its settings when it is imported
        hub.repositories["datasets/nobody/faces"].files["README.md"].data

It keeps everything in memory and speaks the protocol without xet, as huggingface_hub 2 does with HF_HUB_DISABLE_XET:
large files go through Git LFS, the rest with the commit. There is one user, `nobody`, with one token.
"""

import base64
import hashlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

USER, TOKEN = "nobody", "hf_loopback"
LARGE_SUFFIXES = (".parquet", ".safetensors", ".bin")


@dataclass(frozen=True)
class File:
    """A file of a commit; large ones are known by their sha256, others by Git's hash of them."""

    data: bytes
    large: bool = False

    @property
    def oid(self) -> str:
        return hashlib.sha1(b"blob %d\0" % len(self.data) + self.data).hexdigest()

    @property
    def etag(self) -> str:
        return hashlib.sha256(self.data).hexdigest() if self.large else self.oid


@dataclass
class Repository:
    """A repository: its commits, oldest first, each with all its files; and where `main` and other names point."""

    name: str
    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, File]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, File], message: str = "") -> str:
        """Make these the files of `main`. Returns the commit's id."""
        content = [len(self.commits), message, sorted((path, file.etag) for path, file in files.items())]
        commit = hashlib.sha1(json.dumps(content).encode()).hexdigest()
        self.commits[commit], self.refs["main"] = files, commit
        return commit

    @property
    def files(self) -> dict[str, File]:
        """Those of `main`."""
        return self.commits[self.refs["main"]]

    def resolve(self, revision: str) -> str:
        commit = self.refs.get(revision, revision)
        if commit not in self.commits:
            raise refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit


@dataclass
class Hub:
    """What it serves; `repositories` by kind and name, such as `datasets/nobody/faces`."""

    port: int
    repositories: dict[str, Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def url(self, kind: str, name: str) -> str:
        """The page of a repository."""
        return f"{self.endpoint}/{name}" if kind == "models" else f"{self.endpoint}/{kind}/{name}"

    def add(self, name: str, files: dict[str, bytes], private: bool = False, gated: bool = False) -> str:
        """A repository that is there already. Returns its commit's id."""
        self.repositories[name] = Repository(name.partition("/")[2], private, gated)
        return self.repositories[name].commit({path: File(data) for path, data in files.items()})

    def environment(self, home: Path, token: str = TOKEN) -> dict[str, str]:
        """The environment of a process whose client talks to this Hub and keeps everything below `home`."""
        ours = {"HF_ENDPOINT": self.endpoint, "HF_HOME": str(home), "HF_TOKEN": token, "HF_HUB_DISABLE_XET": "1"}
        quiet = {
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1,localhost",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        return {**kept, **ours, **quiet}

    def routes(self) -> list[Route]:
        api, plain = "/api/{kind}/{user}/{name}", "/{user}/{name}"
        routes = [
            Route("/api/whoami-v2", self.who),
            Route("/api/validate-yaml", self.validate, methods=["POST"]),
            Route("/api/repos/create", self.create, methods=["POST"]),
            Route(f"{api}/preupload/{{revision}}", self.preupload, methods=["POST"]),
            Route(f"{api}/commit/{{revision}}", self.commit, methods=["POST"]),
            Route(api, self.info),
            Route(f"{api}/revision/{{revision}}", self.info),
            Route(f"{api}/tree/{{revision}}", self.tree),
            Route("/large/{oid}", self.put_large, methods=["PUT"]),
            Route("/large/{oid}", self.get_large),
        ]
        for prefix in ("/{kind:str}", ""):  # models have none
            routes += [
                Route(f"{prefix}{plain}.git/info/lfs/objects/batch", self.batch, methods=["POST"]),
                Route(f"{prefix}{plain}/resolve/{{revision}}/{{path:path}}", self.resolve),
            ]
        return routes

    def repository(self, request: Request, write: bool = False) -> Repository:
        """The one that an address names, if the client may see or change it; otherwise refused as the Hub does."""
        path = request.path_params
        known = request.headers.get("authorization") == f"Bearer {TOKEN}"
        found = self.repositories.get(f"{path.get('kind', 'models')}/{path['user']}/{path['name']}")
        if found is None or (found.private and not known):
            raise refusal(404 if known else 401, "RepoNotFound", "Repository not found")
        if found.gated:
            raise refusal(403, "GatedRepo", "Access to this repository is restricted")
        if write:
            self.check_owner(request, path["user"])
        return found

    def check_owner(self, request: Request, owner: str) -> None:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            raise refusal(401, "", "Invalid username or password.")
        if owner != USER:
            raise refusal(403, "", f"You don't have the rights to write to {owner}")

    async def who(self, request: Request) -> Response:
        self.check_owner(request, USER)
        return JSONResponse({"type": "user", "name": USER, "orgs": []})

    async def validate(self, request: Request) -> Response:
        text = (await request.json())["content"]
        errors = [] if text.startswith("---\n") else [{"message": "no front matter"}]
        return JSONResponse({"errors": errors, "warnings": []}, 400 if errors else 200)

    async def create(self, request: Request) -> Response:
        asked = await request.json()
        owner = asked.get("organization") or USER
        self.check_owner(request, owner)
        kind, name = f"{asked.get('type') or 'model'}s", f"{owner}/{asked['name']}"
        url = self.url(kind, name)
        if f"{kind}/{name}" in self.repositories:
            return JSONResponse({"error": "You already created this repo", "url": url}, 409)
        made = Repository(name, private=asked.get("private") or asked.get("visibility") == "private")
        made.commit({".gitattributes": File(b"*.parquet filter=lfs\n")}, "initial commit")
        self.repositories[f"{kind}/{name}"] = made
        return JSONResponse({"url": url, "name": name})

    async def preupload(self, request: Request) -> Response:
        files = self.repository(request, write=True).files
        answers = []
        for asked in (await request.json())["files"]:
            large = asked["path"].endswith(LARGE_SUFFIXES)
            there = files.get(asked["path"])
            mode = {"uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
            answers.append({"path": asked["path"], "oid": there.etag if there else None, **mode})
        return JSONResponse({"files": answers})

    async def batch(self, request: Request) -> Response:
        self.repository(request, write=True)
        objects = []
        for asked in (await request.json())["objects"]:
            upload = {"upload": {"href": f"{self.endpoint}/large/{asked['oid']}"}}
            objects.append({**asked, **({} if asked["oid"] in self.large else {"actions": upload})})
        return JSONResponse({"transfer": "basic", "objects": objects}, media_type="application/vnd.git-lfs+json")

    async def put_large(self, request: Request) -> Response:
        data = await request.body()
        if hashlib.sha256(data).hexdigest() != request.path_params["oid"]:
            raise refusal(400, "", "these bytes have another sha256")
        self.large[request.path_params["oid"]] = data
        return Response()

    async def get_large(self, request: Request) -> Response:
        return Response(self.large[request.path_params["oid"]], media_type="application/octet-stream")

    async def commit(self, request: Request) -> Response:
        repository = self.repository(request, write=True)
        files, message = dict(repository.files), ""
        for line in (await request.body()).splitlines():
            step: dict[str, Any] = json.loads(line)
            value = step["value"]
            if step["key"] == "header":
                message = value["summary"]
            elif step["key"] == "file":
                files[value["path"]] = File(base64.b64decode(value["content"]))
            elif step["key"] == "lfsFile":
                files[value["path"]] = File(self.large[value["oid"]], large=True)
            elif step["key"] == "deletedFile":
                del files[value["path"]]
        commit = repository.commit(files, message)
        url = f"{self.url(request.path_params['kind'], repository.name)}/commit/{commit}"
        return JSONResponse({"success": True, "commitOid": commit, "commitUrl": url})

    async def info(self, request: Request) -> Response:
        repository = self.repository(request)
        commit = repository.resolve(request.path_params.get("revision", "main"))
        siblings = [{"rfilename": path} for path in repository.commits[commit]]
        told = {"id": repository.name, "sha": commit, "private": repository.private, "gated": repository.gated}
        return JSONResponse({**told, "siblings": siblings, "tags": []})

    async def tree(self, request: Request) -> Response:
        repository = self.repository(request)
        entries = []
        for path, file in repository.commits[repository.resolve(request.path_params["revision"])].items():
            size = len(file.data)
            large = {"lfs": {"oid": file.etag, "size": size, "pointerSize": 134}} if file.large else {}
            entries.append({"type": "file", "path": path, "size": size, "oid": file.oid, **large})
        return JSONResponse(entries)

    async def resolve(self, request: Request) -> Response:
        """A file; large ones lie on another host, where the client must not send its token."""
        repository, path = self.repository(request), request.path_params["path"]
        commit = repository.resolve(request.path_params["revision"])
        file = repository.commits[commit].get(path)
        if file is None:
            raise refusal(404, "EntryNotFound", f"{path} does not exist")
        headers = {"X-Repo-Commit": commit, "ETag": f'"{file.etag}"'}
        if not file.large:
            return Response(file.data, headers=headers, media_type="application/octet-stream")
        linked = {"X-Linked-Etag": f'"{file.etag}"', "X-Linked-Size": str(len(file.data))}
        return RedirectResponse(f"http://localhost:{self.port}/large/{file.etag}", 302, {**headers, **linked})


def refusal(status: int, code: str, message: str) -> HTTPException:
    """An answer with the header by which the client chooses its error class."""
    return HTTPException(status, message, {"X-Error-Code": code, "X-Error-Message": message} if code else None)


@contextmanager
def serve() -> Iterator[Hub]:
    """A Hub that answers while the block runs."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        hub = Hub(listening.getsockname()[1])
        settings = uvicorn.Config(Starlette(routes=hub.routes()), log_level="error", lifespan="off")
        server = uvicorn.Server(settings)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            server.should_exit = True
            thread.join(timeout=10)
