"""What runs of hours share: workers that end with their parent, and words for what the machine ran out of."""

import errno
import os
import threading
from multiprocessing import connection, parent_process
from pathlib import Path

GOES_ON = "what is done is kept, and the same command goes on from there"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def end_with_parent() -> None:
    """Let this worker process end with its parent, also when that is killed and can tell nobody."""
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


def out_of_room(error: OSError, out: Path) -> str:
    """A line that says what failed while `out` was written, and the cure."""
    # Arrow's errors have no number, but name it.
    if error.errno in _FULL or any(f"[errno {number}]" in str(error).lower() for number in _FULL):
        return f"{out}: no room left on the disk, or beyond a quota; make room: {GOES_ON}"
    return f"{error.filename or out}: {error.strerror or error}; {GOES_ON}"


def leave_at_exit() -> None:
    """Have a rank leave its process group before the interpreter ends.

    A group that is still there then takes threads of gloo's with it, and now and then aborts the process ("terminate
    called without an active exception") after all its work is done.
    """
    import atexit

    from accelerate import PartialState

    atexit.register(lambda: PartialState().destroy_process_group())
