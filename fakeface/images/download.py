"""Download one picture from an https address that somebody else wrote down.

The danger is a request forged through us: an address that leads, at once or by a redirect or by a changing DNS answer,
to a machine only we can reach. So every hop is checked after its name is resolved, and the connection is made to
the address that was checked, never to a second look-up of the name. Proxies from the environment are not used.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from .decode import PictureError

_REDIRECTS = {301, 302, 303, 307, 308}
_MAX_REDIRECTS = 5
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address


def is_public(address: str) -> bool:
    """Whether a numeric IP address belongs to the public internet, and so does an IPv4 address inside it."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.sixtofour or ip.teredo:  # tunnels of the 2000s; who needs one has another address too
            return False
        inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else ip.ipv4_mapped
        if inner:
            return is_public(str(inner))
        if ip.is_site_local:
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def fetch(
    url: str,
    *,
    max_bytes: int,
    seconds: float,
    name: str | None = None,
    allow: Callable[[str], bool] = is_public,
    context: ssl.SSLContext | None = None,
) -> bytes:
    """Download `url`.

    Args:
        url: https only, at every redirect (at most 5).
        max_bytes: of the body.
        seconds: of wall-clock time for everything but the resolver, which has its own limit.
        name: what to call the picture in errors; `short_name(url)` by default.
        allow: which numeric addresses may be connected to. All that a name resolves to must be allowed.
        context: the TLS settings; the system's certificates by default.

    Raises:
        PictureError: with reason `refused-address`, `unreachable`, `too-many-bytes` or `timeout`.
    """
    deadline = time.monotonic() + seconds
    context = context or ssl.create_default_context()
    name = name or short_name(url)
    for _ in range(_MAX_REDIRECTS + 1):
        parts = _checked(url, name)
        with _Connection(parts, _resolve(parts, name, allow), context) as connection:
            reply = connection.reply(deadline, max_bytes, name)
        if isinstance(reply, bytes):
            return reply
        url = urljoin(url, reply)
    raise PictureError(name, "unreachable", f"more than {_MAX_REDIRECTS} redirects; give the final address")


def short_name(url: str) -> str:
    """The address without user, query and fragment: those may hold secrets, and names go to logs."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    except ValueError:
        return "address"


def _checked(url: str, name: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise PictureError(name, "refused-address", f"not a valid address ({error})") from None
    if parts.scheme != "https" or not host or port == 0:
        problem = f"leads to {short_name(url)!r}; only https:// addresses are fetched: download the picture yourself"
        raise PictureError(name, "refused-address", problem)
    return parts


def _resolve(parts: SplitResult, name: str, allow: Callable[[str], bool]) -> list[str]:
    """The numeric addresses of the host, all of them allowed."""
    assert parts.hostname is not None
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise PictureError(name, "unreachable", f"no host named {parts.hostname!r}; check the address") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not all(allow(address) for address in addresses):
        problem = f"{parts.hostname!r} is not on the public internet; download the picture yourself"
        raise PictureError(name, "refused-address", problem)
    return addresses


class _Connection:
    """One request to addresses that were checked, the certificate still checked against the host's name."""

    def __init__(self, parts: SplitResult, addresses: list[str], context: ssl.SSLContext) -> None:
        self._parts = parts
        self._addresses = addresses
        self._context = context
        self._sock: socket.socket | None = None  # the HTTP connection forgets its own once the headers are read
        self._late = False
        self._http = http.client.HTTPSConnection(str(parts.hostname), parts.port, context=context)

    def __enter__(self) -> _Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        if self._sock is not None:
            self._sock.close()

    def reply(self, deadline: float, max_bytes: int, name: str) -> bytes | str:
        """The body, or where a redirect leads. The timer cuts the line: socket timeouts begin anew with every byte."""
        timer = threading.Timer(max(deadline - time.monotonic(), 0), self._cut)
        try:
            self._connect(deadline)
            timer.start()
            self._handshake()
            return self._exchange(max_bytes, name)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if isinstance(error, PictureError):
                raise
            if self._late or time.monotonic() >= deadline:
                raise PictureError(name, "timeout", "the server is too slow; download the picture yourself") from None
            raise PictureError(name, "unreachable", f"the download failed ({error})") from None
        finally:
            timer.cancel()

    def _connect(self, deadline: float) -> None:
        for i, address in enumerate(self._addresses):
            try:
                left = max(deadline - time.monotonic(), 0.01)
                self._sock = socket.create_connection((address, self._parts.port or 443), timeout=left)
                return
            except OSError:
                if i == len(self._addresses) - 1:
                    raise

    def _handshake(self) -> None:
        assert self._sock is not None
        # In two steps, so that the timer has a socket to cut while a server dawdles over its handshake.
        secure = self._context.wrap_socket(
            self._sock, server_hostname=self._parts.hostname, do_handshake_on_connect=False
        )
        self._sock = self._http.sock = secure
        secure.do_handshake()

    def _exchange(self, max_bytes: int, name: str) -> bytes | str:
        query = f"?{self._parts.query}" if self._parts.query else ""
        target = quote((self._parts.path or "/") + query, safe="!#$%&'()*+,/:;=?@[]~")
        self._http.request("GET", target, headers={"User-Agent": "fakeface", "Accept": "image/*"})
        with self._http.getresponse() as response:
            if response.status in _REDIRECTS:
                return response.headers.get("Location", "")
            if response.status != 200:
                raise PictureError(name, "unreachable", f"the server answers {response.status}; check the address")
            return self._body(response, max_bytes, name)

    def _body(self, response: http.client.HTTPResponse, max_bytes: int, name: str) -> bytes:
        body = bytearray()
        promised = response.length or 0
        if promised <= max_bytes:
            while len(body) <= max_bytes and (chunk := response.read1(65_536)):
                body += chunk
        if max(len(body), promised) > max_bytes:
            raise PictureError(name, "too-many-bytes", f"more than {max_bytes} bytes; scale the picture down")
        if self._late or response.length:
            raise OSError("it broke off")
        return bytes(body)

    def _cut(self) -> None:
        self._late = True
        if self._sock is not None:
            with contextlib.suppress(OSError):  # closed in this very moment
                socket.socket.shutdown(self._sock, socket.SHUT_RDWR)  # SSLSocket's drops state that is being read from
