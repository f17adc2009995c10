"""README and docs: their code runs as pasted, their commands and options exist, and their links lead somewhere."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from doc_commands import check, check_named
from documents import Block, anchors, blocks, commands, links, page_names, spans
from planted import planted
from typer.testing import CliRunner

from fakeface.cli import commands as cli

REPO = Path(__file__).resolve().parents[1]
PAGES = page_names(REPO)
BLOCKS = [block for page in PAGES for block in blocks(page, (REPO / page).read_text(encoding="utf-8"))]
RUN = [block for block in BLOCKS if block.language in ("sh", "python") and not block.not_run]
DATA = {"bibtex", "mermaid", "yaml"}  # languages that nothing runs
NOT_RUN = {"sh": 24, "python": 6}  # a new mark needs a reader who agrees that the block cannot run
README_WORDS, README_LINES = 1200, 160


def name_of(block: Block) -> str:
    return f"{block.page}:{block.line}"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with what a clone has, and with the files that the pages name, but for `my/pictures`."""
    for name in ("checkpoints", "space", "configs", "benchmarks", "train.py"):
        (tmp_path / name).symlink_to(REPO / name)
    (tmp_path / "broken.jpg").write_bytes(b"not a picture")
    for name in ("portrait.jpg", "group.jpg", "a.jpg", "b.png", "uploads/one.jpg", "2026-11/two.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(REPO / "space" / "examples" / "portrait.jpg", tmp_path / name)
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.write(tmp_path / "portrait.jpg", "three.jpg")
    scores = "".join(f"{label},{0.2 + 0.5 * label + number / 100}\n" for label in (0, 1) for number in range(20))
    (tmp_path / "their-scores.csv").write_text("label,score\n" + scores)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fill(folder: Path, n: int) -> None:
    """Write an image folder of `n` pictures, half of them in `real/` and half in `generated/`."""
    for number, row in enumerate(planted(n).with_format(None).to_list()):
        file = folder / ("real", "generated")[row["label"]] / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(row["image"]["bytes"])


def run(words: list[str], where: str) -> None:
    """Run a command of a shell block: `fakeface` in this process, a training in one of its own."""
    if words[0] == "fakeface":
        done = CliRunner().invoke(cli.app, words[1:])
        assert done.exit_code == 0, f"{where}: {' '.join(words)}\n{done.output}\n{done.exception}"
        return
    launched = ["accelerate", "launch", "-q", "train.py"]
    assert words[:4] == launched, f"{where}: {words[0]} is not run here; mark the block"
    launcher = [sys.executable, "-m", "accelerate.commands.launch"]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "PYTHONPATH": os.pathsep.join(sys.path)}
    trained = subprocess.run([*launcher, *words[2:]], capture_output=True, text=True, env=environment, check=False)
    assert trained.returncode == 0, f"{where}: {trained.stderr[-2000:]}"


@pytest.mark.parametrize("page", sorted({block.page for block in RUN}))
def test_the_blocks_of_a_page_run_in_their_order(page: str, desk: Path):
    # A training needs a batch of 64, an audit 20 pictures of each label.
    fill(desk / "my" / "pictures", 104 if page == "docs/training.md" else 40)
    names: dict[str, Any] = {}
    for block in (block for block in RUN if block.page == page):
        if block.language == "python":
            exec(compile(block.code, name_of(block), "exec"), names)
        else:
            for words in commands(block.code):
                run(words, name_of(block))


def test_blocks_that_are_not_run_are_counted():
    assert {block.language for block in BLOCKS} <= {"sh", "python", *DATA}
    assert Counter(block.language for block in BLOCKS if block.not_run) == NOT_RUN


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "sh"], ids=name_of)
def test_commands_and_options_of_shell_blocks_exist(block: Block, desk: Path):
    for words in commands(block.code):
        check(words)


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])  # it names what is gone, too
def test_commands_and_options_in_sentences_exist(page: str):
    for span in spans((REPO / page).read_text(encoding="utf-8")):
        if span.startswith(("fakeface ", "python ")):
            for words in commands(span):
                check_named(words)


@pytest.mark.parametrize("page", PAGES)
def test_links_and_anchors_resolve(page: str):
    text = (REPO / page).read_text(encoding="utf-8")
    for target in links(text):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        file = Path(os.path.normpath((REPO / page).parent / path)) if path else REPO / page
        assert file.is_file(), f"{page}: {target}"
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), f"{page}: {target}"


def test_the_readme_fits_a_visit():
    text = (REPO / "README.md").read_text(encoding="utf-8")
    assert len(text.split()) <= README_WORDS
    assert len(text.splitlines()) <= README_LINES


def test_the_citation_has_what_the_format_asks_for():
    citation = yaml.safe_load((REPO / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["license"] == "Apache-2.0"
    assert all("name" in author for author in citation["authors"])
