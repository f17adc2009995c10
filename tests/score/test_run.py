"""Whole runs: every picture once, in order, whoever kills it."""

import io
import json
import multiprocessing
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import score_run
from tiny import picture, tiny_folder

from fakeface import FaceFinder, list_pictures
from fakeface.detector.detector import Detector
from fakeface.score.run import score
from fakeface.score.work import ScoreError

PACKAGE = Path(score_run.__file__).parents[2]
PICTURES = 60


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("model") / "tiny", target_fpr=0.01)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty pictures, the last two of them broken."""
    folder = tmp_path_factory.mktemp("pictures") / "in"
    for seed in range(PICTURES):
        file = folder / str(seed % 3) / f"{seed:02d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        picture(seed=seed).save(file)
    os.truncate(folder / "1/58.jpg", 200)
    (folder / "2/59.jpg").write_text("I am no picture.")
    return folder


@pytest.fixture
def detector(model: Path) -> Detector:
    return Detector.from_pretrained(model, device="cpu", faces=False)


def rows(out: Path) -> list[dict[str, Any]]:
    return pq.read_table(out).to_pylist()


def test_the_rows_are_what_the_detector_says(detector: Detector, pictures: Path, tmp_path: Path):
    done = score([str(pictures)], tmp_path / "out.parquet", detector, workers=1)
    expected = [result.to_dict() for result in detector.stream(list_pictures([pictures]))]
    found = rows(tmp_path / "out.parquet")
    for name in ("picture", "verdict", "reasons", "faces", "error"):
        assert [row[name] for row in found] == [row[name] for row in expected]
    scores = [row["score"] for row in expected if row["score"] is not None]
    assert len(scores) == len(set(scores)) == PICTURES - 2
    assert [row["score"] for row in found if row["score"] is not None] == pytest.approx(scores, abs=1e-6)
    rejects = rows(tmp_path / "out.rejects.parquet")
    assert [(Path(row["picture"]).name, row["reason"]) for row in rejects] == [
        ("58.jpg", "truncated"), ("59.jpg", "not-a-picture")
    ]  # fmt: skip
    assert (done.read, done.counts["rejected: truncated"]) == (PICTURES - 2, 1)
    assert done.summary().splitlines()[1] == "2 rejected, see out.rejects.parquet: 1 not-a-picture, 1 truncated"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.parquet", "out.rejects.parquet"]


def test_the_same_bytes_for_any_number_of_workers(
    detector: Detector, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("fakeface.data.engine.units.UNIT_ROWS", 8)
    monkeypatch.setattr("fakeface.data.engine.workers.CHUNK", 3)
    for workers in (1, 3):
        score([str(pictures)], tmp_path / f"{workers}.parquet", detector, workers=workers)
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "3.parquet").read_bytes()


def test_faces_crops_and_re_encodings_are_those_of_the_detector(model: Path, shared: Path, tmp_path: Path):
    finder = FaceFinder.from_pretrained()
    table = pq.read_table(shared / "faces" / "pool-00000-of-00008.parquet", columns=["image"]).slice(0, 6)
    pq.write_table(table, tmp_path / "faces.parquet")
    judge = Detector.from_pretrained(model, device="cpu", faces=finder, crops=2, consistency=1)
    score([str(tmp_path / "faces.parquet")], tmp_path / "out.parquet", judge, workers=1)
    expected = judge([row["image"]["bytes"] for row in table.to_pylist()])
    found = rows(tmp_path / "out.parquet")
    assert [row["picture"] for row in found] == [f"{tmp_path}/faces.parquet/{i:08d}" for i in range(6)]
    assert sum(len(row["faces"]) for row in found) >= 6
    for row, result in zip(found, expected, strict=True):
        assert [face["box"] for face in row["faces"]] == [list(face.box) for face in result.faces]
        assert [face["score"] for face in row["faces"]] == pytest.approx(
            [face.score for face in result.faces], abs=1e-6
        )
        assert (row["verdict"], row["reasons"]) == (result.verdict, list(result.reasons))


def test_a_list_from_stdin(detector: Detector, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(pictures)
    done = score(["-", "nowhere"], tmp_path / "out.csv", detector, workers=1, stdin=io.BytesIO(b"0/03.jpg\n0/00.jpg\n"))
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["picture", "0/03.jpg", "0/00.jpg", "nowhere"]
    assert done.counts["rejected: missing"] == 1


def test_uploads_named_by_hashes_are_scored_and_what_is_no_picture_is_counted(detector: Detector, tmp_path: Path):
    folder = tmp_path / "uploads"
    folder.mkdir()
    for seed in range(2):
        picture(seed=seed).save(folder / f"9e107d9d372bb682{seed}", "JPEG")
    (folder / "index").write_text("no picture")
    done = score([str(folder)], tmp_path / "out.parquet", detector, workers=1)
    assert [Path(row["picture"]).name for row in rows(done.out)] == ["9e107d9d372bb6820", "9e107d9d372bb6821"]
    assert done.summary().splitlines()[1] == (
        "other files: 2 without a picture's suffix read, by the first bytes, 1 passed over as no pictures"
    )


def test_a_row_says_which_frames_were_judged_as_the_detector_does(detector: Detector, tmp_path: Path):
    frames = [picture(seed=seed) for seed in range(3)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], duration=[10, 50, 900], lossless=True)
    done = score([str(tmp_path / "a.webp")], tmp_path / "out.parquet", detector, workers=1)
    expected = detector(tmp_path / "a.webp")
    (row,) = rows(done.out)
    assert row["score"] == pytest.approx(expected.score, abs=1e-6)
    assert row["reasons"] == list(expected.reasons)
    assert row["reasons"][0].startswith("an animation of 3 frames")


def test_no_pictures_make_empty_tables(detector: Detector, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    done = score([str(tmp_path / "empty")], tmp_path / "out.jsonl", detector, workers=1)
    assert (done.read, (tmp_path / "out.jsonl").read_text()) == (0, "")


class Forked:
    """Starts runs off a process that has imported everything."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PACKAGE), str(Path(score_run.__file__).parent)]))
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["score_run"])

    def start(self, *arguments: Any) -> tuple[Any, Any]:
        told, tell = self.context.Pipe(duplex=False)
        process = self.context.Process(target=score_run.run, args=(*arguments[:3], tell, *arguments[3:]))
        process.start()
        tell.close()
        return process, told

    def finish(self, *arguments: Any) -> str:
        process, told = self.start(*arguments)
        words = told.recv()
        process.join()
        return words


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> Forked:
    return Forked(monkeypatch)


