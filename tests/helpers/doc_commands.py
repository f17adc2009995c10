"""Checks, without running them, that commands in a page can be what they say: program, file, subcommand, options."""

import importlib.util
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import typer

from fakeface.cli import commands as cli
from fakeface.recipe import parse_recipe

REPO = Path(__file__).resolve().parents[2]


def fakeface() -> Any:
    """The command `fakeface`, as a click command."""
    return typer.main.get_command(cli.app)


def parse(command: Any, words: list[str]) -> None:
    """Parse words as a command does before it runs.

    Raises:
        typer.BadParameter, or another exit of Typer's: an argument or option does not fit.
    """
    context = command.make_context(command.name or "fakeface", list(words))
    if hasattr(command, "commands"):
        _, below, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        parse(below, rest)


def options_of(words: list[str]) -> set[str]:
    """The long options among words, without their values."""
    return {word.partition("=")[0] for word in words if word.startswith("--")}


def known_options(words: list[str]) -> set[str]:
    """The options of the command that words begin with, and of the commands above it."""
    command, known = fakeface(), {"--help"}
    for word in [*words, ""]:
        known |= {name for parameter in command.params for name in parameter.opts + parameter.secondary_opts}
        if hasattr(command, "commands"):  # a word that names no command is an argument of the default one
            default = command.commands.get(getattr(command, "default", ""), command)
            command = command.commands.get(word, default)
    return known


def check_python(words: list[str]) -> None:
    """Check the words behind `python` or `accelerate launch`: a module or a script, and the script's options."""
    if words[:1] == ["-m"]:
        assert all(importlib.util.find_spec(module) for module in words[1:2]), words
        return
    script = next(word for word in words if word.endswith(".py"))
    source = (REPO / script).read_text(encoding="utf-8")
    after = words[words.index(script) + 1 :]
    if script == "train.py" and after != ["--help"]:
        parse_recipe(after)
    else:
        unknown = [option for option in options_of(after) - {"--help"} if f'"{option}"' not in source]
        assert not unknown, f"{script} has no {unknown}"


def check(words: list[str]) -> None:
    """Check a command of a shell block."""
    program, rest = words[0], words[1:]
    if program == "fakeface":
        parse(fakeface(), rest)
    elif program == "python":
        check_python(rest)
    elif words[:2] == ["accelerate", "launch"]:
        check_python(words[2:])
    elif program == "make":
        targets = re.findall(r"^([\w-]+):", (REPO / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert rest[0] in targets, words
    elif words[:2] == ["pip", "install"]:
        extras = set(re.findall(r"fakeface\[(\w+)\]", words[2]))
        assert extras, f"{words}: only extras of fakeface are known here"
        assert extras <= set(metadata.metadata("fakeface").get_all("Provides-Extra", [])), words
    else:
        assert (REPO / program).is_file(), f"{program}: not known here"


def check_named(words: list[str]) -> None:
    """Check a command in a sentence, which may leave arguments out: its options, and its file."""
    if words[0] == "python":
        check_python(words[1:])
    else:
        assert options_of(words) <= known_options(words[1:]), words
