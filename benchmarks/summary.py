"""The table of docs/benchmarks.md: what the scripts here measured, read off their CSV files.

    python benchmarks/summary.py [--page docs/benchmarks.md]

A script that has not been run has no row.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from fakeface.release.card import fill_block
from fakeface.reports.markdown import table

HERE = Path(__file__).parent
QUICK = "bfloat16 channels last"


Reader = Callable[[pd.DataFrame], str]


def cell(rows: pd.DataFrame, column: str, **where: str) -> float:
    """The one number of a column in the row that has these texts in these columns."""
    chosen = rows
    for name, text in where.items():
        chosen = chosen[chosen[name].astype(str) == text]
    return float(chosen[column].item())


def number(form: str = "{:.2f}", column: str = "ratio", **where: str) -> Reader:
    return lambda rows: form.format(cell(rows, column, **where))


def cpu(path: str) -> Reader:
    return lambda rows: f"{cell(rows, 'ratio', path=path):.2f}, AUC {-cell(rows, 'auc_loss', path=path):+.4f}"


def memory(rows: pd.DataFrame) -> str:
    *_, last = rows.loc[rows["what"] == "peak memory", "ratio"]
    return f"{last:.3f}"


def memory_name(rows: pd.DataFrame) -> str:
    first, *_, last = rows.loc[rows["what"] == "peak memory", "n"].astype(int)
    return f"peak memory of `fakeface score` at {last:,} pictures, over that at {first:,}"


def slowest(rows: pd.DataFrame) -> str:
    return f"{rows['largest_cpu_s'].max():.2f} s at most of {len(rows)} kinds"


def kills(rows: pd.DataFrame) -> str:
    return f"{len(rows) - 1} kills, equal to an undisturbed run: {rows['units'].iloc[-1]}"


def resumed(rows: pd.DataFrame) -> str:
    return f"{len(rows)} kills, {int(rows['equal'].sum())} times the weights of an undisturbed run"


def space_name(rows: pd.DataFrame) -> str:
    return f"the Space, {rows['clients'].item()} clients at once: median latency, over that of one client"


def space(rows: pd.DataFrame) -> str:
    answered, full, errors = (int(rows[name].item()) for name in ("answered", "queue_full", "errors"))
    return f"{rows['latency_ratio'].item():.1f}; {answered} answers, {full} times queue full, {errors} errors"


def serve_name(rows: pd.DataFrame) -> str:
    return f"`fakeface serve`, {rows['clients'].item()} clients at once: median latency, over that of one client"


def serve(rows: pd.DataFrame) -> str:
    answered, away, errors = (int(rows[name].item()) for name in ("answered", "sent_away_429", "errors"))
    return f"{rows['p50_ratio'].item():.1f}; {answered} answers, {away} times sent away, {errors} errors"


def serve_batches(rows: pd.DataFrame) -> str:
    share = rows["batches_of_several"].item() / rows["batches"].item()
    return f"{share:.2f}; {rows['pictures_per_batch'].item():.1f} pictures on average"


def pointed(pictures: str) -> Reader:
    def read(rows: pd.DataFrame) -> str:
        where = {"measure": "hit", "method": "centred-cam", "layer": "trunk", "pictures": pictures}
        hit, low, high, chance = (cell(rows, name, **where) for name in ("value", "low", "high", "chance"))
        return f"{hit:.2f} ({low:.2f}–{high:.2f}), chance {chance:.2f}"

    return read


def cascade(rows: pd.DataFrame) -> str:
    rate, decided, agrees, auc = (
        cell(rows, column, way="cascade") for column in ("ratio", "decided_by_fast", "agrees", "auc")
    )
    change = auc - cell(rows, "auc", way="thorough")
    told = f"{100 * decided:.0f} % decided by the fast model, {100 * agrees:.1f} % same verdicts"
    return f"{rate:.2f}; {told}, AUC {change:+.3f}"


def left_out(rows: pd.DataFrame) -> str:
    where = (rows["kind"] == "generator") & (rows["training"] == "held out") & (rows["view"] == "clean")
    aucs = rows[where & (rows["figure"] == "auc")].set_index("name")["value"]
    return f"{aucs.mean():.3f}; worst {aucs.min():.3f}, {aucs.idxmin()}"


def hostile(rows: pd.DataFrame) -> str:
    return f"{len(rows)} files, {rows['seconds'].max():.1f} s and {rows['megabytes'].max():.0f} MB at most"


def recall(value: str) -> Reader:
    where = {"kind": "side in pixels, in a wide picture", "value": value}

    def read(rows: pd.DataFrame) -> str:
        found, low, high = (cell(rows, column, **where) for column in ("recall", "low", "high"))
        return f"{found:.2f} ({low:.2f}–{high:.2f})"

    return read


# Script, what was measured (or how to name it by the figures), and how to read it.
ROWS: list[tuple[str, str | Reader, Reader]] = [
    (
        "score",
        "`fakeface score` on JPEG files in bfloat16, over the bare model on ready tensors",
        number(what="score without faces", precision=QUICK),
    ),
    ("score", "… with the search for faces", number(what="score with faces", precision=QUICK)),
    ("score", "… both in float32: without", number(what="score without faces", precision="float32")),
    ("score", "… and with it", number(what="score with faces", precision="float32")),
    (
        "score",
        "`fakeface score` without it, over the stock `pipeline`",
        number(column="over_pipeline", what="score without faces", precision=QUICK),
    ),
    ("score", memory_name, memory),
    ("cascade", "`fakeface score --cascade` on unseen sources, over the thorough model alone", cascade),
    ("score_kills", "`fakeface score` killed at random moments and resumed", kills),
    ("cpu_paths", '`dtype="auto"` on a CPU, over plain float32', cpu("bfloat16, channels last, folded (auto)")),
    ("cpu_paths", "… compiled as well", cpu("bfloat16, channels last, folded, compiled")),
    ("cpu_paths", "8-bit ONNX, over the same", cpu("ONNX Runtime, 8 bits")),
    (
        "start",
        "time of `fakeface predict one.jpg`, over importing torch and transformers and one forward pass",
        number(process="predict"),
    ),
    ("start", "processor time of `fakeface --help`", number("{:.2f} s", "cpu_s", process="--help")),
    ("refusals", "… until a slip is refused: names of nothing, unknown options, wrong labels", slowest),
    (
        "evaluation_rate",
        "pictures a second of `fakeface evaluate`, over those of `fakeface score`",
        number(what="evaluate, clean"),
    ),
    (
        "evaluation",
        "all tables, intervals and the page from 10,000 kept scores, on one core",
        number("{:.1f} s", "seconds", what="clean and delivered"),
    ),
    (
        "build",
        "`fakeface data build` on 20,000 pictures of 1024 px, over reading, shrinking and saving in a bare loop",
        number(what="build", n="20000"),
    ),
    (
        "train_rate",
        "`train.py`, over a bare loop on random tensors",
        number(column="over_bare_loop", what="train.py, one rank"),
    ),
    (
        "train_rate",
        "… two ranks of one thread, over one rank of two",
        number(column="over_one_rank", what="train.py, two ranks"),
    ),
    ("train_kills", "training on two ranks, killed at random steps and resumed", resumed),
    ("explain_cost", "a prediction with its map, over one without, on a CPU", number(what="Detector", dtype="float32")),
    ("explain", "planted patches of generated pictures that the map points at", pointed("generated patch 0.4")),
    ("explain", "… of those that raise the margin by 1 or more", pointed("generated patch 0.4, noticed")),
    ("leave-one-out", "mean AUC of a generator left out of a training of a few minutes", left_out),
    ("space_load", space_name, space),
    ("space_load", "… the Space's memory after them, over before", number(column="memory_ratio")),
    ("serve", serve_name, serve),
    ("serve", "… latencies at the 99th percentile, likewise", number("{:.1f}", "p99_ratio")),
    ("serve", "… batches of several pictures, of all", serve_batches),
    ("serve", "… the service's memory after them, over before", number(column="memory_ratio")),
    ("hostile_files", "broken, hostile and odd files, each opened in a process of its own", hostile),
    ("face_recall", "faces of 24 pixels in a wide picture that are found", recall("24")),
    ("face_recall", "faces of 40 pixels", recall("40")),
]


def as_markdown(folder: Path = HERE) -> str:
    """The table, of the CSV files in a folder."""
    lines = []
    for stem, name, read in ROWS:
        file = folder / f"{stem}.csv"
        if file.exists():
            rows = pd.read_csv(file)
            told = name if isinstance(name, str) else name(rows)
            lines.append([told, read(rows), f"`{stem}.csv`"])
    return table(["measured", "figure", "from"], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path, help="also write the table in there")
    options = parser.parse_args()
    text = as_markdown()
    if options.page:
        fill_block(options.page, "benchmarks", text)
    print(text)


if __name__ == "__main__":
    main()
