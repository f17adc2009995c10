"""What a Hub keeps: accounts, and repositories with their commits, branches, tags and pull requests."""

import hashlib
import json
from dataclasses import dataclass, field

from starlette.exceptions import HTTPException


@dataclass(frozen=True)
class Account:
    """Whose token it is, and whether it may write."""

    user: str
    write: bool = True


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
class PullRequest:
    """Its commits stand at the ref `refs/pr/NUMBER`."""

    number: int
    title: str
    author: str
    status: str = "open"


@dataclass
class Repository:
    """A repository: its commits, each with all its files; and where branches, tags and pull requests point.

    `history` has every commit that `main` ever pointed to, oldest first.
    """

    name: str
    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, File]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    pull_requests: list[PullRequest] = field(default_factory=list)
    history: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    sdk: str | None = None

    def commit(self, files: dict[str, File], message: str = "", ref: str = "main") -> str:
        """Make these the files of a branch or pull request. Returns the commit's id."""
        content = [len(self.commits), message, sorted((path, file.etag) for path, file in files.items())]
        commit = hashlib.sha1(json.dumps(content).encode()).hexdigest()
        self.commits[commit] = files
        self.point(ref, commit)
        return commit

    def point(self, ref: str, commit: str) -> None:
        self.refs[ref] = commit
        if ref == "main":
            self.history.append(commit)

    def open_pull_request(self, title: str, author: str, commit: str) -> PullRequest:
        made = PullRequest(len(self.pull_requests) + 1, title, author)
        self.pull_requests.append(made)
        self.point(f"refs/pr/{made.number}", commit)
        return made

    @property
    def files(self) -> dict[str, File]:
        """Those of `main`."""
        return self.commits[self.refs["main"]]

    def resolve(self, revision: str) -> str:
        commit = self.refs.get(revision) or self.tags.get(revision) or revision
        if commit not in self.commits:
            raise refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit


def refusal(status: int, code: str, message: str) -> HTTPException:
    """An answer with the header by which the client chooses its error class."""
    return HTTPException(status, message, {"X-Error-Code": code, "X-Error-Message": message} if code else None)
