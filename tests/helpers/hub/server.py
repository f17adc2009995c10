"""A Hub on loopback for the real client of huggingface_hub: enough to create, fill and fetch repositories.

    with serve() as hub:
        subprocess.run([...], env=hub.environment(home))  # the client reads its settings when it is imported
        hub.repositories["datasets/nobody/faces"].files["README.md"].data

It keeps everything in memory and speaks the protocol without xet, as huggingface_hub 2 does with HF_HUB_DISABLE_XET:
large files go through Git LFS, the rest with the commit. `hub.faults` makes it fail, hang up and dawdle.
"""

import base64
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
from hub.answers import entry, folder_entry, listing, ranged, ref_entry, revision_of, with_whole_revisions
from hub.discussions import Discussions
from hub.faults import CuttableProtocol, Faults, Seen, with_faults
from hub.large_files import LargeFiles
from hub.repositories import Account, File, Repository, refusal
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

USER, TOKEN = "nobody", "hf_loopback"
READING, SOMEONE = "hf_readingonly", "hf_someoneelse"
ACCOUNTS = {TOKEN: Account(USER), READING: Account(USER, write=False), SOMEONE: Account("someone")}
LARGE_SUFFIXES = (".parquet", ".safetensors", ".bin", ".onnx")


@dataclass
class Hub(Discussions, LargeFiles):
    """What it serves; `repositories` by kind and name, such as `datasets/nobody/faces`.

    Attributes:
        large: the large files that were uploaded, whether or not a commit took them yet.
        part_size: uploads of more bytes come in parts of so many; `None` takes all of them whole.
        faults: what goes wrong; another object can be set at any time.
        seen: every request so far.
    """

    port: int
    repositories: dict[str, Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    parts: dict[tuple[str, int], bytes] = field(default_factory=dict)
    part_size: int | None = None
    faults: Faults = field(default_factory=Faults)
    seen: list[Seen] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def url(self, kind: str, name: str) -> str:
        """The page of a repository."""
        return f"{self.endpoint}/{name}" if kind == "models" else f"{self.endpoint}/{kind}/{name}"

    def add(self, name: str, files: dict[str, bytes], private: bool = False, gated: bool = False) -> str:
        """A repository that is there already. Returns its commit's id."""
        self.repositories[name] = Repository(name.partition("/")[2], private, gated)
        return self.repositories[name].commit(
            {path: File(data, path.endswith(LARGE_SUFFIXES)) for path, data in files.items()}
        )

    def environment(self, home: Path, token: str = TOKEN) -> dict[str, str]:
        """The environment of a process whose client talks to this Hub and keeps everything below `home`."""
        ours = {"HF_ENDPOINT": self.endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
        quiet = {
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1,localhost",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        return {**kept, **ours, **quiet, **({"HF_TOKEN": token} if token else {})}

    def app(self) -> ASGIApp:
        return with_faults(with_whole_revisions(Starlette(routes=self.routes())), lambda: self.faults, self.seen)

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
            Route(f"{api}/tree/{{revision}}/{{path:path}}", self.tree),
            Route(f"{api}/paths-info/{{revision}}", self.paths_info, methods=["POST"]),
            Route(f"{api}/refs", self.refs),
            Route(f"{api}/branch/{{revision}}", self.branch, methods=["POST", "DELETE"]),
            Route(f"{api}/tag/{{revision}}", self.tag, methods=["POST", "DELETE"]),
            Route(f"{api}/variables", self.set_variable, methods=["POST"]),
            *self.discussion_routes(api),
            *self.large_file_routes(),
        ]
        for prefix in ("/{kind:str}", ""):  # models have none
            routes += [
                Route(f"{prefix}{plain}.git/info/lfs/objects/batch", self.batch, methods=["POST"]),
                Route(f"{prefix}{plain}.git/info/lfs/objects/verify", self.verify, methods=["POST"]),
                Route(f"{prefix}{plain}/resolve/{{revision}}/{{path:path}}", self.resolve),
            ]
        return routes

    def account(self, request: Request) -> Account | None:
        """Whose token the request has; refused if it is nobody's."""
        header = request.headers.get("authorization")
        if header is None:
            return None
        account = ACCOUNTS.get(header.removeprefix("Bearer "))
        if account is None:
            raise refusal(401, "", "Invalid credentials in Authorization header")
        return account

    def repository(self, request: Request, write: bool = False) -> Repository:
        """The one that an address names, if the client may see or change it; otherwise refused as the Hub does."""
        path, account = request.path_params, self.account(request)
        found = self.repositories.get(f"{path.get('kind', 'models')}/{path['user']}/{path['name']}")
        if found is None or (found.private and (account is None or account.user != path["user"])):
            raise refusal(404 if account else 401, "RepoNotFound", "Repository not found")
        if write:
            self.check_owner(request, path["user"])
        return found

    def check_owner(self, request: Request, owner: str) -> Account:
        account = self.account(request)
        if account is None:
            raise refusal(401, "", "Invalid username or password.")
        if account.user != owner or not account.write:
            raise refusal(403, "", f"You don't have the rights to write to {owner}")
        return account

    async def who(self, request: Request) -> Response:
        account = self.account(request)
        if account is None:
            raise refusal(401, "", "Invalid username or password.")
        return JSONResponse({"type": "user", "name": account.user, "orgs": []})

    async def validate(self, request: Request) -> Response:
        text = (await request.json())["content"]
        errors = [] if text.startswith("---\n") else [{"message": "no front matter"}]
        return JSONResponse({"errors": errors, "warnings": []}, 400 if errors else 200)

    async def create(self, request: Request) -> Response:
        asked = await request.json()
        kind, owner = f"{asked.get('type') or 'model'}s", asked.get("organization") or USER
        self.check_owner(request, owner)
        name = f"{owner}/{asked['name']}"
        url = self.url(kind, name)
        if f"{kind}/{name}" in self.repositories:
            return JSONResponse({"error": "You already created this repo", "url": url}, 409)
        made = Repository(name, asked.get("private") or asked.get("visibility") == "private", sdk=asked.get("sdk"))
        made.variables = {each["key"]: each["value"] for each in asked.get("variables", [])}
        made.commit({".gitattributes": File(b"*.parquet filter=lfs\n")}, "initial commit")
        self.repositories[f"{kind}/{name}"] = made
        return JSONResponse({"url": url, "name": name})

    async def preupload(self, request: Request) -> Response:
        repository = self.repository(request, write=True)
        files = repository.commits[repository.resolve(revision_of(request))]
        answers = []
        for asked in (await request.json())["files"]:
            large = asked["path"].endswith(LARGE_SUFFIXES)
            there = files.get(asked["path"])
            mode = {"uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
            answers.append({"path": asked["path"], "oid": there.etag if there else None, **mode})
        return JSONResponse({"files": answers})

    async def commit(self, request: Request) -> Response:
        repository, params = self.repository(request), request.path_params
        as_pull_request = "create_pr" in request.query_params
        author = self.account(request)
        if author is None or not (as_pull_request and author.write):
            author = self.check_owner(request, params["user"])
        ref = revision_of(request)
        parent = repository.refs.get(ref)
        if parent is None:  # a tag or a commit, which cannot grow
            raise refusal(404, "RevisionNotFound", f"Invalid rev id: {ref}")
        files, title = dict(repository.commits[parent]), ""
        for line in (await request.body()).splitlines():
            step: dict[str, Any] = json.loads(line)
            value = step["value"]
            if step["key"] == "header":
                title = value["summary"]
                if value.get("parentCommit", parent) != parent:
                    raise refusal(412, "", "A commit has happened since. Please refresh and try again.")
            elif step["key"] == "file":
                files[value["path"]] = File(base64.b64decode(value["content"]))
            elif step["key"] == "lfsFile":
                if value["oid"] not in self.large:
                    raise refusal(400, "", f"{value['path']}: its large file was not uploaded")
                files[value["path"]] = File(self.large[value["oid"]], large=True)
            elif step["key"] == "deletedFile" and files.pop(value["path"], None) is None:
                raise refusal(404, "EntryNotFound", "A file with this name doesn't exist")
        page, more = self.url(params["kind"], repository.name), {}
        if as_pull_request:
            opened = repository.open_pull_request(title, author.user, parent)
            ref, more = f"refs/pr/{opened.number}", {"pullRequestUrl": f"{page}/discussions/{opened.number}"}
        commit = repository.commit(files, title, ref)
        return JSONResponse({"success": True, "commitOid": commit, "commitUrl": f"{page}/commit/{commit}", **more})

    async def info(self, request: Request) -> Response:
        repository = self.repository(request)
        commit = repository.resolve(revision_of(request))
        siblings = [{"rfilename": path} for path in repository.commits[commit]]
        told = {"id": repository.name, "sha": commit, "private": repository.private, "gated": repository.gated}
        return JSONResponse({**told, "siblings": siblings, "tags": []})

    async def tree(self, request: Request) -> Response:
        repository = self.repository(request)
        files, folder = (
            repository.commits[repository.resolve(revision_of(request))],
            request.path_params.get("path", ""),
        )
        found = listing(files, folder, request.query_params.get("recursive", "false").lower() == "true")
        if folder and not found:
            raise refusal(404, "EntryNotFound", f"{folder} does not exist on {revision_of(request)!r}")
        return JSONResponse(found)

    async def paths_info(self, request: Request) -> Response:
        repository, asked = self.repository(request), await request.json()
        files = repository.commits[repository.resolve(revision_of(request))]
        found = [entry(path, files[path]) for path in asked["paths"] if path in files]
        folders = [path for path in asked["paths"] if any(file.startswith(f"{path}/") for file in files)]
        return JSONResponse([*found, *map(folder_entry, folders)])

    async def refs(self, request: Request) -> Response:
        repository = self.repository(request)
        pulls = {ref: commit for ref, commit in repository.refs.items() if ref.startswith("refs/pr/")}
        branches = {ref: commit for ref, commit in repository.refs.items() if ref not in pulls}
        told = {
            "branches": [ref_entry(name, f"refs/heads/{name}", commit) for name, commit in branches.items()],
            "tags": [ref_entry(name, f"refs/tags/{name}", commit) for name, commit in repository.tags.items()],
            "converts": [],
        }
        if "include_prs" in request.query_params:
            told["pullRequests"] = [ref_entry(name.split("/")[-1], name, commit) for name, commit in pulls.items()]
        return JSONResponse(told)

    async def branch(self, request: Request) -> Response:
        repository, name = self.repository(request, write=True), revision_of(request)
        if request.method == "DELETE":
            if repository.refs.pop(name, None) is None:
                raise refusal(404, "RevisionNotFound", f"Invalid rev id: {name}")
            return JSONResponse({})
        if name in repository.refs:
            return JSONResponse({"error": f"Reference already exists: {name}"}, 409)
        start = (await request.json()).get("startingPoint", "main")
        repository.point(name, repository.resolve(start))
        return JSONResponse({})

    async def tag(self, request: Request) -> Response:
        repository, name = self.repository(request, write=True), revision_of(request)
        if request.method == "DELETE":
            if repository.tags.pop(name, None) is None:
                raise refusal(404, "RevisionNotFound", f"Invalid rev id: {name}")
            return JSONResponse({})
        tag = (await request.json())["tag"]
        if tag in repository.tags:
            return JSONResponse({"error": f"Tag already exists: {tag}"}, 409)
        repository.tags[tag] = repository.resolve(name)
        return JSONResponse({})

    async def set_variable(self, request: Request) -> Response:
        repository, asked = self.repository(request, write=True), await request.json()
        repository.variables[asked["key"]] = asked["value"]
        return JSONResponse({key: {"value": value} for key, value in repository.variables.items()})

    async def resolve(self, request: Request) -> Response:
        """A file; large ones lie on another host, where the client must not send its token."""
        repository, path = self.repository(request), request.path_params["path"]
        account = self.account(request)
        if repository.gated and (account is None or account.user != request.path_params["user"]):
            raise refusal(403 if account else 401, "GatedRepo", "Access to this repository is restricted")
        commit = repository.resolve(revision_of(request))
        file = repository.commits[commit].get(path)
        if file is None:
            raise refusal(404, "EntryNotFound", f"{path} does not exist")
        headers = {"X-Repo-Commit": commit, "ETag": f'"{file.etag}"'}
        if not file.large:
            return ranged(request, file.data, headers)
        self.large[file.etag] = file.data
        linked = {"X-Linked-Etag": f'"{file.etag}"', "X-Linked-Size": str(len(file.data))}
        return RedirectResponse(f"http://localhost:{self.port}/large/{file.etag}", 302, {**headers, **linked})


@contextmanager
def serve() -> Iterator[Hub]:
    """A Hub that answers while the block runs."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        hub = Hub(listening.getsockname()[1])
        settings = uvicorn.Config(hub.app(), http=CuttableProtocol, log_level="error", lifespan="off")
        server = uvicorn.Server(settings)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            server.should_exit = True
            thread.join(timeout=10)
