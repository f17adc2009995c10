"""The guard against the network must itself hold, or the other tests' silence would mean nothing."""

import socket

import pytest

# Reserved for documentation (RFC 5737): no machine answers there, should the guard fail.
ELSEWHERE = ("192.0.2.1", 80)


def test_a_look_up_of_another_machine_is_refused_and_remembered(no_network: list[str]):
    with pytest.raises(ConnectionRefusedError, match=r"192\.0\.2\.1"):
        socket.create_connection(ELSEWHERE, timeout=1)
    assert no_network == ["socket.getaddrinfo 192.0.2.1"]
    no_network.clear()


def test_a_connection_to_another_machine_is_refused_and_remembered(no_network: list[str]):
    with socket.socket() as client, pytest.raises(ConnectionRefusedError, match=r"192\.0\.2\.1"):
        client.connect(ELSEWHERE)
    assert no_network == ["socket.connect 192.0.2.1"]
    no_network.clear()


def test_a_loopback_connection_passes(no_network: list[str]):
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(("localhost", server.getsockname()[1]), timeout=5) as client,
    ):
        assert client.getpeername()[0] == "127.0.0.1"
    assert no_network == []
