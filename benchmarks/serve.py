"""Ask `fakeface serve` from many clients at once: errors, latency against that of one client, batches, memory.

    python benchmarks/serve.py [--clients 64] [--seconds 180] [--queue 64] [--picture space/examples/portrait.jpg]

Starts the server with the fast model, asks `/v1/judge` one request after the other from one client, then from all, and
writes benchmarks/serve.csv. A client that is sent away with 429 waits as long as `Retry-After` says; that is an honest
answer and no error. Any other answer than a verdict is one, and makes the exit code 1. Batches are those of the load,
read off `/metrics`. Memory is the server's resident set: before, once it has been idle for `--rest` seconds behind a
warm-up with all clients; after, once it has been idle as long behind the load. Clients share the machine with the
server, so its latencies hold for the worse.
"""

import argparse
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from figures_file import keep

ROOT = Path(__file__).resolve().parents[1]
STARTING = 600  # seconds
ANSWERING = 120  # seconds, beyond the server's own limit
ALONE = 50  # requests of the single client
COLUMNS = ("clients", "seconds", "queue", "answered", "sent_away_429", "errors", "errors_by_code")
COLUMNS += ("answers_per_second", "batches", "pictures_per_batch", "batches_of_several")
COLUMNS += ("p50_seconds_of_one", "p99_seconds_of_one", "p50_seconds", "p99_seconds", "p50_ratio", "p99_ratio")
COLUMNS += ("megabytes_before", "megabytes_after", "memory_ratio", "processors")


class Asked:
    """What clients met: latencies of verdicts in seconds, and how often each outcome."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.outcomes: Counter[str] = Counter()

    def ask(self, connection: http.client.HTTPConnection, picture: bytes) -> None:
        started = time.monotonic()
        try:
            connection.request("POST", "/v1/judge", picture, {"Content-Type": "image/jpeg"})
            answer = connection.getresponse()
            told = json.loads(answer.read())
        except Exception as error:  # whatever it is, it is what this measures
            self.outcomes[type(error).__name__] += 1
            connection.close()
            return
        if answer.status == 200 and told["verdict"]:
            self.seconds.append(time.monotonic() - started)
            self.outcomes["answered"] += 1
            return
        self.outcomes[f"{answer.status} {told.get('code')}"] += 1
        time.sleep(float(answer.getheader("Retry-After") or 0))

    @property
    def errors(self) -> Counter[str]:
        return Counter({name: n for name, n in self.outcomes.items() if name not in ("answered", "429 queue-full")})

    def percentile(self, percent: float) -> float:
        return float(np.percentile(self.seconds, percent))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=64, help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=180, help="of load (default: %(default)s)")
    parser.add_argument("--warm-up", type=float, default=20, help="seconds of load before it (default: %(default)s)")
    parser.add_argument("--rest", type=float, default=30, help="seconds before memory is read (default: %(default)s)")
    parser.add_argument("--queue", type=int, default=64, help="of the server (default: %(default)s)")
    parser.add_argument("--picture", type=Path, default=ROOT / "space" / "examples" / "portrait.jpg")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "serve.csv")
    options = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "fakeface", "serve", "--fast", "--port", str(port), "--queue", str(options.queue)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("FAKEFACE_MODEL", None)  # --fast is a model of its own
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as server:
        try:
            row, failed = measure(port, server, options)
        finally:
            server.send_signal(signal.SIGTERM)
        if server.wait(ANSWERING):
            failed = True
            print(f"the server ended with exit code {server.returncode}", file=sys.stderr)
    keep(options.output, [row], COLUMNS)
    sys.exit(failed)


def measure(port: int, server: subprocess.Popen[bytes], options: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    """The row of both loads, and whether a request failed."""
    wait_for(f"http://127.0.0.1:{port}/readyz", server)
    picture = options.picture.read_bytes()
    clients = [http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWERING) for _ in range(options.clients)]
    together(clients, Asked(), picture, options.warm_up)
    process = psutil.Process(server.pid)
    time.sleep(options.rest)
    before = process.memory_info().rss
    alone, crowd = Asked(), Asked()
    for _ in range(ALONE):
        alone.ask(clients[0], picture)
    first = figures(port)
    together(clients, crowd, picture, options.seconds)
    last = figures(port)
    time.sleep(options.rest)
    after = process.memory_info().rss
    batches, pictures, of_one = (
        last[name] - first[name]
        for name in ("batch_pictures_count", "batch_pictures_sum", 'batch_pictures_bucket{le="1.0"}')
    )
    errors = alone.errors + crowd.errors
    row = {
        "clients": options.clients,
        "seconds": f"{options.seconds:g}",
        "queue": options.queue,
        "answered": crowd.outcomes["answered"],
        "sent_away_429": crowd.outcomes["429 queue-full"],
        "errors": errors.total(),
        "errors_by_code": " ".join(f"{name}: {number}" for name, number in sorted(errors.items())),
        "answers_per_second": f"{crowd.outcomes['answered'] / options.seconds:.1f}",
        "batches": f"{batches:.0f}",
        "pictures_per_batch": f"{pictures / batches:.1f}",
        "batches_of_several": f"{batches - of_one:.0f}",
        "megabytes_before": f"{before / 1e6:.0f}",
        "megabytes_after": f"{after / 1e6:.0f}",
        "memory_ratio": f"{after / before:.3f}",
        "processors": os.cpu_count(),
    }
    for percent in (50, 99):
        single, many = alone.percentile(percent), crowd.percentile(percent)
        row |= {f"p{percent}_seconds_of_one": f"{single:.3f}", f"p{percent}_seconds": f"{many:.3f}"}
        row[f"p{percent}_ratio"] = f"{many / single:.1f}"
    return row, bool(errors)


def together(clients: list[http.client.HTTPConnection], asked: Asked, picture: bytes, seconds: float) -> None:
    """Each client asks in a thread of its own, once at least, and again until the time is over."""
    until = time.monotonic() + seconds

    def keep_asking(client: http.client.HTTPConnection) -> None:
        client.close()  # the server ends connections that were idle for long; the next request opens a new one
        asked.ask(client, picture)
        while time.monotonic() < until:
            asked.ask(client, picture)

    threads = [threading.Thread(target=keep_asking, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def figures(port: int) -> dict[str, float]:
    """The server's figures by their names, without `fakeface_`."""
    with open_local(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name.removeprefix("fakeface_"): float(value) for name, value in pairs}


def open_local(address: str) -> Any:
    """Open an address of this machine, whatever proxies the environment names."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=ANSWERING)


def wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + STARTING
    while True:
        try:
            open_local(address).close()
            return
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                sys.exit("the server did not get ready; `fakeface serve --fast` says why")
            time.sleep(0.5)


if __name__ == "__main__":
    main()
