"""Text for people and terminals: one line each, whatever a file name holds."""

import sys

_FORMULA = ("=", "+", "-", "@", "\t")  # with the carriage return OWASP's list, "CSV Injection"


def printable(text: str) -> str:
    """One line, whatever is in a file's name: it must not pass for another line or steer the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def one_line(text: str, longest: int) -> str:
    """What is left of a text from outside in one line of printable characters, with single spaces, cut at `longest`."""
    words = "".join(c if c.isprintable() else " " for c in text[: 4 * longest])
    return " ".join(words.split())[:longest]


def encodable(text: str) -> str:
    """Text with what UTF-8 cannot hold written as escapes; the bytes of a file's name can be any."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def inert(cell: object) -> object:
    """A cell of a CSV file that spreadsheets do not take for a formula: names of files are untrusted.

    Text that begins as a formula does gets an apostrophe in front, which spreadsheets take for "this is text", and
    carriage returns are written as escapes: Python 3.12 does not quote them, and spreadsheets begin a row there. All
    else, numbers above all, is returned as it is.
    """
    if not isinstance(cell, str):
        return cell
    return ("'" if cell.startswith(_FORMULA) else "") + cell.replace("\r", "\\r")


def plain(cell: object) -> object:
    """A cell as it was before `inert`, but for carriage returns."""
    return cell[1:] if isinstance(cell, str) and cell[:1] == "'" and cell[1:].startswith(_FORMULA) else cell


def complain(message: str) -> None:
    """A line on stderr."""
    print(printable(message), file=sys.stderr, flush=True)
