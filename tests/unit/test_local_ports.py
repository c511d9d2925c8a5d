"""Ports stay the same while they can, and never collide."""

from __future__ import annotations

import socket

from hub.local import ports


def listener() -> socket.socket:
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
    server.bind((ports.LOOPBACK, ports.assign(["x"], {})["x"]))
    server.listen()
    return server


def test_each_name_gets_a_free_port_below_the_outgoing_range() -> None:
    assigned = ports.assign(["a", "b", "c"], {})
    assert len(set(assigned.values())) == 3
    assert all(ports.FIRST_PORT <= port <= ports.LAST_PORT for port in assigned.values())


def test_a_known_port_is_kept_and_so_are_the_others() -> None:
    first = ports.assign(["a", "b"], {})
    assert ports.assign(["a"], first) == first


def test_a_port_that_was_taken_meanwhile_is_replaced() -> None:
    with listener() as server:
        taken = server.getsockname()[1]
        assert not ports.is_free(taken)
        assert ports.assign(["a"], {"a": taken})["a"] != taken


def test_two_names_never_share_a_port() -> None:
    port = ports.assign(["a"], {})["a"]
    assert ports.assign(["b"], {"a": port, "b": port})["b"] != port


def test_connections_that_still_time_out_do_not_take_a_port() -> None:
    with listener() as server:
        port = server.getsockname()[1]
        client = socket.create_connection((ports.LOOPBACK, port))
        served, _ = server.accept()
        served.close()  # the side that closes first is left in TIME_WAIT
        client.close()
    assert ports.is_free(port)


def test_accepts_tells_whether_something_listens() -> None:
    with listener() as server:
        port = server.getsockname()[1]
        assert ports.accepts(port)
    assert not ports.accepts(port)