def test_five_kills_at_random_lose_nothing_and_double_nothing(
    forked: Forked, model: Path, pictures: Path, tmp_path: Path
):
    forked.finish([str(pictures / "0")], tmp_path / "warm.jsonl", model)
    began = time.monotonic()
    forked.finish([str(pictures)], tmp_path / "whole.parquet", model)
    span = time.monotonic() - began
    moments = random.Random(0)
    killed, out = 0, tmp_path / "killed.parquet"
    for _ in range(40):
        process, _ = forked.start([str(pictures)], out, model)
        time.sleep(moments.uniform(0.1, 0.95) * span)
        process.kill()
        process.join()
        if out.exists() and not out.with_name("killed.parquet.parts").exists():  # too late: the next one starts afresh
            out.unlink()
            out.with_name("killed.rejects.parquet").unlink()
        else:
            killed += process.exitcode == -9
        if killed == 5:
            break
    assert killed == 5
    forked.finish([str(pictures)], out, model)
    assert out.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    rejects = [tmp_path / f"{name}.rejects.parquet" for name in ("killed", "whole")]
    assert rejects[0].read_bytes() == rejects[1].read_bytes()
    assert not (tmp_path / "killed.parquet.parts").exists()


def test_a_full_disk_keeps_what_is_done(forked: Forked, model: Path, pictures: Path, tmp_path: Path):
    # A real disk cannot be filled here; a limit on the size of files fails the same writes at the same places.
    out = tmp_path / "out.jsonl"
    words = forked.finish([str(pictures)], out, model, 12_000)
    again = "what is done is kept, and the same command goes on from there"
    assert words == f"{out}: no room left on the disk, or beyond a quota; make room: {again}"
    parts = sorted(path.name for path in (tmp_path / "out.jsonl.parts").glob("unit-*"))
    assert parts == [f"unit-{number:07d}.parquet" for number in range(8)]
    assert forked.finish([str(pictures)], out, model).startswith("58 pictures: ")
    forked.finish([str(pictures)], tmp_path / "whole.jsonl", model)
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_an_output_that_is_there_or_of_another_model_is_left_alone(
    detector: Detector, pictures: Path, tmp_path: Path, forked: Forked, model: Path
):
    out = tmp_path / "out.jsonl"
    out.write_text("precious")
    with pytest.raises(ScoreError, match="is there already; name another file, or give --overwrite"):
        score([str(pictures)], out, detector, workers=1)
    assert out.read_text() == "precious"
    out.unlink()
    assert "no room" in forked.finish([str(pictures)], out, model, 12_000)
    other = Detector(detector.model, detector.processor, crops=2)
    with pytest.raises(ScoreError, match="holds a run that is not finished, with other inputs, options"):
        score([str(pictures)], out, other, workers=1)
    score([str(pictures / "0")], out, other, workers=1, overwrite=True)
    assert len(out.read_text().splitlines()) == PICTURES / 3


def test_two_ranks_share_the_units(detector: Detector, model: Path, pictures: Path, tmp_path: Path):
    launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0", "-m", "fakeface.score"]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PACKAGE)}
    words = [str(pictures)] * 3 + ["--model", str(model), "--no-faces", "--workers", "1", "--dtype", "float32"]
    out = tmp_path / "ranks.jsonl"
    command = [sys.executable, *launch, *words, "--out", str(out), "--batch-size", "16"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("174 pictures: ") == 1
    score([str(pictures)] * 3, tmp_path / "alone.jsonl", detector, workers=1)
    found, alone = (list(map(json.loads, file.read_text().splitlines())) for file in (out, tmp_path / "alone.jsonl"))
    assert [row["picture"] for row in found] == [row["picture"] for row in alone]
    assert [row["score"] or 0 for row in found] == pytest.approx([row["score"] or 0 for row in alone], abs=1e-5)
