"""Ask a Space from many clients at once: errors, latency against that of a single client, memory before and after.

    python benchmarks/space_load.py [--clients 32] [--seconds 180] [--picture space/examples/portrait.jpg]

Starts the Space with the model and settings of the environment, asks
`/predict` one request after the other from one client, then from all, and writes benchmarks/space_load.csv. Memory is
the server's resident set: before, after a warm-up of as many requests as there are clients, all at once; after, once it
has been idle for `--rest` seconds. That the queue is full is an honest answer and no error; any other failure is one,
and makes the exit code 1. Clients share the machine with the server, so its latencies hold for the worse.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path

import psutil
from figures_file import keep
from gradio_client import Client, handle_file
from gradio_client.utils import QueueError

ROOT = Path(__file__).resolve().parents[1]
STARTING = 600  # seconds
ALONE = 30  # requests of the single client
COLUMNS = ("clients", "seconds", "answered", "queue_full", "errors", "median_seconds_of_one", "median_seconds")
COLUMNS += ("latency_ratio", "answers_per_second_ratio", "megabytes_before", "megabytes_after", "memory_ratio")
COLUMNS += ("processors",)


class Asked:
    """What clients met: latencies in seconds, and how often each outcome."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.outcomes: Counter[str] = Counter()

    def ask(self, client: Client, picture: Path) -> None:
        started = time.monotonic()
        try:
            answer = client.predict(handle_file(picture), api_name="/predict")
        except QueueError:
            self.outcomes["queue full"] += 1
            time.sleep(1)  # as a program that was told so would
        except Exception as error:  # whatever it is, it is what this measures
            self.outcomes[f"error: {type(error).__name__}"] += 1
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        else:
            self.seconds.append(time.monotonic() - started)
            self.outcomes["answered" if answer["error"] is None else "error: refused"] += 1

    @property
    def errors(self) -> int:
        return sum(count for outcome, count in self.outcomes.items() if outcome.startswith("error"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=32, help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=180, help="of load (default: %(default)s)")
    parser.add_argument("--rest", type=float, default=30, help="seconds before memory is read (default: %(default)s)")
    parser.add_argument("--picture", type=Path, default=ROOT / "space" / "examples" / "portrait.jpg")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "space_load.csv")
    options = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    environment = {**os.environ, "PORT": port, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, str(ROOT / "space" / "app.py")], env=environment) as server:
        try:
            errors = measure(f"http://127.0.0.1:{port}/", server, options)
        finally:
            server.terminate()
    sys.exit(1 if errors else 0)


def measure(address: str, server: subprocess.Popen[bytes], options: argparse.Namespace) -> int:
    """Run both loads, write the row, and return how many requests failed."""
    wait_for(f"{address}ready", server)
    clients = [Client(address, verbose=False) for _ in range(options.clients)]
    together(clients, Asked(), options.picture, time.monotonic())  # a request of each, to warm up
    process = psutil.Process(server.pid)
    time.sleep(options.rest)
    before = process.memory_info().rss
    alone, crowd = Asked(), Asked()
    for _ in range(ALONE):
        alone.ask(clients[0], options.picture)
    together(clients, crowd, options.picture, time.monotonic() + options.seconds)
    time.sleep(options.rest)
    after = process.memory_info().rss
    single, many = statistics.median(alone.seconds), statistics.median(crowd.seconds)
    row = {
        "clients": options.clients,
        "seconds": f"{options.seconds:g}",
        "answered": crowd.outcomes["answered"],
        "queue_full": crowd.outcomes["queue full"],
        "errors": alone.errors + crowd.errors,
        "median_seconds_of_one": f"{single:.3f}",
        "median_seconds": f"{many:.3f}",
        "latency_ratio": f"{many / single:.1f}",
        "answers_per_second_ratio": f"{crowd.outcomes['answered'] / options.seconds * single:.2f}",
        "megabytes_before": f"{before / 1e6:.0f}",
        "megabytes_after": f"{after / 1e6:.0f}",
        "memory_ratio": f"{after / before:.3f}",
        "processors": os.cpu_count(),
    }
    keep(options.output, [row], COLUMNS)
    return alone.errors + crowd.errors


def together(clients: list[Client], asked: Asked, picture: Path, until: float) -> None:
    """Each client asks in a thread of its own, once at least, and again until the moment `until`."""

    def keep_asking(client: Client) -> None:
        asked.ask(client, picture)
        while time.monotonic() < until:
            asked.ask(client, picture)

    threads = [threading.Thread(target=keep_asking, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + STARTING
    while True:
        try:
            urllib.request.urlopen(address, timeout=STARTING).close()
            return
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                sys.exit("the Space did not start; its own message is above")
            time.sleep(0.5)


if __name__ == "__main__":
    main()
