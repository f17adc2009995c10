"""Markdown pages taken apart: their fenced code blocks, the commands in them, their headings and links."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

NOT_RUN = re.compile(r"<!-- not run: (.+) -->\n\n$")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
SPAN = re.compile(r"`([^`\n]+)`")
ASSIGNMENT = re.compile(r"[A-Z_]+=")


class Block(NamedTuple):
    """A fenced code block.

    Attributes:
        page: where it stands, below the repository.
        line: of its first line of code, from 1.
        language: as named behind the fence.
        code: without the fences.
        not_run: the reason in the mark above it, `<!-- not run: … -->`; empty without one.
    """

    page: str
    line: int
    language: str
    code: str
    not_run: str


def blocks(page: str, text: str) -> list[Block]:
    """The fenced code blocks of a page, in order."""
    found = []
    for match in FENCE.finditer(text):
        mark = NOT_RUN.search(text[: match.start()])
        line = text.count("\n", 0, match.start(2)) + 1
        found.append(Block(page, line, match[1], match[2], mark[1] if mark else ""))
    return found


def commands(code: str) -> list[list[str]]:
    """The words of each command of a shell block, without assignments before it, redirection and `…`."""
    found = []
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if ">" in words:
            words = words[: words.index(">")]
        while words and ASSIGNMENT.match(words[0]):
            words = words[1:]
        if words := [word for word in words if word != "…"]:
            found.append(words)
    return found


def prose(text: str) -> str:
    """A page without its code blocks."""
    return FENCE.sub("", text)


def anchors(text: str) -> set[str]:
    """What links can name in a page: its headings as MkDocs and GitHub turn them into anchors."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in HEADING.findall(prose(text))
    }


def links(text: str) -> list[str]:
    """The targets of links and pictures of a page, those in code left out."""
    return LINK.findall(SPAN.sub("", prose(text)))


def spans(text: str) -> list[str]:
    """What stands between single backquotes in a page's prose."""
    return SPAN.findall(prose(text))


def page_names(repo: Path) -> list[str]:
    """The pages that are checked, below the repository."""
    docs = sorted(path.relative_to(repo).as_posix() for path in (repo / "docs").rglob("*.md"))
    return ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "space/README.md", *docs]
