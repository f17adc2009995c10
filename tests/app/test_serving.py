"""What the app says when it cannot start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fakeface.model_folder.opening import FAST


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"FAKEFACE_QUEUE": "long"}, "FAKEFACE_QUEUE is 'long': set it to a whole number above 0"),
        ({"FAKEFACE_MODEL": "no/such/folder"}, "no/such/folder"),
        ({"FAKEFACE_DEVICE": "abacus"}, "no device 'abacus' here"),
        ({"FAKEFACE_OPERATING_POINT": "lax"}, "operating point is 'lax'; choose one of strict, default, triage"),
    ],
)
def test_a_wrong_setting_ends_it_with_one_line(variables: dict[str, str], words: str, repo: Path):
    command = [sys.executable, str(repo / "space" / "app.py")]
    settings = {"FAKEFACE_MODEL": str(repo / FAST), **variables}
    ended = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True)
    assert ended.returncode == 1
    assert words in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
