"""Pictures come back in order, whatever happens to the processes that open them."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from made import DEADLY, DeadlyFinder, jpeg, write_zip

from fakeface.data.engine import workers as module
from fakeface.data.engine.workers import Entry, Item, Workers, chunks
from fakeface.data.sources.reference import Reference
from fakeface.detector.preparation import Case, Preparer
from fakeface.images.load import PictureError
from fakeface.score.inputs import Inputs
from fakeface.score.opener import Opener


def test_what_lies_in_archives_is_read_here_and_files_are_left_to_workers(tmp_path: Path):
    write_zip(tmp_path / "a.zip", {f"{i:02d}.jpg": b"x" * i for i in range(20)})
    (tmp_path / "b.jpg").write_bytes(b"b")
    entries = list(Inputs(tmp_path).entries([str(tmp_path)]))
    told = list(chunks([7], lambda unit: entries))
    assert [(unit, len(items)) for unit, items in told] == [(7, 16), (7, 5)]
    assert [content for _, items in told for _, content in items] == [b"x" * i for i in range(20)] + [None]


def test_few_large_files_make_a_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "CHUNK_BYTES", 30)
    write_zip(tmp_path / "a.zip", {f"{i}.jpg": b"x" * 20 for i in range(5)})
    entries = list(Inputs(tmp_path).entries([str(tmp_path)]))
    assert [len(items) for _, items in chunks([0], lambda unit: entries)] == [2, 2, 1]


def test_a_container_that_is_gone_gives_each_picture_its_reason(tmp_path: Path):
    gone = Entry("x/a.zip/1.jpg", str(tmp_path), Reference("a.zip", "1.jpg"))
    ((_, ((_, content),)),) = chunks([0], lambda unit: [gone])
    assert isinstance(content, PictureError)
    assert (content.picture, content.reason) == ("x/a.zip/1.jpg", "unreadable")


@pytest.fixture(scope="module")
def crew() -> Iterator[Workers]:
    with Workers(Opener(Preparer(32, finder=DeadlyFinder())), 2) as crew:
        yield crew


def reason(case: Case) -> str | None:
    return None if case.error is None else case.error.reason


def items(*contents: bytes) -> list[Item]:
    return [(Entry(f"{i}.jpg", "", Reference("", "")), content) for i, content in enumerate(contents)]


def test_chunks_come_back_in_order_with_what_was_refused(crew: Workers, tmp_path: Path):
    files = [jpeg(0, (640, 640)), *(jpeg(seed) for seed in range(1, 9))]  # the first one takes longest
    given = [(number, items(file, b"text")) for number, file in enumerate(files)]
    told = list(crew.work_on(given))
    assert [number for number, _ in told] == list(range(9))
    for number, ((good, inputs), (bad, nothing)) in told:
        case, expected = Preparer(32, finder=DeadlyFinder()).try_open("a", files[number])
        assert np.array_equal(inputs, list(expected))
        assert (good.size, good.faces, good.error) == (case.size, case.faces, None)
        assert (reason(bad), nothing) == ("not-a-picture", [])


def test_a_picture_that_kills_its_process_is_refused_and_the_others_are_not(crew: Workers):
    deadly = jpeg(size=DEADLY)
    given = [(0, items(jpeg(), jpeg())), (1, items(jpeg(), deadly, jpeg())), (2, items(jpeg())), (3, items(deadly))]
    told = {number: [reason(case) for case, _ in pairs] for number, pairs in crew.work_on(given)}
    assert told == {0: [None, None], 1: [None, "crashed", None], 2: [None], 3: ["crashed"]}
    (case, _), *_ = next(crew.work_on([(9, items(deadly))]))[1]
    assert str(case.error).startswith("0.jpg: the decoder crashed on it, or was killed for want of memory; save it")


def test_a_link_out_of_its_folder_is_refused(crew: Workers, tmp_path: Path):
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.jpg").write_bytes(jpeg())
    os.symlink("../secret.jpg", tmp_path / "in/link.jpg")
    (tmp_path / "in/good.jpg").write_bytes(jpeg())
    entries = list(Inputs(tmp_path).entries([str(tmp_path / "in"), str(tmp_path / "none.jpg")]))
    prepared = [case for _, pairs in crew.work_on(chunks([0], lambda unit: entries)) for case, _ in pairs]
    assert [reason(case) for case in prepared] == [None, "unreadable", "missing"]
    assert str(prepared[1].error).startswith(f"{tmp_path}/in/link.jpg: a link that leads out of {tmp_path}/in; copy")


def test_what_the_list_refused_already_is_passed_on(crew: Workers):
    entry = Entry("in", "", Reference("", ""), "unreadable", "cannot be listed (no luck)")
    ((_, [(case, inputs)]),) = crew.work_on([(0, [(entry, None)])])
    assert (reason(case), str(case.error), inputs) == ("unreadable", "in: cannot be listed (no luck)", [])
