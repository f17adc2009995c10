"""Make a repository of the Hub hold the files of a folder: in one commit, whatever the line does in between.

A commit of the Hub is there or not, never half. So what is tried again and again here is this: look at what is there;
if it is what is wanted, that was it; else send the difference as one commit upon what was seen. Large files that went
up stay there, and are not sent again.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import validate_repo_id

from ..model_folder.checksums import SUMS, listed_files, parse_sums, sha256_of
from .errors import TRIES, HubError, clear_hub_errors, insist, may_pass, wait

MAIN = "main"
CHANGED_MEANWHILE = 412  # the answer to a commit upon another than the newest


@dataclass(frozen=True)
class Pushed:
    """What a push did.

    Attributes:
        repo: the repository.
        revision: branch, or the pull request's `refs/pr/N`.
        commit: its newest commit, which has the files.
        url: page to look at.
        changed: names of files that were sent or removed; empty where everything was there already.
    """

    repo: str
    revision: str
    commit: str
    url: str
    changed: tuple[str, ...]


def check_repo_name(repo: str) -> None:
    """Raises HubError where it is not OWNER/NAME."""
    try:
        validate_repo_id(repo)
        valid = "/" in repo
    except HFValidationError:
        valid = False
    if not valid:
        raise HubError(f"{repo}: is not the name of a repository; it takes the form OWNER/NAME")


def check_login(repo: str) -> str:
    """Who is logged in. Raises HubError: nobody is, or the Hub cannot be asked."""
    with clear_hub_errors(repo):
        if get_token() is None:
            raise LocalTokenNotFoundError
        return insist(lambda: HfApi().whoami())["name"]


def push_folder(
    folder: Path,
    repo: str,
    *,
    kind: str = "model",
    revision: str | None = None,
    private: bool = False,
    create_pr: bool = False,
    message: str,
    sdk: str | None = None,
) -> Pushed:
    """Make a branch of a repository, or a pull request, hold the files of a folder.

    Args:
        folder: with a `SHA256SUMS` of its files; hidden ones stay here.
        repo: such as `nobody/fakeface`; made if it is not there.
        kind: `model` or `space`.
        revision: branch; made from `main` if it is not there.
        private: whether a new repository is; one that exists must be so already.
        create_pr: open a pull request to `main` instead, unless one with these files is open.
        message: of the commit.
        sdk: of a new Space.

    Files that the `SHA256SUMS` of the repository lists and the folder lacks are removed; others there stay.

    Raises:
        HubError: no login, no permission, no network; or what is there contradicts what is asked.
    """
    if create_pr and revision is not None:
        raise HubError(f"{repo}: a pull request goes to {MAIN}; leave out the revision, or the pull request")
    check_login(repo)
    api, branch = HfApi(), revision or MAIN
    files = {name: folder / name for name in (*listed_files(folder), SUMS)}
    with clear_hub_errors(repo):
        _make_repository(api, repo, kind, private, sdk)
        if branch != MAIN:
            _make_branch(api, repo, kind, branch)
        return _Push(api, repo, kind, branch, files, create_pr, message).run()


def _make_repository(api: HfApi, repo: str, kind: str, private: bool, sdk: str | None) -> None:
    def private_there() -> bool | None:
        try:
            return bool(api.repo_info(repo, repo_type=kind).private)
        except RepositoryNotFoundError:
            return None

    there = insist(private_there)
    if there is None:
        insist(lambda: api.create_repo(repo, repo_type=kind, private=private, exist_ok=True, space_sdk=sdk))
        there = insist(private_there)  # a try whose answer was lost may have met one that was made by others
    if private and there is False:
        raise HubError(f"{repo}: is there and public; make it private in its settings, or push without --private")


def _make_branch(api: HfApi, repo: str, kind: str, branch: str) -> None:
    refs = insist(lambda: api.list_repo_refs(repo, repo_type=kind))
    if branch in (ref.name for ref in refs.tags):
        raise HubError(f"{repo}: {branch} is a tag there, and tags stay as they are; name a branch")
    if branch not in (ref.name for ref in refs.branches):
        insist(lambda: api.create_branch(repo, repo_type=kind, branch=branch, exist_ok=True))


@dataclass
class _Push:
    api: HfApi
    repo: str
    kind: str
    branch: str
    files: dict[str, Path]
    create_pr: bool
    message: str

    def run(self) -> Pushed:
        before: tuple[str, ...] = ()
        for attempt in range(TRIES):
            head, added, removed = self.difference(self.branch)
            changed = (*added, *removed)
            if not changed:
                return Pushed(self.repo, self.branch, head, self.page("tree", self.branch), before)
            if self.create_pr and (found := self.open_pull_request()):
                return Pushed(self.repo, found[0], found[1], self.page("discussions", found[0][8:]), before)
            before = changed
            operations = [CommitOperationAdd(name, str(self.files[name])) for name in added]
            operations += [CommitOperationDelete(name) for name in removed]
            try:
                done = self.api.create_commit(
                    self.repo,
                    operations,
                    repo_type=self.kind,
                    revision=self.branch,
                    commit_message=self.message,
                    create_pr=self.create_pr,
                    parent_commit=head,
                )
            except Exception as error:
                again = may_pass(error) or (
                    isinstance(error, HfHubHTTPError) and error.response.status_code == CHANGED_MEANWHILE
                )
                if not again or attempt == TRIES - 1:
                    raise
                wait(attempt, error)
                continue
            if self.create_pr:
                return Pushed(self.repo, str(done.pr_revision), done.oid, str(done.pr_url), changed)
            return Pushed(self.repo, self.branch, done.oid, self.page("tree", self.branch), changed)
        raise HubError(f"{self.repo}: others keep changing it; push again when they are done")

    def page(self, *parts: str) -> str:
        prefix = f"{self.api.endpoint}/spaces" if self.kind == "space" else self.api.endpoint
        return "/".join((prefix, self.repo, *parts))

    def difference(self, revision: str) -> tuple[str, list[str], list[str]]:
        """A revision's commit, and which of our files it lacks or has otherwise, and which old ones are to go."""
        head = str(insist(lambda: self.api.repo_info(self.repo, repo_type=self.kind, revision=revision)).sha)
        there = insist(lambda: self.tree(head))
        added = [name for name, file in self.files.items() if name not in there or not _same(there[name], file)]
        stale: list[str] = []
        if SUMS in there and there[SUMS].size < 2**20:
            fetch: Callable[[], str] = lambda: self.api.hf_hub_download(  # noqa: E731
                self.repo, SUMS, repo_type=self.kind, revision=head
            )
            try:
                stale = [*parse_sums(Path(insist(fetch)).read_text(encoding="utf-8"))]
            except ValueError:
                stale = []  # somebody else's list
        return head, added, [name for name in stale if name in there and name not in self.files]

    def tree(self, revision: str) -> dict[str, RepoFile]:
        found = self.api.list_repo_tree(self.repo, repo_type=self.kind, revision=revision, recursive=True)
        return {entry.path: entry for entry in found if isinstance(entry, RepoFile)}

    def open_pull_request(self) -> tuple[str, str] | None:
        """Ref and commit of an open pull request that has just these files."""
        found = insist(
            lambda: list(
                self.api.get_repo_discussions(
                    self.repo, repo_type=self.kind, discussion_type="pull_request", discussion_status="open"
                )
            )
        )
        for pull in found:
            if pull.title == self.message and pull.git_reference:
                head, added, removed = self.difference(pull.git_reference)
                if not added and not removed:
                    return pull.git_reference, head
        return None


def _same(there: RepoFile, file: Path) -> bool:
    """Whether a file of a repository has the bytes of one here: by sha256 if it is large, else by Git's own hash."""
    if there.size != file.stat().st_size:
        return False
    if there.lfs is not None:
        return there.lfs.sha256 == sha256_of(file)
    content = file.read_bytes()
    return there.blob_id == hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


__all__ = ["Pushed", "check_login", "check_repo_name", "push_folder"]
