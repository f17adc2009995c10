"""Reads the Content Credentials of one file; a program of its own, which `credentials.check` runs.

Bytes from anyone meet native code here. What they break is this process, which has little memory, little time, and no
more to say than a line of JSON. Its file is run, and not the module by its name, so that nothing of the folder in which
somebody works is imported.
"""

import io
import json
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

LARGEST_MEMORY = 2 * 2**30  # bytes of address space; the library alone takes some 200 MB of it
# Failure codes of C2PA 2.1, 15.2.2, that mean that something is not what was signed; those of time stamps say less.
_CHANGED = ".mismatch"


def settings(trust_list: str) -> dict[str, Any]:
    """Settings of the SDK (contentauth/c2pa-rs, docs/settings.md) by which it asks no other machine."""
    return {
        "core": {
            "allowed_network_hosts": [],
            "decode_identity_assertions": False,  # may ask web servers for identities
            "max_decompressed_manifest_size_in_mb": 16,
        },
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
        "trust": {"trust_anchors": trust_list} if trust_list else {},
    }


def read(data: bytes, kind: str, trust_list: str = "") -> dict[str, Any]:
    """What the credentials of a file say, and whether that holds.

    Args:
        data: the file.
        kind: its MIME type; empty to go by its bytes.
        trust_list: certificates in PEM of those who are trusted.

    Returns:
        `state`, `signer`, `tool`, `date` and `problem`, as `credentials.Credentials` has them.
    """
    import c2pa

    with c2pa.Context.from_dict(settings(trust_list)) as context:
        try:
            with c2pa.Reader(kind or None, io.BytesIO(data), context=context) as reader:
                report = json.loads(reader.json())
        except c2pa.C2paError as error:
            return {"state": "invalid", "problem": str(error)}
    manifest = report["manifests"][report["active_manifest"]]
    failures = report["validation_results"]["activeManifest"].get("failure", [])
    codes = [failure["code"] for failure in failures if failure["code"] != "signingCredential.untrusted"]
    changed = any(code.endswith(_CHANGED) and not code.startswith("timeStamp") for code in codes)
    states = {"Trusted": "trusted", "Valid": "untrusted"}
    signature = manifest.get("signature_info") or {}
    return {
        "state": "tampered" if changed else states.get(report["validation_state"], "invalid"),
        "signer": signature.get("issuer") or signature.get("common_name") or "",
        "tool": _tool(manifest),
        "date": signature.get("time") or _when(manifest),
        "problem": ", ".join(dict.fromkeys(codes)),
    }


def _tool(manifest: dict[str, Any]) -> str:
    """Name and version of the claim generator; one text in the first version of claims."""
    for tool in manifest.get("claim_generator_info") or []:
        return " ".join(filter(None, (tool.get("name"), tool.get("version"))))
    return manifest.get("claim_generator") or ""


def _when(manifest: dict[str, Any]) -> str:
    """The last date that the signer gives for what was done; without a time stamp nobody else vouches for it."""
    actions = [
        action
        for assertion in manifest.get("assertions", [])
        if assertion.get("label", "").startswith("c2pa.actions")
        for action in assertion["data"].get("actions", [])
    ]
    return max((action.get("when") or "" for action in actions), default="")


def _limit_memory() -> None:
    with suppress(ImportError, ValueError, OSError):  # Windows has no such limits, and a machine may have lower ones
        resource = import_module("resource")
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (LARGEST_MEMORY, LARGEST_MEMORY))


def main() -> None:
    """Read a file from standard input; its kind and the path of a trust list, or nothing, are the arguments."""
    kind, path = sys.argv[1:]
    trust_list = ""
    if path:
        with open(path, encoding="utf-8") as file:
            trust_list = file.read()
    data = sys.stdin.buffer.read()
    _limit_memory()
    print(json.dumps(read(data, kind, trust_list)))


if __name__ == "__main__":
    del sys.path[0]  # the folder of this file, whose modules are no top-level ones
    main()
