"""What a million, a hundred million and ten thousand million pictures a day cost, from rates measured here.

    python benchmarks/scale.py [--data "../shared/faces/modern-*.parquet"] [--pictures 300] [--page docs/scale.md]
    python benchmarks/scale.py --only-page [--page docs/scale.md]    # from the CSV as it is

Writes benchmarks/scale.csv: what `fakeface score` judges a second with dtype auto and the search for faces, start-up
left out, of pictures as they are in the data and of the same brought to the size of an upload; what of it is left
without a model; and what pictures and rows of the result weigh. The page gets the table of the rates, and what follows
from them by arithmetic. Run it on an idle machine.
"""

import argparse
import csv
import glob
import io
import tempfile
import time
from pathlib import Path
from typing import Any

from figures_file import keep

COLUMNS = ("model", "side", "pictures", "cores", "per_second", "per_core_hour", "kilobytes", "row_bytes")
UPLOAD = 1448  # pixels: a square of two megapixels
DAY = 86_400
VOLUMES = (10**6, 10**8, 10**10)
LOAD = 0.6  # share of what the cores can do, so that a busy hour or a lost machine does not pile work up
NAMES = {"fast": "`resnet50-cnn`", "thorough": "`vit-b16-cnn`"}
ALONE = "no model: decoded, faces found and cut"
BATCH = 16
LEAST = 32  # pictures of the run that is taken off, which has the start-up too


def write_pictures(data: list[str], folder: Path, count: int, side: int | None) -> None:
    """JPEG files spread over parquet files, as they stand there or brought to a side in pixels."""
    import pyarrow.parquet as pq
    from PIL import Image

    written = 0
    for name in data:
        for row in pq.read_table(name, columns=["image"]).slice(0, -(-count // len(data))).to_pylist():
            if written == count:
                return
            content = row["image"]["bytes"]
            if side:
                picture = Image.open(io.BytesIO(content)).convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
                buffer = io.BytesIO()
                picture.save(buffer, "JPEG", quality=88)
                content = buffer.getvalue()
            (folder / f"{written:05}.jpg").write_bytes(content)
            written += 1


def timed(detector: Any, files: list[str], out: Path) -> float:
    """Seconds of a whole run."""
    from fakeface.score.run import score

    start = time.perf_counter()
    score(files, out, detector, batch_size=BATCH)
    return time.perf_counter() - start


def preparation_rate(detector: Any, files: list[str]) -> float:
    """Pictures a second that one process decodes, finds faces in and cuts: what stays on the cores beside a GPU."""
    start = time.perf_counter()
    for file in files:
        _, inputs = detector.preparer.try_open(file, file)
        list(inputs)
    return len(files) / (time.perf_counter() - start)


def measure(data: list[str], count: int) -> list[dict[str, Any]]:
    from fakeface import Detector
    from fakeface.utils.processes import usable_cores

    rows: list[dict[str, Any]] = []

    def add(name: str, side: int | None, files: list[str], rate: float, cores: int, stored: float | None) -> None:
        rows.append(
            {
                "model": name,
                "side": side or "as collected",
                "pictures": count,
                "cores": cores,
                "per_second": round(rate, 2),
                "per_core_hour": round(3600 * rate / cores),
                "kilobytes": round(sum(Path(file).stat().st_size for file in files) / len(files) / 1000, 1),
                "row_bytes": stored,
            }
        )

    for side in (None, UPLOAD):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "pictures"
            folder.mkdir()
            write_pictures(data, folder, count + LEAST, side)
            files = sorted(map(str, folder.iterdir()))
            for name in NAMES:
                detector = Detector.from_pretrained(fast=name == "fast", device="cpu", dtype="auto")
                few, whole = (Path(scratch) / f"{name}-{part}.parquet" for part in ("few", "all"))
                seconds = timed(detector, files[:LEAST], few)
                rate = count / (timed(detector, files, whole) - seconds)
                stored = round((whole.stat().st_size - few.stat().st_size) / count)
                add(name, side, files, rate, usable_cores(), stored)
            add(ALONE, side, files, preparation_rate(detector, files[:count]), 1, None)
    return rows


def amount(number: float) -> str:
    """Three digits, with thousands apart: what follows from a rate is no more exact."""
    digits = max(0, 2 - len(str(int(number))) + 1)
    return f"{number:,.{digits}f}" if number < 1000 else f"{float(f'{number:.3g}'):,.0f}"


def as_markdown(rows: list[dict[str, Any]]) -> str:
    """The rates, and then what each volume needs of cores, network and storage."""
    from fakeface.reports.markdown import table

    size = {"as collected": "as collected", str(UPLOAD): f"{UPLOAD} px, an upload"}
    rates = [
        [NAMES.get(row["model"], row["model"]), size[str(row["side"])], f"{row['kilobytes']} kB",
         amount(float(row["per_core_hour"])), amount(1e6 / float(row["per_core_hour"]))]
        for row in rows
    ]  # fmt: skip
    needs = []
    for volume in VOLUMES:
        for row in rows:
            if row["model"] in NAMES and str(row["side"]) == str(UPLOAD):
                cores = volume / DAY * 3600 / float(row["per_core_hour"]) / LOAD
                network = volume / DAY * float(row["kilobytes"]) * 8e3 / 1e9 / LOAD
                stored = volume * float(row["row_bytes"]) / 1e9
                cells = (volume / DAY, cores, network, stored)
                needs.append([f"{volume:,}", NAMES[row["model"]], *map(amount, cells)])
    head = ["model", "pictures", "each", "pictures in a core's hour", "core hours for a million"]
    busy = f"cores at {100 * LOAD:.0f} % load"
    then = ["pictures a day", "model", "a second", busy, "Gbit/s in", "GB of results a day"]
    return "\n\n".join([table(head, rates), table(then, needs)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="../shared/faces/modern-*.parquet")
    parser.add_argument("--pictures", type=int, default=300, help="of each run")
    parser.add_argument("--only-page", action="store_true", help="measure nothing; the CSV is there")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    parser.add_argument("--page", type=Path, help="also write the tables in there")
    options = parser.parse_args()
    if not options.only_page:
        keep(options.out, measure(sorted(glob.glob(options.data)), options.pictures), COLUMNS)
    if options.page:
        from fakeface.release.card import fill_block

        with options.out.open(newline="", encoding="utf-8") as stream:
            fill_block(options.page, "scale", as_markdown(list(csv.DictReader(stream))))


if __name__ == "__main__":
    main()
