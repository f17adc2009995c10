"""The Hub on loopback answers the real client as the Hub does, and its faults are what they say."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub.faults import Faults
from hub.server import READING, SOMEONE, TOKEN, Hub, serve

BLOB = bytes(range(256)) * 2000  # 512 kB

BEFORE = """
import json
from pathlib import Path
from huggingface_hub import *
from huggingface_hub import errors
api, home = HfApi(), Path(__import__("os").environ["HF_HOME"])

def kind_of(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except Exception as error:
        return type(error).__name__
"""


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve() as hub:
        yield hub


def client(hub: Hub, home: Path, code: str, token: str = TOKEN, **environment: str) -> Any:
    """What the code leaves in `told`, run with the real client in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", f"{BEFORE}\n{code}\nprint(json.dumps(told))"],
        env={**hub.environment(home, token), **environment}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_branches_and_tags(hub: Hub, tmp_path: Path):
    first = hub.add("models/nobody/m", {"a.txt": b"1"})
    told = client(
        hub,
        tmp_path,
        """
        api.create_branch("nobody/m", branch="next/one")
        api.create_branch("nobody/m", branch="next/one", exist_ok=True)
        api.create_tag("nobody/m", tag="v1")
        again = kind_of(api.create_tag, "nobody/m", tag="v1")
        api.upload_file(path_or_fileobj=b"2", path_in_repo="a.txt", repo_id="nobody/m", revision="next/one")
        at = {name: Path(hf_hub_download("nobody/m", "a.txt", revision=name)).read_text()
              for name in ("main", "v1", "next/one")}
        refs = api.list_repo_refs("nobody/m")
        names = [[each.ref for each in refs.branches], [each.ref for each in refs.tags]]
        stale = kind_of(api.create_commit, "nobody/m", [CommitOperationDelete("a.txt")], commit_message="x",
                        revision="next/one", parent_commit=refs.tags[0].target_commit)
        tagged = kind_of(api.upload_file, path_or_fileobj=b"3", path_in_repo="a.txt", repo_id="nobody/m", revision="v1")
        api.delete_branch("nobody/m", branch="next/one")
        api.delete_tag("nobody/m", tag="v1")
        gone = kind_of(hf_hub_download, "nobody/m", "a.txt", revision="v1", force_download=True)
        told = [again, at, names, stale, tagged, gone]
        """.replace("\n        ", "\n"),
    )
    again, at, names, stale, tagged, gone = told
    assert at == {"main": "1", "v1": "1", "next/one": "2"}
    assert names == [["refs/heads/main", "refs/heads/next/one"], ["refs/tags/v1"]]
    assert (again, stale, tagged, gone) == (
        "HfHubHTTPError", "HfHubHTTPError", "RevisionNotFoundError", "RevisionNotFoundError"
    )  # fmt: skip
    assert hub.repositories["models/nobody/m"].history == [first]


def test_pull_requests(hub: Hub, tmp_path: Path):
    first = hub.add("models/nobody/m", {"a.txt": b"1"})
    told = client(
        hub,
        tmp_path,
        """
        add = [CommitOperationAdd("b.bin", b"2" * 999)]
        made = api.create_commit("nobody/m", add, commit_message="one", create_pr=True)
        api.upload_file(path_or_fileobj=b"3", path_in_repo="c.txt", repo_id="nobody/m", revision="refs/pr/1")
        listed = [each.path for each in api.list_repo_tree("nobody/m", revision="refs/pr/1")]
        pulls = [[each.num, each.title, each.status, each.git_reference] for each in
                 api.get_repo_discussions("nobody/m", discussion_type="pull_request", discussion_status="open")]
        shown = api.get_discussion_details("nobody/m", 1)
        api.merge_pull_request("nobody/m", 1)
        second = api.create_pull_request("nobody/m", "two").num
        api.change_discussion_status("nobody/m", second, "closed")
        refs = [each.ref for each in api.list_repo_refs("nobody/m", include_pull_requests=True).pull_requests]
        told = [made.pr_num, made.pr_revision, listed, pulls, shown.target_branch, refs]
        """.replace("\n        ", "\n"),
    )
    assert told == [
        1, "refs/pr/1", ["a.txt", "b.bin", "c.txt"], [[1, "one", "open", "refs/pr/1"]], "refs/heads/main",
        ["refs/pr/1", "refs/pr/2"],
    ]  # fmt: skip
    repository = hub.repositories["models/nobody/m"]
    assert repository.history == [first, repository.refs["refs/pr/1"]]
    assert [each.status for each in repository.pull_requests] == ["merged", "closed"]


@pytest.mark.parametrize(
    ("token", "kinds"),
    [
        (TOKEN, [None, None, None, None]),
        (READING, [None, None, None, "HfHubHTTPError"]),
        (SOMEONE, ["RepositoryNotFoundError", "RepositoryNotFoundError", "GatedRepoError", "RepositoryNotFoundError"]),
        ("", ["RepositoryNotFoundError", "RepositoryNotFoundError", "GatedRepoError", "RepositoryNotFoundError"]),
        ("hf_nobodys", ["HfHubHTTPError", "HfHubHTTPError", "HfHubHTTPError", "HfHubHTTPError"]),
    ],
    ids=["owner", "owner, reading", "someone", "no token", "bad token"],
)
def test_who_may_see_and_change_what(hub: Hub, tmp_path: Path, token: str, kinds: list):
    hub.add("models/nobody/private", {"a.txt": b"1"}, private=True)
    hub.add("models/nobody/gated", {"a.txt": b"1"}, gated=True)
    told = client(
        hub,
        tmp_path,
        """
        told = [kind_of(api.model_info, "nobody/private"),
                kind_of(snapshot_download, "nobody/private"),
                kind_of(snapshot_download, "nobody/gated"),
                kind_of(api.upload_file, path_or_fileobj=b"", path_in_repo="b", repo_id="nobody/private")]
        """.replace("\n        ", "\n"),
        token,
    )
    assert told == kinds


def test_large_files_come_in_parts_and_go_by_another_host_without_the_token(hub: Hub, tmp_path: Path):
    hub.add("models/nobody/m", {"a.txt": b"1"})
    hub.part_size = 100_000
    told = client(
        hub,
        tmp_path,
        """
        blob = bytes(range(256)) * 2000
        api.upload_file(path_or_fileobj=blob, path_in_repo="a.bin", repo_id="nobody/m")
        told = Path(hf_hub_download("nobody/m", "a.bin")).read_bytes() == blob
        """.replace("\n        ", "\n"),
    )
    assert told is True
    assert hub.repositories["models/nobody/m"].files["a.bin"].data == BLOB
    assert sum("/large/" in each.path and each.method == "PUT" for each in hub.seen) == 6
    fetched = [each for each in hub.seen if each.method == "GET" and each.host.startswith("localhost")]
    assert fetched
    assert {each.authorization for each in fetched} == {""}


def test_an_error_is_answered_once_for_each_request(hub: Hub, tmp_path: Path):
    hub.add("models/nobody/m", {"a.txt": b"1"})
    hub.faults = Faults(fail=True)
    told = client(hub, tmp_path, "told = [kind_of(api.list_repo_refs, 'nobody/m') for _ in 'abc']")
    assert told == ["HfHubHTTPError", None, None]
    assert [each.status for each in hub.seen if "/refs" in each.path] == [500, 200, 200]


def test_a_cut_upload_is_cut_within_its_body_and_the_client_tries_again(hub: Hub, tmp_path: Path):
    hub.add("models/nobody/m", {"a.txt": b"1"})
    hub.faults = Faults(cut_uploads=True, only="/large/", times=2)
    code = "api.upload_file(path_or_fileobj=bytes(512_000), path_in_repo='a.bin', repo_id='nobody/m'); told = 1"
    client(hub, tmp_path, code)
    puts = [each for each in hub.seen if each.method == "PUT"]
    assert [each.status for each in puts] == [0, 0, 200]
    assert all(0 <= each.received < 512_000 for each in puts[:2])
    assert puts[2].received == 512_000


def test_a_cut_download_is_taken_up_where_it_was(hub: Hub, tmp_path: Path):
    """The client keeps whole pieces of 10 MB."""
    hub.add("models/nobody/m", {"a.bin": BLOB * 40})
    hub.faults = Faults(cut_downloads=True, only="/large/", chance=random.Random(0))
    code = "told = Path(hf_hub_download('nobody/m', 'a.bin')).read_bytes() == bytes(range(256)) * 80_000"
    assert client(hub, tmp_path, code) is True
    assert [each.status for each in hub.seen if each.method == "GET" and "/large/" in each.path] == [200, 206]


def test_a_lost_answer_is_of_a_request_that_was_done(hub: Hub, tmp_path: Path):
    hub.add("models/nobody/m", {"a.txt": b"1"})
    hub.faults = Faults(lose_answers=True, only="/branch/")
    told = client(hub, tmp_path, "told = [kind_of(api.create_branch, 'nobody/m', branch='b') for _ in 'ab']")
    assert told == ["RemoteProtocolError", "HfHubHTTPError"]  # the second: it is there
    assert "b" in hub.repositories["models/nobody/m"].refs


def test_a_slow_body_comes_whole_unless_the_client_loses_patience(hub: Hub, tmp_path: Path):
    hub.add("models/nobody/m", {"a.bin": BLOB})
    hub.faults = Faults(pause=0.05, only="/large/")
    code = "told = len(Path(hf_hub_download('nobody/m', 'a.bin')).read_bytes())"
    assert client(hub, tmp_path, code) == len(BLOB)
