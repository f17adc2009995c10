"""Push a model to the Hub, whole and tried, or not at all."""

import tempfile
from pathlib import Path

from ..evaluation.report import REPORT
from ..hub.upload import Pushed, check_login, check_repo_name, push_folder
from ..model_folder.checksums import FileSize
from ..recipe import TRAINING_RECORD
from .check import FolderCheckError, check_folder
from .export import export_folder

MESSAGE = "Upload the model as exported by fakeface"


def push_model(
    model: str,
    repo: str,
    *,
    revision: str | None = None,
    private: bool = False,
    create_pr: bool = False,
    onnx: str | Path | None = None,
    dry_run: bool = False,
) -> tuple[list[FileSize], Pushed | None]:
    """Export a model, check that it works for others, and push it.

    A model that `train.py` has not made, and nobody measured, is refused: of one that was fine-tuned otherwise, its
    thresholds say nothing until they are fitted, and its card would have no figures.

    Args:
        model: a model folder or a Hub id.
        repo, revision, private, create_pr: as for `hub.push_folder`.
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
        _refuse_unmeasured(folder, model)
        check_folder(folder)
        if dry_run:
            return files, None
        done = push_folder(folder, repo, revision=revision, private=private, create_pr=create_pr, message=MESSAGE)
        return files, done


def _refuse_unmeasured(folder: Path, model: str) -> None:
    if not any((folder / name).is_file() for name in (REPORT, TRAINING_RECORD)):
        raise FolderCheckError(
            f"{model}: nobody measured it; `fakeface calibrate` fits its thresholds, and `fakeface evaluate --data` "
            f"then writes {REPORT} into the folder"
        )


__all__ = ["push_model"]
