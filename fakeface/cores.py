"""How many processors there are to use."""

import os


def usable_cores() -> int:
    """The processors that this process may run on, where the system tells; else all there are; at least 1."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


__all__ = ["usable_cores"]
