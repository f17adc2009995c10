"""SIGTERM while a run is going on."""

import os
import signal
import subprocess
import sys

from fakeface.training.stopping import StopRequest


def test_a_request_is_remembered_and_the_handler_from_before_comes_back():
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest() as stop:
        assert not stop.asked
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.asked
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_data_worker_outlives_one_sigterm_and_no_second(repo):
    code = """
import os, signal
from fakeface.training.stopping import outlive_first_sigterm
outlive_first_sigterm()
for word in ("alive", "never printed"):
    os.kill(os.getpid(), signal.SIGTERM)
    print(word, flush=True)
"""
    worker = subprocess.run([sys.executable, "-c", code], cwd=repo, capture_output=True, text=True, timeout=60)
    assert (worker.stdout, worker.returncode) == ("alive\n", -signal.SIGTERM)
