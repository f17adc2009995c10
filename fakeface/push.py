"""Push a model to the Hub, whole and tried, or not at all."""

import tempfile
from pathlib import Path

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from .folder_check import check_folder
from .hub_errors import HubError
from .model_export import ExportedFile, export_folder
from .upload import Pushed, check_login, push_folder

MESSAGE = "Upload the model as exported by fakeface"


def check_repo_name(repo: str) -> None:
    """Raises HubError where it is not OWNER/NAME."""
    try:
        validate_repo_id(repo)
        valid = "/" in repo
    except HFValidationError:
        valid = False
    if not valid:
        raise HubError(f"{repo}: is no name of a repository; it takes the form OWNER/NAME")


def push_model(
    model: str,
    repo: str,
    *,
    revision: str | None = None,
    private: bool = False,
    create_pr: bool = False,
    onnx: str | Path | None = None,
    dry_run: bool = False,
) -> tuple[list[ExportedFile], Pushed | None]:
    """Export a model, look whether it is fit for strangers, and push it.

    Args:
        model: a model folder or a Hub id.
        repo, revision, private, create_pr: as for `upload.push_folder`.
        onnx: as for `export_folder`.
        dry_run: send nothing, and ask the Hub nothing.

    Returns:
        The files with their sizes, and what was done; `None` for a dry run.

    Raises:
        HubError, ModelFolderError, CardError, FolderCheckError: the message has the cure. `repo` is as it was.
    """
    check_repo_name(repo)
    if not dry_run:
        check_login(repo)  # before a minute of work, not after it
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "model"
        files = export_folder(model, folder, onnx=onnx, name=repo.partition("/")[2], where=repo)
        check_folder(folder)
        if dry_run:
            return files, None
        done = push_folder(folder, repo, revision=revision, private=private, create_pr=create_pr, message=MESSAGE)
        return files, done


__all__ = ["check_repo_name", "push_model"]
