"""What long runs share, where no other test sees it: how a rank ends."""

import os
import subprocess
import sys

RANK = """
import atexit
import torch
from accelerate import PartialState
from fakeface.utils.ranks import leave_at_exit

atexit.register(lambda: print("a group at the end:", torch.distributed.is_initialized()))
PartialState(cpu=True)
print("a group at work:", torch.distributed.is_initialized())
leave_at_exit()
"""


def test_a_rank_leaves_its_group_before_it_ends():
    """It aborted now and then, after all its work, with "terminate called without an active exception"."""
    alone = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    environment = {**os.environ, **alone, "ACCELERATE_USE_CPU": "true"}
    run = subprocess.run([sys.executable, "-c", RANK], env=environment, capture_output=True, text=True, timeout=120)
    assert run.stdout.splitlines() == ["a group at work: True", "a group at the end: False"], run.stderr
