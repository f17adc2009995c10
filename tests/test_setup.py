"""`make TORCH=cpu` installs what is locked, without CUDA, and the container file does likewise."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from doc_commands import check


def pins(file: Path) -> dict[str, list[str]]:
    """The lines of hashes under each requirement."""
    found: dict[str, list[str]] = {}
    for line in file.read_text().splitlines():
        if line[:1].isalnum():
            hashes = found.setdefault(line.removesuffix(" \\"), [])
        elif line.strip().startswith("--hash"):
            hashes.append(line)
    return found


def test_the_list_without_cuda_is_the_lock_less_cuda_and_the_hashes_of_torch(repo: Path, tmp_path: Path):
    if shutil.which("make") is None:
        pytest.skip("needs make")
    for name in ("Makefile", "requirements.lock"):
        shutil.copy(repo / name, tmp_path)
    subprocess.run(["make", "--silent", "build/requirements-cpu.txt"], cwd=tmp_path, check=True)
    locked, chosen = pins(tmp_path / "requirements.lock"), pins(tmp_path / "build" / "requirements-cpu.txt")
    left_out = {line.split("==")[0] for line in locked} - {line.split("==")[0] for line in chosen}
    assert {"cuda-bindings", "nvidia-cudnn-cu13", "triton"} < left_out
    assert {name.split("-")[0] for name in left_out} == {"cuda", "nvidia", "triton"}
    unhashed = {line for line, hashes in chosen.items() if not hashes}
    assert {line.split("==")[0] for line in unhashed} == {"torch", "torchvision"}
    assert {line: locked[line] for line in chosen if line not in unhashed} == {
        line: hashes for line, hashes in chosen.items() if line not in unhashed
    }
    assert unhashed < set(locked)


def test_the_container_file_copies_what_is_there_and_starts_a_command_that_exists(repo: Path):
    lines = (repo / "Containerfile").read_text().replace("\\\n", " ").splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY ") and "--from" not in line]
    missing = [name for names in copied for name in names if not (repo / name).exists()]
    assert missing in ([], ["fakeface"])  # which an installed package has elsewhere
    # Python 3.10 has no reader of TOML: what the wheel takes from outside the package, by its lines.
    section = (repo / "pyproject.toml").read_text().partition("wheel.force-include]\n")[2].partition("\n\n")[0]
    in_wheel = re.findall(r'^"(.+?)" =', section, re.MULTILINE)
    assert len(in_wheel) == 4
    assert {*in_wheel, "pyproject.toml", "README.md", "LICENSE"} <= {name for names in copied for name in names}
    assert "USER 10001" in lines
    entry = json.loads(next(line for line in lines if line.startswith("ENTRYPOINT ")).removeprefix("ENTRYPOINT "))
    check([*entry, "--fast"])
