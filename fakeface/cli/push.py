"""The commands `fakeface push MODEL REPO` and `fakeface push space REPO`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..model_folder.names import refuse_missing
from .terminal import DefaultGroup, clear_refusals, quiet_libraries

if TYPE_CHECKING:
    from ..hub.upload import Pushed
    from ..model_folder.checksums import FileSize

app = typer.Typer(
    cls=DefaultGroup.of("model"), no_args_is_help=True, help="Send a model or the Space to the Hub, in one commit."
)

Repo = Annotated[str, typer.Argument(help="Repository, OWNER/NAME; made if it is not there.")]
Revision = Annotated[str | None, typer.Option(help="Branch to push to; by default main.")]
Private = Annotated[bool, typer.Option("--private", help="Make a new repository private.")]
CreatePr = Annotated[bool, typer.Option("--create-pr", help="Open a pull request instead of changing main.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Look, and list the files and sizes, but send nothing.")]


@app.command()
def model(
    model: Annotated[str, typer.Argument(help="Model folder or Hub id.")],
    repo: Repo,
    revision: Revision = None,
    private: Private = False,
    create_pr: CreatePr = False,
    onnx: Annotated[Path | None, typer.Option(help="Take along what `fakeface export onnx` wrote there.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Export a model and send it in one commit; `model` may be left out.

    It is opened as a new user would open it first. What is there already is not sent again, so a push that was
    stopped goes on with the same command. The token is that of `hf auth login`.
    """
    with clear_refusals():
        refuse_missing(model)
        quiet_libraries()
        from ..release.push import push_model

        options = {"revision": revision, "private": private, "create_pr": create_pr, "onnx": onnx, "dry_run": dry_run}
        files, done = push_model(model, repo, **options)
    _show(files, done)


@app.command()
def space(
    repo: Repo,
    model: Annotated[str, typer.Option(help="Hub id of the model that it serves.")],
    source: Annotated[Path | None, typer.Option(help="Folder of the app; by default the checkout's space/.")] = None,
    revision: Revision = None,
    private: Private = False,
    create_pr: CreatePr = False,
    dry_run: DryRun = False,
) -> None:
    """Send the Space in one commit, to serve a model of the Hub.

    The package goes along.
    """
    with clear_refusals():
        from ..release.space import SPACE, push_space

        options = {"revision": revision, "private": private, "create_pr": create_pr, "dry_run": dry_run}
        files, done = push_space(repo, model, source=source or SPACE, **options)
    _show(files, done)


def _show(files: "list[FileSize]", done: "Pushed | None") -> None:
    if done is None:
        print_files(files)
        print(f"{sum(file.size for file in files):>12,}  bytes in {len(files)} files; nothing was sent")
    else:
        print(f"{done.url}: {'sent ' + ', '.join(done.changed) if done.changed else 'was there already'}")


def print_files(files: "list[FileSize]") -> None:
    """A line for each file: bytes and name."""
    for file in files:
        print(f"{file.size:>12,}  {file.name}")
