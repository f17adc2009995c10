"""Content Credentials (C2PA): who signed a file, with what, when, and whether it is still as it was signed.

Signatures are checked where the package `c2pa-python` is installed, in a process of its own with little memory and
time, and without asking any other machine: manifests that lie elsewhere are not fetched, nor is it asked whether a
certificate was revoked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from ..utils.text import one_line

SECONDS = 15.0  # a file of 20 MB takes a fraction of one
LONGEST_TEXT = 120  # letters of what a signer says
TRUST_LIST = "FAKEFACE_TRUST_LIST"  # the variable that names one

_CHILD = Path(__file__).with_name("credentials_child.py")
_KINDS = {name: f"image/{name.lower()}" for name in ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF")}
HOW_TO_CHECK = (
    'here that takes the package c2pa-python (pip install "fakeface[provenance]"), elsewhere a verifier such as '
    "contentcredentials.org/verify"
)
NO_TRUST_LIST = f"there is no trust list here to look them up in ({TRUST_LIST} names one)"
NOT_ON_IT = "they are not on the trust list"
# Failure codes of C2PA 2.1, 15.2.2, in plain words.
_PROBLEMS = {
    "signingCredential.expired": "the certificate had expired",
    "signingCredential.invalid": "the certificate is not one that may sign them",
    "signingCredential.revoked": "the certificate was revoked",
    "claimSignature.missing": "there is no signature",
    "claimSignature.outsideValidity": "the certificate was not valid when they were signed",
}


@dataclass(frozen=True)
class Credentials:
    """What is known of a file's Content Credentials.

    Attributes:
        state: `"trusted"`, signed by somebody on the trust list, and as it was signed; `"untrusted"`, as it was signed,
            by somebody who is not on it; `"tampered"`, changed since; `"invalid"` for another reason; `"unchecked"`;
            `"elsewhere"`, at an address that the file names and that was not asked.
        signer: organisation, or else name, in the certificate that signed. Anyone can write any name into a certificate
            of their own: only of a `trusted` one does somebody vouch for it.
        tool: name and version of the program that wrote the credentials.
        date: of the signature, where it has a time stamp, else the last that the signer gives; ISO 8601, as it stands.
        problem: why they are not `trusted`.
    """

    state: str
    signer: str = ""
    tool: str = ""
    date: str = ""
    problem: str = ""

    @property
    def told(self) -> str:
        """The state in plain words."""
        signer = f"“{self.signer}”" if self.signer else "somebody without a name"
        return {
            "trusted": f"valid: signed by {signer}, who is on the trust list, and unchanged since",
            "untrusted": f"unchanged since they were signed, but by somebody unknown, who gives the name {signer}: "
            f"{self.problem}",
            "tampered": f"tampered with: file or credentials were changed after {signer} signed",
            "invalid": f"not valid: {self.problem}",
            "unchecked": f"they are there, but were not checked: {self.problem}",
            "elsewhere": f"said to lie at another address, which was not asked: {self.problem}",
        }[self.state]


def check(data: bytes, format_: str, trust_list: str | os.PathLike[str] | None = None) -> Credentials:
    """Check the Content Credentials in a file.

    Args:
        data: the file, which is untrusted.
        format_: what `file_parts.file_format` says of it.
        trust_list: a file of certificates in PEM, such as that of the C2PA (c2pa-org/conformance-public on GitHub);
            by default that of the environment variable `FAKEFACE_TRUST_LIST`.

    Returns:
        What was found, `unchecked` where it could not be. Whatever is in the file, nothing is raised.
    """
    if find_spec("c2pa") is None:
        return Credentials("unchecked", problem=HOW_TO_CHECK)
    trust_list = os.fspath(trust_list or os.environ.get(TRUST_LIST, ""))
    if trust_list and not os.path.isfile(trust_list):
        return Credentials("unchecked", problem=f"{TRUST_LIST} is {trust_list!r}, and no such file is there")
    command = [sys.executable, str(_CHILD), _KINDS.get(format_, ""), trust_list]
    try:
        done = subprocess.run(
            command, input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=SECONDS, check=True
        )
        found = Credentials(**{key: one_line(text, LONGEST_TEXT) for key, text in json.loads(done.stdout).items()})
    except subprocess.TimeoutExpired:
        return Credentials("unchecked", problem=f"that took longer than {SECONDS:g} seconds")
    except (OSError, subprocess.CalledProcessError, ValueError, TypeError, AttributeError):  # or it said nonsense
        return Credentials("unchecked", problem="the check itself failed, at this file or for want of memory")
    if found.state == "untrusted":
        return replace(found, problem=NOT_ON_IT if trust_list else NO_TRUST_LIST)
    if found.state == "invalid":
        return replace(found, problem=_PROBLEMS.get(found.problem, found.problem or "no reason is given"))
    return found


__all__ = ["Credentials", "check"]
