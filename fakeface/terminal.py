"""What the commands print: one line each, whatever is in a stranger's file name."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup


class DefaultGroup(TyperGroup):
    """Commands one of which may be left out, so that `push MODEL …` is `push model MODEL …`."""

    default = ""

    @classmethod
    def of(cls, default: str) -> "type[DefaultGroup]":
        return type(cls.__name__, (cls,), {"default": default})

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, "--help"}:
            args = [self.default, *args]
        return super().parse_args(ctx, args)


def quiet_libraries() -> None:
    """Keep transformers' bars and warnings out of what a command prints."""
    if not sys.warnoptions:  # the user has not asked for warnings
        warnings.simplefilter("ignore")
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


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
