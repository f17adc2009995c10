"""Built datasets to the Hub, and datasets of the Hub as sources of a build."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class HubError(ValueError):
    """The Hub did not do what was asked; the message names the repository and the cure."""


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

    with _clear_hub_errors(repo):
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
    return f"https://huggingface.co/datasets/{repo}"


def fetch_dataset(repo: str, revision: str, folder: Path) -> None:
    """Download the files of a dataset of the Hub into a folder; nothing of it is run. Raises HubError."""
    if folder.is_dir() and any(folder.iterdir()) and os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        return  # what is there is taken as it is
    from huggingface_hub import snapshot_download

    with _clear_hub_errors(repo):
        # Files of a `local_dir` are files; in the Hub's cache they would be links out of the folder.
        snapshot_download(repo, repo_type="dataset", revision=revision, local_dir=folder, ignore_patterns=["*.py"])


def fetch_snapshot(repo: str, revision: str | None = None) -> Path:
    """The files of a dataset of the Hub in the Hub's own cache, whole; nothing of it is run. Raises HubError."""
    from huggingface_hub import snapshot_download

    with _clear_hub_errors(repo):
        return Path(snapshot_download(repo, repo_type="dataset", revision=revision, ignore_patterns=["*.py"]))


@contextmanager
def _clear_hub_errors(repo: str) -> Iterator[None]:
    from huggingface_hub import errors

    cures = (
        (errors.HFValidationError, "is no name of a repository; it takes the form OWNER/NAME"),
        (errors.LocalTokenNotFoundError, "needs a token: run `hf auth login` first"),
        (errors.OfflineModeIsEnabled, "cannot be reached: HF_HUB_OFFLINE is set; unset it"),
        (errors.GatedRepoError, "asks you to accept its terms: do that on its page, then run `hf auth login`"),
        (errors.RepositoryNotFoundError, "is not there, or not for you: check the name, or run `hf auth login`"),
        (errors.HfHubHTTPError, "was refused by the Hub"),
    )
    try:
        yield
    except Exception as error:
        for kind, cure in cures:
            if isinstance(error, kind):
                detail = f" ({str(error).splitlines()[0]})" if kind is errors.HfHubHTTPError else ""
                raise HubError(f"{repo}: {cure}{detail}") from None
        if isinstance(error, (OSError, errors.HfHubHTTPError.__bases__[0])):  # the latter of httpx or httpx2
            raise HubError(f"{repo}: the Hub cannot be reached ({error}); check the network, and try again") from None
        raise
