"""What becomes of errors: a refusal is a line and exit code 2, and a fault of the package keeps its traceback."""

import pytest
import typer

from fakeface import ModelFolderError
from fakeface.cli.terminal import clear_refusals


def test_a_refusal_is_one_line(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(typer.Exit) as left, clear_refusals():
        raise ModelFolderError("model\n/a: is missing; fetch it again")
    assert (left.value.exit_code, capsys.readouterr().err) == (2, "model\\n/a: is missing; fetch it again\n")


def test_a_refusal_may_have_several_lines(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(typer.Exit), clear_refusals(several_lines=True):
        raise ModelFolderError("two are missing\na\nb")
    assert capsys.readouterr().err == "two are missing\na\nb\n"


@pytest.mark.parametrize("fault", [ValueError("operands could not be broadcast"), OSError("gone"), KeyError("a")])
def test_a_fault_of_the_package_keeps_its_traceback(fault: Exception, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(type(fault)) as kept, clear_refusals():
        raise fault
    assert kept.value is fault
    assert capsys.readouterr().err == ""
