"""Pull requests of the Hub on loopback: open, list, look at, close and merge."""

from typing import TYPE_CHECKING, Any

from hub.repositories import Account, PullRequest, Repository, refusal
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

WHEN = "2026-01-01T00:00:00.000Z"


class Discussions:
    """The part of `Hub` that answers below `/discussions`."""

    if TYPE_CHECKING:

        def repository(self, request: Request, write: bool = False) -> Repository: ...
        def account(self, request: Request) -> Account | None: ...

    def discussion_routes(self, api: str) -> list[Route]:
        return [
            Route(f"{api}/discussions", self.list_discussions),
            Route(f"{api}/discussions", self.open_discussion, methods=["POST"]),
            Route(f"{api}/discussions/{{number:int}}", self.discussion),
            Route(f"{api}/discussions/{{number:int}}/status", self.set_status, methods=["POST"]),
            Route(f"{api}/discussions/{{number:int}}/merge", self.merge, methods=["POST"]),
        ]

    async def list_discussions(self, request: Request) -> Response:
        repository = self.repository(request)
        wanted = {"open": ("open", "draft"), "closed": ("closed", "merged")}.get(
            request.query_params.get("status", ""), ("open", "draft", "closed", "merged")
        )
        found = [told(request, repository, each) for each in repository.pull_requests if each.status in wanted]
        return JSONResponse({"discussions": found, "count": len(found), "start": 0})

    async def open_discussion(self, request: Request) -> Response:
        repository, asked, account = self.repository(request), await request.json(), self.account(request)
        if account is None or not account.write:
            raise refusal(403 if account else 401, "", "You may not open discussions here")
        if not asked.get("pullRequest"):
            raise refusal(400, "", "this Hub knows pull requests only")
        opened = repository.open_pull_request(asked["title"], account.user, repository.resolve("main"))
        opened.status = "draft"
        return JSONResponse(told(request, repository, opened))

    async def discussion(self, request: Request) -> Response:
        repository = self.repository(request)
        return JSONResponse(told(request, repository, find(request, repository)))

    async def set_status(self, request: Request) -> Response:
        repository = self.repository(request, write=True)
        pull = find(request, repository)
        pull.status = (await request.json())["status"]
        data = {"status": pull.status, "reason": None}
        author = {"name": pull.author}
        event = {"id": "1", "type": "status-change", "createdAt": WHEN, "author": author, "data": data}
        return JSONResponse({"newStatus": event})

    async def merge(self, request: Request) -> Response:
        repository = self.repository(request, write=True)
        pull = find(request, repository)
        if pull.status != "open":
            raise refusal(409, "", f"this pull request is {pull.status}")
        pull.status = "merged"
        repository.point("main", repository.refs[f"refs/pr/{pull.number}"])
        return JSONResponse({})


def find(request: Request, repository: Repository) -> PullRequest:
    number = request.path_params["number"]
    if not 1 <= number <= len(repository.pull_requests):
        raise refusal(404, "", f"Discussion {number} not found")
    return repository.pull_requests[number - 1]


def told(request: Request, repository: Repository, pull: PullRequest) -> dict[str, Any]:
    """A pull request as the API tells it."""
    kind = request.path_params["kind"].removesuffix("s")
    head = {"num": pull.number, "title": pull.title, "status": pull.status, "createdAt": WHEN}
    place = {"repo": {"name": repository.name, "type": kind}, "author": {"name": pull.author}}
    rest = {"isPullRequest": True, "events": [], "filesWithConflicts": [], "changes": {"base": "refs/heads/main"}}
    return {**head, **place, **rest, "diff": ""}
