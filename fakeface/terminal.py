"""What the commands print: one line each, whatever is in a stranger's file name."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer


def printable(text: str) -> str:
    """One line, whatever is in a file's name: it must not pass for another line or steer the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def complain(message: str) -> None:
    """A line on stderr."""
    print(printable(message), file=sys.stderr, flush=True)


@contextmanager
def clear_refusals(*, several_lines: bool = False) -> Iterator[None]:
    """The words of a ValueError on stderr, and exit code 2: for models, data and options that cannot be used.

    Args:
        several_lines: the words may be a list, a line each; else a line break in them is shown as what it is.
    """
    try:
        yield
    except ValueError as error:
        for line in str(error).splitlines() if several_lines else [str(error)]:
            complain(line)
        raise typer.Exit(2) from None
