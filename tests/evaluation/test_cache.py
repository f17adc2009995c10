"""Scores that outlive a run, whatever it left behind."""

import pytest

from fakeface.evaluation.cache import Key, ScoreCache

ONE, TWO, THREE = (Key(digit * 64, "JPEG 85, then half size") for digit in "123")


def test_scores_come_back_to_the_last_bit(tmp_path):
    ScoreCache(tmp_path, "a" * 64).add([ONE, TWO], [0.1 + 0.2, 1e-12])
    found = ScoreCache(tmp_path, "a" * 64)
    assert (found[ONE], found[TWO]) == (0.1 + 0.2, 1e-12)
    assert THREE not in found


def test_whatever_else_was_found_comes_back_too(tmp_path):
    ScoreCache(tmp_path, "a" * 64).add([ONE, TWO], [[0.1, -1e-17], "too-small"])
    found = ScoreCache(tmp_path, "a" * 64)
    assert (found[ONE], found[TWO]) == ([0.1, -1e-17], "too-small")


def test_other_weights_and_views_have_their_own(tmp_path):
    ScoreCache(tmp_path, "a" * 64).add([ONE], [0.5])
    assert ONE not in ScoreCache(tmp_path, "b" * 64)
    assert Key(ONE.sha256, "clean") not in ScoreCache(tmp_path, "a" * 64)


def test_ranks_write_apart_and_read_each_other(tmp_path):
    first, second = (ScoreCache(tmp_path, "a" * 64, rank) for rank in (0, 1))
    first.add([ONE], [0.25])
    second.add([TWO], [0.75])
    assert TWO not in first
    first.load()
    assert (first[ONE], first[TWO]) == (0.25, 0.75)


def test_a_line_cut_off_by_a_kill_is_not_there_and_spoils_no_other(tmp_path):
    ScoreCache(tmp_path, "a" * 64).add([ONE, TWO], [0.25, 0.75])
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-12])  # within the view: "JPEG 85" must not pass for another step
    again = ScoreCache(tmp_path, "a" * 64)
    assert ONE in again
    assert TWO not in again
    again.add([THREE], [0.5])
    last = ScoreCache(tmp_path, "a" * 64)
    assert (last[ONE], last[THREE], TWO in last) == (0.25, 0.5, False)


@pytest.mark.parametrize(
    "line", ["", "0.5", "null", '["a", "clean"]', '[[], "clean", 0.5]', '["a", "clean", 0.5', "\xff"]
)
def test_what_is_no_such_line_is_left_alone(line, tmp_path):
    (tmp_path / f"{'a' * 32}-0.jsonl").write_text(f"{line}\n")
    assert Key("a", "clean") not in ScoreCache(tmp_path, "a" * 64)


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cache = ScoreCache()
    cache.add([ONE], [0.5])
    assert cache[ONE] == 0.5
    assert not list(tmp_path.iterdir())
