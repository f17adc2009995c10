"""Checkpoints that survive a kill at any moment of their being written, replaced and removed."""

import shutil
from pathlib import Path

import pytest

from fakeface.training.checkpoints import checkpoints, newest_checkpoint, publish, remove_oldest, tidy


def make(run: Path, name: str, text: str = "whole") -> Path:
    folder = run / "checkpoints" / name
    folder.mkdir(parents=True)
    (folder / "state").write_text(text)
    return folder


def standing(run: Path) -> dict[str, str]:
    return {path.name: (path / "state").read_text() for path in (run / "checkpoints").iterdir()}


def test_they_come_in_the_order_of_their_steps(tmp_path):
    for name in ("step-9", "step-10", ".writing-step-11", ".old-step-8"):
        make(tmp_path, name)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-9", "step-10"]
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoints" / "step-10"
    assert newest_checkpoint(tmp_path / "nothing") is None


def test_publishing_replaces_one_of_the_same_step(tmp_path):
    old, fresh = make(tmp_path, "step-5", "old"), make(tmp_path, ".writing-step-5", "fresh")
    publish(fresh, old)
    assert standing(tmp_path) == {"step-5": "fresh"}


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_kill_while_one_is_replaced_leaves_one_of_both_whole(tmp_path, monkeypatch, renames):
    old, fresh = make(tmp_path, "step-5", "old"), make(tmp_path, ".writing-step-5", "fresh")
    done = []

    def rename(path: Path, target: Path) -> None:
        if len(done) == renames:
            raise KeyboardInterrupt
        done.append(path)
        shutil.move(path, target)

    def rmtree(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(Path, "rename", rename)
        killed.setattr(shutil, "rmtree", rmtree)
        with pytest.raises(KeyboardInterrupt):
            publish(fresh, old)
    tidy(tmp_path)
    assert standing(tmp_path) == {"step-5": "fresh" if renames == 2 else "old"}


def test_a_kill_while_old_ones_are_removed_leaves_no_half_one(tmp_path, monkeypatch):
    for step in (1, 2, 3):
        make(tmp_path, f"step-{step}")

    def rmtree(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(shutil, "rmtree", rmtree)
        with pytest.raises(KeyboardInterrupt):
            remove_oldest(tmp_path, 1)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-2", "step-3"]
    tidy(tmp_path)
    assert sorted(standing(tmp_path)) == ["step-2", "step-3"]
    remove_oldest(tmp_path, 1)
    assert standing(tmp_path) == {"step-3": "whole"}
