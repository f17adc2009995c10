"""Downloads: against a real TLS server on loopback, which only an injected predicate makes reachable."""

import http.server
import socket
import ssl
import threading
import time

import pytest
import trustme

from fakeface.images.decode import PictureError
from fakeface.images.download import fetch, is_public, short_name

BODY = b"\xff\xd8\xff" + bytes(range(256)) * 40


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a handler may be dripping
    stopping = threading.Event()

    def handle_error(self, request, client_address):
        pass  # the tests hang up in the middle of replies


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by path; see the tests."""

    server: Server

    def do_GET(self):
        port = self.server.server_address[1]
        if self.path.startswith("/to?"):
            self.answer(302, b"", Location=self.path[4:])
        elif self.path == "/loop":
            self.answer(302, b"", Location="/loop")
        elif self.path == "/private":
            self.answer(302, b"", Location=f"https://127.0.0.2:{port}/picture")
        elif self.path == "/lie":
            self.answer(200, BODY, **{"Content-Length": str(len(BODY) + 1)})
        elif self.path == "/endless":
            self.answer(200, None)
            while not self.server.stopping.is_set():
                self.wfile.write(bytes(65_536))
        elif self.path == "/drip":
            self.answer(200, None)
            while not self.server.stopping.wait(0.05):
                self.wfile.write(b"x")
        elif self.path == "/drip-headers":
            while not self.server.stopping.wait(0.05):
                self.wfile.write(b"H")
        elif self.path.startswith("/picture"):
            self.answer(200, BODY)
        else:
            self.answer(404, b"")

    def answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if body is not None and "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format, *args):
        pass


@pytest.fixture(scope="module")
def site():
    """(base address, client TLS context) of a server whose certificate names localhost and pinned.example."""
    authority = trustme.CA()
    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "pinned.example").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    client = ssl.create_default_context()
    authority.configure_trust(client)
    yield f"https://localhost:{server.server_address[1]}", client
    server.stopping.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def get(site):
    """Fetch a path of the server, loopback allowed but for 127.0.0.2."""
    base, context = site

    def get(path, **options):
        options = {"max_bytes": 100_000, "seconds": 10, "allow": lambda a: a != "127.0.0.2"} | options
        return fetch(path if "://" in path else base + path, context=context, **options)

    return get


def reason(get, path, **options):
    with pytest.raises(PictureError) as refusal:
        get(path, **options)
    return refusal.value.reason


@pytest.mark.parametrize("path", ["/picture", "/picture?a=b c&d=ü", "/to?/picture", "/to?/to?/picture"])
def test_a_picture_is_downloaded(get, path):
    assert get(path) == BODY


def test_loopback_is_refused_without_the_predicate(site):
    base, context = site
    with pytest.raises(PictureError, match="'localhost' is not on the public internet") as refusal:
        fetch(base + "/picture", max_bytes=100_000, seconds=10, context=context)
    assert refusal.value.reason == "refused-address"


@pytest.mark.parametrize("path", ["/private", "/to?http://localhost/picture", "/to?file:///etc/passwd", "/to?https://"])
def test_every_redirect_is_checked(get, path):
    assert reason(get, path) == "refused-address"


def test_redirects_end(get):
    assert reason(get, "/loop") == "unreachable"


@pytest.mark.parametrize("path", ["/picture", "/endless"])
def test_bodies_over_the_limit_are_refused(get, path):
    assert reason(get, path, max_bytes=len(BODY) - 1) == "too-many-bytes"


@pytest.mark.parametrize("path", ["/drip", "/drip-headers"])
def test_slow_servers_are_cut_off(get, path):
    assert reason(get, path, seconds=0.5) == "timeout"


def test_a_server_that_never_speaks_tls_is_cut_off(get):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert reason(get, f"https://localhost:{silent.getsockname()[1]}/picture", seconds=0.3) == "timeout"


@pytest.mark.parametrize("path", ["/gone", "/lie", "https://localhost:1/picture"])
def test_failed_downloads(get, path):
    assert reason(get, path) == "unreachable"


def test_an_unknown_certificate_is_refused(site):
    with pytest.raises(PictureError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch(site[0] + "/picture", max_bytes=100_000, seconds=10, allow=lambda _: True)


def answers(*addresses):
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]


def test_the_connection_goes_to_the_address_that_was_checked(get, site, monkeypatch):
    """Given a name server that answers differently the second time, when fetched, then the first answer counts."""
    real, asked = socket.getaddrinfo, []

    def rebinding(host, *rest, **options):
        if host != "pinned.example":
            return real(host, *rest, **options)
        asked.append(host)
        return answers("127.0.0.1" if len(asked) == 1 else "127.0.0.2")

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    port = site[0].rpartition(":")[2]
    assert get(f"https://pinned.example:{port}/picture") == BODY
    assert len(asked) == 1


def test_a_name_with_one_private_address_is_refused(get, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers("93.184.215.14", "10.0.0.1"))
    assert reason(get, "https://mixed.example/picture", allow=is_public) == "refused-address"


@pytest.mark.parametrize(
    "url", ["https://", "https://[::1/", "https://host:99999/", "gopher://host/", "https:///a.jpg"]
)
def test_malformed_addresses(get, url):
    assert reason(get, url) == "refused-address"


NOT_PUBLIC = """
127.0.0.1 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 240.0.0.1 255.255.255.255
192.0.2.1 ::1 :: fe80::1 fe80::1%eth0 fc00::1 fec0::1 ff02::1 2001:db8::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1
::127.0.0.1 64:ff9b::7f00:1 2002:7f00:1:: 2001:0:7f00:1::
"""


@pytest.mark.parametrize("address", NOT_PUBLIC.split())
def test_addresses_that_are_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "2606:2800:21f:cb07::1", "::ffff:93.184.215.14", "64:ff9b::5db8:d70e"]
)
def test_public_addresses(address):
    assert is_public(address)


def test_names_hold_no_secrets():
    assert short_name("https://user:word@host:8443/a.jpg?token=1#x") == "https://host:8443/a.jpg"


def test_no_thread_is_left_waiting(get):
    get("/picture", seconds=300)
    deadline = time.monotonic() + 5
    while any(isinstance(thread, threading.Timer) for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
