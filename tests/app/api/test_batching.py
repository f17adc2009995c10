"""The bounds of the queue and of the batches."""

from typing import Any

import pytest

from fakeface.app.api import Options
from fakeface.utils.errors import OptionError


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"batch_size": 0}, "batch_size is 0: it takes a number from 1"),
        ({"queue": 0}, "queue is 0"),
        ({"max_bytes": 0}, "max_bytes is 0"),
        ({"max_wait": -0.001}, "max_wait is -0.001 and timeout 30"),
        ({"timeout": 0.0}, "timeout 0"),
    ],
)
def test_options_out_of_range_are_refused(wrong: dict[str, Any], words: str):
    with pytest.raises(OptionError, match=words):
        Options(**wrong)
