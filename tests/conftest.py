"""What every test file shares: the folders outside the package, and the rule that no test touches the network."""

import gc
import ipaddress
import multiprocessing
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Set here, before any test imports torch, Gradio or huggingface_hub, because they read these once, at import.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
# Nothing of the user's may be found: tests run with what comes with the package.
os.environ["HF_HUB_CACHE"] = str(Path(__file__).parent / "no-hub-cache")
os.environ.pop("FAKEFACE_FACE_MODEL", None)
# Several test processes run side by side on small tensors; more threads than cores would only slow them.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Benchmarks import what they share by its bare name, as scripts that lie beside it do; so do tests what helps them.
HERE = Path(__file__).resolve().parent
sys.path += [str(HERE / "helpers"), str(HERE.parent / "benchmarks")]

OUTSIDE_CALLS: list[str] = []


def is_local(host: object) -> bool:
    """Whether a host name or address stays on this machine; `None` and `""` are every local interface."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host in (None, "", "localhost", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(str(host))
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def refuse_outside(event: str, args: tuple[Any, ...]) -> None:
    """Audit hook: refuses every look-up of and connection to another machine, and remembers it."""
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(args[1], tuple):  # a Unix socket's is a string
        host = args[1][0]
    else:
        return
    if not is_local(host):
        OUTSIDE_CALLS.append(f"{event} {host}")
        raise ConnectionRefusedError(f"tests reach no other machine, but something called {event} for {host}")


sys.addaudithook(refuse_outside)


@pytest.fixture(autouse=True)
def no_network() -> Iterator[list[str]]:
    """Fails a test that tried to reach another machine, even where a library swallowed the refusal."""
    OUTSIDE_CALLS.clear()
    yield OUTSIDE_CALLS
    assert not OUTSIDE_CALLS, f"the test tried to reach another machine: {', '.join(OUTSIDE_CALLS)}"


@pytest.fixture(autouse=True)
def fresh_accelerate() -> Iterator[None]:
    """What accelerate remembers of a process, its precision above all, is of one test and not of those behind it."""
    yield
    if state := sys.modules.get("accelerate.state"):
        state.AcceleratorState._reset_state(reset_partial_state=True)
        state.GradientState._reset_state()


@pytest.fixture(scope="module", autouse=True)
def no_process_left() -> Iterator[None]:
    """Fails a file that leaves a process it forked: it would keep open what this one had open, and others wait for."""
    yield
    if multiprocessing.active_children():
        gc.collect()  # ends those of what only a reference cycle holds
    left = multiprocessing.active_children()
    for child in left:
        child.kill()
        child.join()
    assert not left, f"the tests of this file left processes: {left}"


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of the repository, for tests of what is not in the package: train.py, space/, checkpoints/."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared(repo: Path) -> Path:
    """The folder of faces and weights beside the checkout; the environment variable FAKEFACE_SHARED names another."""
    folder = Path(os.environ.get("FAKEFACE_SHARED") or repo.parent / "shared")
    if not folder.is_dir():
        pytest.skip("needs ../shared, which is not beside this checkout")
    return folder
