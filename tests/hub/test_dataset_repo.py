"""Datasets to and from a Hub on loopback, through the real client, in processes of their own as users run it."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from hub.server import Hub, serve
from raw import encoded, write_files, write_parquet, write_zip

REPOSITORY = Path(__file__).parents[2]  # not where the package is, which may be installed
MODERN = yaml.safe_load((REPOSITORY / "configs/data/modern.yaml").read_text())
SOURCES = [
    {"source": "pictures", "name": "camera", "label": "real"},
    {"source": "pictures", "name": "gan", "label": "generated", "generator": "stylegan2"},
]
# Each call's answer, or its error's class and words.
CALLS = """
import json, sys
from pathlib import Path
from fakeface.hub.dataset_repo import fetch_dataset, push_dataset
for name, *arguments in json.loads(sys.argv[1]):
    call = {"fetch": fetch_dataset, "push": push_dataset}.get(name)
    folder = Path(arguments.pop())
    try:
        if name == "fetch_some":
            repo, revision, files = arguments
            print(json.dumps(fetch_dataset(repo, revision, folder, files)))
        else:
            print(json.dumps(call(folder, *arguments) if name == "push" else call(*arguments, folder)))
    except ValueError as error:
        print(json.dumps(f"{type(error).__name__}: {error}"))
