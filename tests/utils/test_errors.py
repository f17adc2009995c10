"""The one base of all refusals: code, cure, and that they survive the way from one process to another."""

import ast
import pickle
from pathlib import Path

import pytest

import fakeface
from fakeface import FakefaceError, ModelFolderError, PictureError
from fakeface.utils.errors import OptionError

PACKAGE = Path(fakeface.__file__).parent


def test_the_code_is_that_of_the_class():
    assert (FakefaceError("x").code, ModelFolderError("x").code, OptionError("x").code) == (
        "fakeface", "model-folder", "option"
    )  # fmt: skip
    refused = PictureError("a.jpg", "too-small", "4x4 pixels; give a larger one")
    assert (refused.code, refused.cure) == ("too-small", "give a larger one")


@pytest.mark.parametrize(
    ("message", "cure"),
    [
        ("model: no such folder; check the path", "check the path"),
        ("a: (b; c) is broken; it is; fetch it again", "fetch it again"),
        ("contradictions; leave one side out\na; b", "leave one side out"),
        ("no pictures", ""),
        ("", ""),
    ],
)
def test_the_cure_is_what_a_message_ends_with(message: str, cure: str):
    assert FakefaceError(message).cure == cure
    assert FakefaceError().cure == ""


@pytest.mark.parametrize(
    "error", [ModelFolderError("m: gone; look for it"), PictureError("a.jpg", "empty", "the file is empty; copy it")]
)
def test_a_refusal_survives_pickling(error: FakefaceError):
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.code, again.cure) == (type(error), str(error), error.code, error.cure)


def test_every_refusal_of_the_package_is_one_and_has_a_code_of_its_own():
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")]
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    errors = [(node.name, ast.unparse(base)) for node in classes for base in node.bases if node.name.endswith("Error")]
    assert [name for name, base in errors if base == "ValueError"] == ["FakefaceError"]
    names = [name for name, _ in errors]
    assert len(names) == len(set(names)) > 20
