"""Send the Space to the Hub, with the package itself beside it, so that it runs the code that was tried here."""

import importlib.metadata
import re
import shutil
import tempfile
from pathlib import Path

from huggingface_hub import HfApi, SpaceCard

from ..hub.errors import clear_hub_errors, insist
from ..hub.upload import Pushed, check_login, check_repo_name, push_folder
from ..model_folder.checksums import FileSize, file_sizes, write_sums
from ..utils.errors import FakefaceError
from ..utils.shipped import shipped

SPACE = Path(__file__).resolve().parents[2] / "space"  # of a source checkout
MESSAGE = "Upload the Space of fakeface"
MODEL_VARIABLE = "FAKEFACE_MODEL"
CREDENTIALS = re.compile(r"; extra == 'provenance'$")  # as packages state what an extra of theirs needs


class SpaceError(FakefaceError):
    """The Space cannot be sent; the message names the folder and the cure."""


def push_space(
    repo: str,
    model: str,
    *,
    source: Path = SPACE,
    revision: str | None = None,
    private: bool = False,
    create_pr: bool = False,
    dry_run: bool = False,
) -> tuple[list[FileSize], Pushed | None]:
    """Make a Space of the Hub serve a model of the Hub.

    Args:
        repo: of the Space; made if it is not there.
        model: Hub id; goes into the Space's metadata and its variable `FAKEFACE_MODEL`.
        source: folder of the app.
        revision, private, create_pr: as for `hub.push_folder`.
        dry_run: send nothing, and ask the Hub nothing.

    Returns:
        As `push.push_model`.

    Raises:
        HubError, SpaceError: the message has the cure.
    """
    check_repo_name(repo)
    check_repo_name(model)
    if not dry_run:
        check_login(repo)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "space"
        write_space(folder, model, source)
        files = file_sizes(folder)
        if dry_run:
            return files, None
        done = push_folder(
            folder, repo, kind="space", revision=revision, private=private, create_pr=create_pr, message=MESSAGE,
            sdk="gradio",
        )  # fmt: skip
    with clear_hub_errors(repo):
        insist(lambda: HfApi().add_space_variable(repo, MODEL_VARIABLE, model))
    return files, done


def write_space(folder: Path, model: str, source: Path = SPACE) -> None:
    """Write the files of a Space: the app, the package without its models, what both need, and the list.

    Raises:
        SpaceError: the app is not there, or fakeface is not installed.
    """
    if not (source / "app.py").is_file():
        raise SpaceError(f"{source}: has no app.py; clone the repository, and push from there or name its space/")
    # It serves a model of the Hub. The pictures go where an installed package has them.
    rest = shutil.ignore_patterns("__pycache__", ".*", "checkpoints", "examples")
    shutil.copytree(source, folder, ignore=rest)
    shutil.copytree(Path(__file__).parents[1], folder / "fakeface", ignore=rest)
    shutil.copytree(shipped("app/examples", "space/examples"), folder / "fakeface" / "app" / "examples")
    card = SpaceCard.load(source / "README.md")
    card.data["models"] = [model]
    card.save(folder / "README.md")
    (folder / "requirements.txt").write_text(requirements(), encoding="utf-8")
    write_sums(folder)


def requirements() -> str:
    """What the package needs, also to check Content Credentials, a line each.

    Gradio is not among it: that comes with the Space, in the version that its card names.

    Raises:
        SpaceError: the package is not installed, so that nothing tells what it needs.
    """
    try:
        needed = importlib.metadata.requires("fakeface") or []
    except importlib.metadata.PackageNotFoundError:
        raise SpaceError("fakeface is not installed; run `make setup` in its checkout") from None
    lines = [CREDENTIALS.sub("", line) for line in needed]
    return "".join(f"{line}\n" for line in lines if "extra ==" not in line and not line.startswith("gradio"))


__all__ = ["SpaceError", "push_space", "requirements", "write_space"]