"""


@pytest.fixture
def hub():
    with serve() as hub:
        yield hub


def run(hub: Hub, tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {**hub.environment(tmp_path / "home"), "PYTHONPATH": str(REPOSITORY), **environment}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=settings, capture_output=True, text=True, timeout=300, check=False)


def build(hub: Hub, tmp_path: Path, out: str, sources: list[dict], *options: str, **settings) -> str:
    """What the command says on stdout."""
    file = tmp_path / f"{out}.yaml"
    file.write_text(json.dumps({"sources": sources, "history": "native", **settings}))  # YAML takes JSON
    where = ("--root", str(tmp_path / "root"), "--out", str(tmp_path / out), "--workers", "1")
    done = run(hub, tmp_path, "-m", "fakeface", "data", "build", str(file), *where, *options)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def calls(hub: Hub, tmp_path: Path, *wanted: tuple, **environment: str) -> list[str]:
    done = run(hub, tmp_path, "-c", CALLS, json.dumps(wanted), **environment)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pictures(folder: Path) -> Counter:
    rows = [row for file in (folder / "data").iterdir() for row in pq.read_table(file).to_pylist()]
    return Counter((row["image"]["bytes"], row["label"], row["generator"], row["source"]) for row in rows)


def test_a_dataset_is_pushed_and_is_the_source_of_another(hub, tmp_path):
    write_files(tmp_path / "root/camera", [f"{i}.jpg" for i in range(8)])
    write_files(tmp_path / "root/gan", [f"{i}.png" for i in range(8)], first=100)
    (tmp_path / "root/camera/broken.jpg").write_bytes(b"no picture")
    said = build(hub, tmp_path, "first", SOURCES, "--push-to-hub", "nobody/faces", rows_per_shard=4)
    assert said.splitlines()[-1] == f"{hub.endpoint}/datasets/nobody/faces"
    kept = hub.repositories["datasets/nobody/faces"]
    assert kept.private  # unless --public is given
    pushed = {path: file.data for path, file in kept.files.items() if path != ".gitattributes"}
    assert pushed == files_of(tmp_path / "first")
    assert "data/train-00002-of-00003.parquet" in pushed
    # A dataset in fewer shards replaces all of the one before.
    build(hub, tmp_path, "second", SOURCES, "--push-to-hub", "nobody/faces", "--public")
    assert kept.files.keys() - {".gitattributes"} == files_of(tmp_path / "second").keys()
    assert kept.private  # one that exists stays as it is
    source = {"source": "hub", "name": "of-the-hub", "repo": "nobody/faces"}
    said = build(hub, tmp_path, "third", [source])
    assert said.splitlines()[1].startswith("16 pictures: ")
    assert pictures(tmp_path / "third") == pictures(tmp_path / "first")


def test_a_known_source_is_fetched_by_one_command_as_its_publisher_lays_it_out(hub, tmp_path):
    """configs/data/modern.yaml as it is; but for faces, which these pictures do not show."""
    community = [
        {"image_data": encoded(i), "label": i % 2, "model_name": "a/b" if i % 2 else "", "architecture": kind}
        for i, kind in enumerate(["real", "LatDiff"] * 4)
    ]
    openfake = [
        {"image": {"bytes": encoded(100 + i), "path": None}, "label": label, "model": "imagen-3" if i % 2 else "real"}
        for i, label in enumerate(["real", "fake"] * 4)
    ]
    tables = {"data/HFCF_small_3.parquet": community, "core/test-00004-of-00090.parquet": openfake}
    first, second = (write_parquet(tmp_path / name, rows).read_bytes() for name, rows in tables.items())
    (revision,) = [choice["revision"] for choice in MODERN["sources"] if "revision" in choice]
    small = hub.add("datasets/OwensLab/CommunityForensics-Small", {
        "data/HFCF_small_3.parquet": first, "data/HFCF_small_12.parquet": b"not asked for", "README.md": b"card"
    })  # fmt: skip
    hub.add("datasets/ComplexDataLab/OpenFake", {
        "core/test-00004-of-00090.parquet": second, "core/train-00000-of-02000.parquet": b"not asked for"
    })  # fmt: skip
    zips = {}
    for place, name in enumerate(("wiki", "text2img", "inpainting", "insight")):
        members = {f"{name}/00/{i}.jpg": encoded(1000 * (place + 1) + i) for i in range(4)}
        zips[f"{name}.zip"] = write_zip(tmp_path / f"{name}.zip", members).read_bytes()
    hub.add("datasets/OpenRL/DeepFakeFace", zips)
    recipe = tmp_path / "modern.yaml"  # at the commit that the publisher's files have here
    recipe.write_text((REPOSITORY / "configs/data/modern.yaml").read_text().replace(revision, small))
    where = ("--root", str(tmp_path / "root"), "--out", str(tmp_path / "out"), "--workers", "1", "--no-faces")
    done = run(hub, tmp_path, "-m", "fakeface", "data", "build", str(recipe), *where)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [row for file in (tmp_path / "out/data").iterdir() for row in pq.read_table(file).to_pylist()]
    assert Counter((row["source"], row["generator"], row["family"]) for row in rows) == {
        ("community-forensics-small", "none", ""): 4,
        ("community-forensics-small", "a/b", "diffusion"): 4,
        ("openfake", "none", ""): 4,
        ("openfake", "imagen-3", ""): 4,
        ("deepfakeface", "none", ""): 4,
        ("deepfakeface", "stable-diffusion-1.5", ""): 4,
        ("deepfakeface", "stable-diffusion-inpainting", ""): 4,
    }
    assert not list((tmp_path / "root").rglob("*_12.parquet")) + list((tmp_path / "root").rglob("insight.zip"))


def test_files_that_are_not_there_or_not_asked_for_are_told(hub, tmp_path):
    commit = hub.add("datasets/nobody/faces", {f"real/{name}.jpg": encoded(ord(name)) for name in "abc"})
    folder = str(tmp_path / "a")
    said = calls(
        hub,
        tmp_path,
        ("fetch_some", "nobody/faces", "main", ["real/[ab].jpg"], folder),
        ("fetch_some", "nobody/faces", "main", ["real/a.jpg", "fake/*"], folder),
        ("fetch_some", "nobody/faces", "main", ["real/a.jpg"], folder),
    )
    assert said[0] is None
    assert said[1] == f"HubError: nobody/faces: has no file 'fake/*' at {commit}; look at its files, and name others"
    stray = f"{folder}/real/b.jpg: is not among the `files` to take of nobody/faces"
    assert said[2] == f"HubError: {stray}; remove it, or name another folder"
    assert sorted(path.name for path in (tmp_path / "a/real").iterdir()) == ["a.jpg", "b.jpg"]


def test_a_new_revision_does_not_mix_with_the_files_of_an_old_one(hub, tmp_path):
    first = hub.add("datasets/nobody/faces", {"real/a.jpg": encoded(1), "real/b.jpg": encoded(2), "load.py": b"1/0"})
    repository = hub.repositories["datasets/nobody/faces"]
    second = repository.commit({"real/a.jpg": repository.files["real/a.jpg"]}, "without b")
    folder = tmp_path / "a"
    old, new = (("fetch", "nobody/faces", revision, str(folder)) for revision in (first, "main"))
    assert calls(hub, tmp_path, old, old) == [None, None]
    assert [path.name for path in sorted((folder / "real").iterdir())] == ["a.jpg", "b.jpg"]
    assert calls(hub, tmp_path, new, new) == [None, None]
    assert [path.name for path in (folder / "real").iterdir()] == ["a.jpg"]
    (folder / "real/mine.jpg").write_bytes(encoded(3))
    stray = f"{folder}/real/mine.jpg: is not in nobody/faces at {second}; remove it, or name another folder"
    assert calls(hub, tmp_path, new) == [f"HubError: {stray}"]
    assert not (tmp_path / "a/load.py").exists()


def test_names_that_lead_out_of_the_folder_are_not_fetched(hub, tmp_path):
    names = ["../out.jpg", "real/../../out.jpg", f"{tmp_path}/out.jpg", "real/in.jpg"]
    hub.add("datasets/nobody/evil", {name: encoded(1) for name in names})
    assert calls(hub, tmp_path, ("fetch", "nobody/evil", "main", str(tmp_path / "deep/evil"))) == [None]
    found = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.jpg")]
    assert found == ["deep/evil/real/in.jpg"]


def test_refusals_say_what_to_do(hub, tmp_path):
    hub.add("datasets/somebody/closed", {"a.jpg": encoded(1)}, gated=True)
    hub.add("datasets/nobody/faces", {"a.jpg": encoded(1)})
    hub.add("datasets/nobody/mine", {"a.jpg": encoded(1)}, private=True)
    (tmp_path / "built").mkdir()
    (tmp_path / "built/build.json").write_text("{}")
    out, built = str(tmp_path / "out"), str(tmp_path / "built")
    said = calls(
        hub,
        tmp_path,
        ("fetch", "somebody/closed", "main", out),
        ("fetch", "nobody/nothing", "main", out),
        ("fetch", "nobody/faces", "v9", out),
        ("fetch", "a/b/c", "main", out),
        ("push", "somebody/faces", built),
        ("push", "nobody/faces", out),
        ("fetch", "nobody/mine", "main", out),
    )
    assert said[0] == (
        "HubError: somebody/closed: asks you to accept its terms: do that on its page, then run `hf auth login`"
    )
    missing = "is not there, or not for you: check the name, or run `hf auth login`"
    assert said[1] == f"HubError: nobody/nothing: {missing}"
    assert said[2] == "HubError: nobody/faces: has no such branch, tag or commit; check the `revision`"
    assert said[3] == "HubError: a/b/c: is not the name of a repository; it takes the form OWNER/NAME"
    assert said[4].startswith("HubError: somebody/faces: was refused by the Hub (")
    assert "403" in said[4]
    assert said[5] == f"HubError: {out}: no finished dataset; build it first"
    assert said[6:] == [None]
    private = ("fetch", "nobody/mine", "main", str(tmp_path / "other"))
    strangers = calls(hub, tmp_path, private, ("push", "nobody/faces", built), HF_TOKEN="hf_wrong")
    assert strangers[0] == "HubError: nobody/mine: needs a token: run `hf auth login` first"
    assert strangers[1] == "HubError: nobody/faces: needs a token: run `hf auth login` first"


def test_a_hub_that_does_not_answer_leaves_no_half_source(hub, tmp_path):
    write_files(tmp_path / "half", ["real/a.jpg"])
    fetch = ("fetch", "nobody/faces", "main", str(tmp_path / "half"))
    (said,) = calls(hub, tmp_path, fetch, HF_ENDPOINT="http://127.0.0.1:9")
    assert said.startswith("HubError: nobody/faces: the Hub cannot be reached (")
    assert said.endswith("); check the network, and try again")
    assert calls(hub, tmp_path, fetch, HF_HUB_OFFLINE="1") == [None]  # asked for, so what is there is taken
