"""Content Credentials as they are checked: signed here, changed, with a signer who is known or is not, and hostile."""

import io
import json
import os
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hostile import chunk, encode

pytest.importorskip("c2pa")

import c2pa
from signed import MANIFEST, sign, signer

from fakeface import read_provenance
from fakeface.images import credentials
from fakeface.images.credentials import NO_TRUST_LIST, NOT_ON_IT, Credentials, check
from fakeface.images.provenance import Claim

CAMERA = {"signer": "Example Camera Works", "tool": "Test Camera 1.0", "date": "2026-11-01T12:00:00Z"}


@pytest.fixture(autouse=True)
def no_trust_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAKEFACE_TRUST_LIST", raising=False)


@pytest.fixture
def trust_list(tmp_path: Path) -> Path:
    """Of the signer by default."""
    path = tmp_path / "trusted.pem"
    path.write_bytes(signer().authority)
    return path


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_a_signature_is_valid_by_whom_the_trust_list_has_and_of_somebody_unknown_else(format_: str, trust_list: Path):
    file = sign(format_)
    assert check(file, format_, trust_list) == Credentials("trusted", **CAMERA)
    stranger = sign(format_, signer("Somebody Else"))
    given = {**CAMERA, "signer": "Somebody Else"}
    assert check(stranger, format_, trust_list) == Credentials("untrusted", **given, problem=NOT_ON_IT)
    assert check(stranger, format_) == Credentials("untrusted", **given, problem=NO_TRUST_LIST)


