"""Open every file of the hostile corpus in a process of its own, with its processor time and memory measured.

    python benchmarks/hostile_files.py

Writes benchmarks/hostile_files.csv: a line for each file with what came of it, user and system time together in
seconds, which other work on the machine does not lengthen, and the process's peak memory. Exit code 1 if one crashes,
takes more than 5 seconds or 1 GB, or gives neither a picture nor a reason. The faces of what opens are searched for
too. The corpus is made by tests/helpers/hostile.py.
"""

import argparse
import os
import re
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "helpers"))

from hostile import write_archives, write_corpus  # pyright: ignore[reportMissingImports]

from fakeface.data.sources.reader import Reader
from fakeface.faces import FaceFinder
from fakeface.images.load import PictureError, load_picture
from fakeface.score.inputs import Inputs

MOST_SECONDS, MOST_MEGABYTES = 5, 1000.0
PATIENCE = 300.0  # seconds on the clock, for a process that waits for something and uses no processor
COLUMNS = ["file", "bytes", "outcome", "seconds", "megabytes"]


def opened(file: Path, finder: FaceFinder) -> str:
    """What comes of a file: `picture`, the reason code of its refusal; of an archive, how many of each."""
    if not file.name.endswith((".zip", ".tar", ".gz", ".xz", ".bz2")):
        return one(file, str(file), finder)
    reader, counts = Reader(file.parent), Counter()
    for entry in Inputs(file.parent).entries([str(file)]):
        if entry.reason:
            counts[entry.reason] += 1
            continue
        try:
            content = reader.read(entry.reference)
        except PictureError as error:
            counts[error.reason] += 1
        else:
            counts[one(content, entry.name, finder)] += 1
    reader.close()
    return ", ".join(f"{n} {word}" for word, n in sorted(counts.items())) or "nothing in it"


def one(content: object, name: str, finder: FaceFinder) -> str:
    try:
        picture = load_picture(content, name=name)
    except PictureError as error:
        return error.reason
    if finder:
        finder(picture)
    return "picture"


def tried(file: Path, finder: FaceFinder) -> dict[str, object]:
    """Open a file in a fork of this process, which has everything imported."""
    told, tell = os.pipe()
    began = time.monotonic()
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))  # the system then kills it
        words = opened(file, finder)
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        os.write(tell, f"{peak[1] if peak else 0} {words}".encode())
        os._exit(0)
    os.close(tell)
    ended, status, used = os.wait4(child, os.WNOHANG)
    while not ended and time.monotonic() - began < PATIENCE:
        time.sleep(0.001)
        ended, status, used = os.wait4(child, os.WNOHANG)
    if not ended:
        os.kill(child, signal.SIGKILL)
        _, status, used = os.wait4(child, 0)
    seconds = used.ru_utime + used.ru_stime
    kilobytes, _, words = os.read(told, 10_000).decode().partition(" ")
    os.close(told)
    outcome = words
    if status:
        outcome = "hang" if not ended or seconds >= MOST_SECONDS else f"crash ({status})"
    return {
        "file": file.name, "bytes": file.stat().st_size, "outcome": outcome, "seconds": round(seconds, 3),
        "megabytes": round(int(kilobytes or 0) / 1024, 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()
    finder = FaceFinder.from_pretrained()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        names = [*write_corpus(folder), *write_archives(folder)]
        rows = pd.DataFrame([tried(folder / name, finder) for name in names])
    rows.to_csv(options.out, columns=COLUMNS, index=False, lineterminator="\n")
    bad = rows[
        rows["outcome"].str.startswith(("hang", "crash"))
        | (rows["outcome"] == "")
        | (rows["megabytes"] > MOST_MEGABYTES)
    ]
    print(rows["outcome"].where(~rows["outcome"].str.match(r"\d"), "archives").value_counts().to_string())
    print(f"{len(rows)} files; slowest {rows['seconds'].max():.2f} s, largest {rows['megabytes'].max():.0f} MB")
    if len(bad):
        sys.exit(f"failed:\n{bad.to_string(index=False)}")


if __name__ == "__main__":
    main()
