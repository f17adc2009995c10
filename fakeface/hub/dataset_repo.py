"""Built datasets to the Hub, and datasets of the Hub as sources of a build."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from .errors import HubError, clear_hub_errors

# Code; what a build of ours left out; and names that would lead out of the folder, which no honest Hub has.
_NOT_FETCHED = ["*.py", "rejects.parquet", "/*", "../*", "*/../*"]


def push_dataset(folder: Path, repo: str, *, private: bool = True) -> str:
    """Upload a built dataset.

    Args:
        folder: what `build` made.
        repo: such as `nobody/faces`; made if it is not there.
        private: whether a new one is private. Most sources do not allow their pictures to be passed on.

    Returns:
        Its address.

    Raises:
        HubError: no network, no token, no permission, or a name that cannot be.
    """
    if not (folder / "build.json").is_file():
        raise HubError(f"{folder}: no finished dataset; build it first")
    from huggingface_hub import HfApi

    with clear_hub_errors(repo):
        api = HfApi()
        api.create_repo(repo, repo_type="dataset", private=private, exist_ok=True)
        api.upload_folder(
            folder_path=folder,
            repo_id=repo,
            repo_type="dataset",
            allow_patterns=["data/*.parquet", "rejects.parquet", "README.md", "build.json"],
            delete_patterns=["data/*.parquet"],  # shards of an earlier build would be read with the new ones
            commit_message="Upload the dataset as built by fakeface",
        )
    return f"{api.endpoint}/datasets/{repo}"


def fetch_dataset(repo: str, revision: str, folder: Path, files: Sequence[str] = ()) -> None:
    """Download the files of a dataset of the Hub into a folder; nothing of it is run.

    What an earlier download of another revision left there, and this revision lacks, is removed.

    Args:
        repo: such as `nobody/faces`.
        revision: branch, tag or commit.
        folder: to download into.
        files: patterns of the files to take, such as `data/test-*.parquet`; by default all.

    Raises:
        HubError: no network, no such dataset or revision, a pattern that no file has, or the folder holds files that
            never were of it or that are not asked for.
    """
    if folder.is_dir() and any(folder.iterdir()) and os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        return  # what is there is taken as it is
    from huggingface_hub import HfApi

    with clear_hub_errors(repo):
        api = HfApi()
        # Asked first: where the Hub does not answer, `snapshot_download` of a branch takes what is there, whole or not.
        told = api.dataset_info(repo, revision=revision)
        there = [sibling.rfilename for sibling in told.siblings or []]
        names = {name for name in there if not files or any(fnmatchcase(name, pattern) for pattern in files)}
        for pattern in files:
            if not any(fnmatchcase(name, pattern) for name in there):
                raise HubError(f"{repo}: has no file {pattern!r} at {told.sha}; look at its files, and name others")
        # Files of a `local_dir` are files; in the Hub's cache they would be links out of the folder.
        api.snapshot_download(
            repo,
            repo_type="dataset",
            revision=told.sha,
            local_dir=folder,
            allow_patterns=list(files) or None,
            ignore_patterns=_NOT_FETCHED,
        )
    _remove_downloads_of_other_commits(folder, str(told.sha))
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not name.startswith(".") and name not in names:
            what = f"is not among the `files` to take of {repo}" if name in there else f"is not in {repo} at {told.sha}"
            raise HubError(f"{path}: {what}; remove it, or name another folder")


def _remove_downloads_of_other_commits(folder: Path, commit: str) -> None:
    """Remove what was downloaded at another commit; files that were put there by hand stay."""
    records = folder / ".cache" / "huggingface" / "download"  # of the client: the first line is the file's commit
    for record in sorted(records.rglob("*.metadata")):
        if record.read_text(encoding="utf-8").partition("\n")[0] != commit:
            (folder / record.relative_to(records).with_suffix("")).unlink(missing_ok=True)
            record.unlink()


def fetch_snapshot(repo: str, revision: str | None = None) -> Path:
    """The files of a dataset of the Hub in the Hub's own cache, whole; nothing of it is run. Raises HubError."""
    from huggingface_hub import snapshot_download

    with clear_hub_errors(repo):
        return Path(snapshot_download(repo, repo_type="dataset", revision=revision, ignore_patterns=["*.py"]))