def test_the_trust_list_of_the_environment_counts(trust_list: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FAKEFACE_TRUST_LIST", str(trust_list))
    found = read_provenance(sign())
    assert found.credentials == Credentials("trusted", **CAMERA)
    assert [line.value for line in found.lines() if line.name.endswith("the credentials")][:3] == list(CAMERA.values())
    assert found.notes()[0] == (
        "Content Credentials: valid: signed by “Example Camera Works”, who is on the trust list, and unchanged since."
    )
    trust_list.unlink()
    gone = check(sign(), "JPEG")
    assert gone.state == "unchecked"
    assert gone.problem == f"FAKEFACE_TRUST_LIST is {str(trust_list)!r}, and no such file is there"


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_a_pixel_or_a_claim_that_was_changed_is_tampering(format_: str, trust_list: Path):
    file = sign(format_)
    if format_ == "PNG":  # a chunk more: what is changed in one breaks its checksum first
        pixel = file[:-12] + chunk(b"tEXt", b"Title\0other") + file[-12:]
    else:
        pixel = bytearray(file)
        pixel[file.rfind(encode(format_)[-60:]) + 20] ^= 1
    for changed in (bytes(pixel), file.replace(b"Test Camera", b"Best Camera")):
        assert changed != file
        found = check(changed, format_, trust_list)
        assert found.state == "tampered"
        assert found.told == ("tampered with: file or credentials were changed after “Example Camera Works” signed")


def test_a_certificate_that_is_over_is_no_signature(tmp_path: Path):
    by = signer("Example Camera Works", seconds=2)
    (tmp_path / "trusted.pem").write_bytes(by.authority)
    file = sign(by=by)
    time.sleep(3.1)  # it is told by whole seconds
    found = check(file, "JPEG", tmp_path / "trusted.pem")
    assert (found.state, found.told) == ("invalid", "not valid: the certificate had expired")


def test_credentials_without_a_signature_are_not_valid():
    description = struct.pack(">I", 33) + b"jumdc2pa" + bytes(12) + b"\x03c2pa\0\0\0\0\0"
    store = struct.pack(">I", 8 + len(description)) + b"jumb" + description
    file = encode("PNG")
    found = read_provenance(file[:33] + chunk(b"caBX", store) + file[33:]).credentials
    assert found is not None
    assert found.state == "invalid"
    assert not found.signer


def test_a_file_without_credentials_is_not_checked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(subprocess, "run", pytest.fail)
    assert read_provenance(encode("JPEG")).credentials is None


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """An address for manifests, and what was asked there."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/manifest.c2pa", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_manifest_that_lies_elsewhere_is_not_fetched(elsewhere: tuple[str, list[str]]):
    address, asked = elsewhere
    file = sign(address=address)
    found = read_provenance(file)
    assert found.credentials == Credentials("elsewhere", problem=address)
    assert not found.content_credentials
    assert found.notes()[0] == (f"Content Credentials: said to lie at another address, which was not asked: {address}.")
    assert check(file, "JPEG").state == "invalid"  # were it asked for nevertheless
    assert asked == []
    # The SDK by itself would have
    with pytest.raises(c2pa.C2paError):
        c2pa.Reader("image/jpeg", io.BytesIO(file))
    assert asked == ["/manifest.c2pa"]


def test_without_the_package_an_honest_sentence_says_so(monkeypatch: pytest.MonkeyPatch):
    file = sign()
    monkeypatch.setitem(sys.modules, "c2pa", None)
    monkeypatch.setattr(subprocess, "run", pytest.fail)
    found = read_provenance(file)
    assert found.content_credentials
    assert Claim("named in the credentials", "Test Camera") in found.claims
    assert found.notes()[0] == (
        "Content Credentials: they are there, but were not checked: here that takes the package c2pa-python "
        '(pip install "fakeface[provenance]"), elsewhere a verifier such as contentcredentials.org/verify.'
    )
    assert found.to_dict()["credentials"]["state"] == "unchecked"


@pytest.mark.parametrize(
    "program", ["import os; os.abort()", "print('no JSON')", "print('[]')", "raise MemoryError", "print('{}')"]
)
def test_a_check_that_crashes_takes_nothing_with_it(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "child.py").write_text(program)
    monkeypatch.setattr(credentials, "_CHILD", tmp_path / "child.py")
    found = check(sign(), "JPEG")
    assert found == Credentials("unchecked", problem="the check itself failed, at this file or for want of memory")


def test_a_check_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "child.py").write_text("import time; time.sleep(60)")
    monkeypatch.setattr(credentials, "_CHILD", tmp_path / "child.py")
    monkeypatch.setattr(credentials, "SECONDS", 0.5)
    assert check(sign(), "JPEG") == Credentials("unchecked", problem="that took longer than 0.5 seconds")


def test_nothing_of_the_folder_in_which_somebody_works_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("c2pa", "json", "resource"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    assert check(sign(), "JPEG").state == "untrusted"


def test_what_a_signer_says_is_one_line_and_not_long():
    tool = {"claim_generator_info": [{"name": "a\x1b[2J\nb" + "x" * 5000}]}
    found = check(sign(manifest={**MANIFEST, **tool}), "JPEG")
    assert found.tool.startswith("a [2J bxxx")
    assert len(found.tool) == 120


def hostile(file: bytes) -> Iterator[bytes]:
    """Files with credentials of which lengths, boxes or CBOR lie."""
    at = file.find(b"jumb")
    for length in (0, 1, 7, 0x7FFFFFFF, 0xFFFFFFFF):
        yield file[: at - 4] + struct.pack(">I", length) + file[at:]
    yield file[: at + 200]
    claim = file.find(b"claim_generator")
    yield file[:claim] + b"\x9b" + b"\xff" * 8 + file[claim + 9 :]  # an array of 2^64 items
    yield file[:claim] + b"\x81" * 4000 + file[claim:]  # arrays within arrays
    store = b"jumb" + struct.pack(">I", 30) + b"jumdc2pa" + bytes(12) + b"\x03c2pa\0"
    yield encode("PNG")[:33] + chunk(b"caBX", struct.pack(">I", 38) + store) + encode("PNG")[33:]
    nested = b""
    for _ in range(5000):
        nested = struct.pack(">I", len(nested) + 8) + b"jumb" + nested
    yield encode("PNG")[:33] + chunk(b"caBX", nested + b"c2pa") + encode("PNG")[33:]
    yield encode("PNG")[:33] + chunk(b"caBX", b"c2pajumb" + zlib.compress(bytes(10**7))) + encode("PNG")[33:]


def test_hostile_credentials_raise_nothing_and_are_not_trusted(trust_list: Path):
    for number, file in enumerate(hostile(sign(by=signer("Somebody Else")))):
        found = read_provenance(file)
        assert found.credentials is None or found.credentials.state != "trusted", number
        json.dumps([found.to_dict(), found.notes()])


def test_the_check_has_little_memory():
    pytest.importorskip("resource")
    code = "from fakeface.images import credentials_child as child; child._limit_memory(); bytearray(3 * 2**30)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stderr.rstrip().endswith("MemoryError")
