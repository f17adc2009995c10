"""What the commands print: one line each, whatever a file name holds, and wherever it goes."""

import errno
import io
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from ..utils.errors import FakefaceError, OutputError
from ..utils.text import complain


class DefaultGroup(TyperGroup):
    """Commands one of which may be left out, so that `push MODEL …` is `push model MODEL …`."""

    default = ""

    def is_left_out(self, word: str) -> bool:
        """Whether the first word of a command line, none of the group's own, stands behind the default command."""
        return True

    @classmethod
    def of(cls, default: str) -> "type[DefaultGroup]":
        return type(cls.__name__, (cls,), {"default": default})

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        own = {*self.commands, *(option for parameter in self.get_params(ctx) for option in parameter.opts)}
        if args and args[0] not in own and self.is_left_out(args[0]):
            args = [self.default, *args]
        return super().parse_args(ctx, args)


class PicturesGroup(DefaultGroup):
    """So that `fakeface portrait.jpg` is `fakeface predict portrait.jpg`, and a slip in a command is one."""

    def is_left_out(self, word: str) -> bool:
        return word.startswith("-") or any(mark in word for mark in (".", "/", os.sep)) or os.path.lexists(word)


class Output(io.FileIO):
    """Standard output that says once, in words, that it cannot be written, and takes what comes after in silence."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._lost = False

    def write(self, data: Any) -> Any:
        if self._lost:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except OSError as error:
            self._lost = True
            if error.errno == errno.EPIPE:  # the reader has enough
                raise
            raise OutputError(f"standard output: cannot be written ({error.strerror}); send it elsewhere") from None


def open_streams() -> None:
    """Make standard output and error take any name, and say in words where they take nothing.

    A stream that was closed before the start has its number taken by /dev/null: else by the next file that is opened,
    into which a library might then print. Without a standard output the process ends here.
    """
    closed = sys.stdout is None
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")  # a terminal may lack the letters of a file name
    if closed:
        complain("standard output is closed; send it to a file, or to /dev/null")
        sys.exit(2)
    if isinstance(sys.stdout, io.TextIOWrapper):
        buffered = io.BufferedWriter(Output(sys.stdout.fileno()))
        encoding, by_line = sys.stdout.encoding, sys.stdout.line_buffering
        sys.stdout = io.TextIOWrapper(buffered, encoding, "backslashreplace", line_buffering=by_line)


def quiet_libraries() -> None:
    """Keep transformers' bars and warnings out of what a command prints."""
    if not sys.warnoptions:  # the user has not asked for warnings
        warnings.simplefilter("ignore")
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


@contextmanager
def clear_refusals(*, several_lines: bool = False) -> Iterator[None]:
    """What a FakefaceError says on stderr, and exit code 2. A fault of the package keeps its traceback.

    Args:
        several_lines: the words may be a list, a line each; else a line break in them is shown as what it is.
    """
    try:
        yield
    except FakefaceError as error:
        for line in str(error).splitlines() if several_lines else [str(error)]:
            complain(line)
        raise typer.Exit(2) from None


def split_names(option: str | None) -> list[str]:
    """The names in an option that takes several, parted by commas; none where it is not given."""
    return [name.strip() for name in option.split(",")] if option else []
