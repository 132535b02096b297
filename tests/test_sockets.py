"""The list of open addresses sees what is open."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

from tests.sockets import is_loopback, list_open_addresses, watch_listening


def test_listeners_of_other_processes_are_seen_from_time_to_time() -> None:
    program = "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); print(flush=True); sys.stdin.read()"
    with watch_listening(os.getpid(), every_s=0.01) as seen:
        child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"\n"
        deadline = time.monotonic() + 240
        while not any(address.startswith(f"{child.pid} 127.0.0.1:") for address in list(seen)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        child.communicate()
    assert all(is_loopback(address) for address in seen if address.startswith(f"{child.pid} "))


def test_open_sockets_are_listed_with_their_addresses() -> None:
    before = set(list_open_addresses(os.getpid()))
    with (
        socket.create_server(("127.0.0.1", 0)) as near,
        socket.create_server(("0.0.0.0", 0)) as far,
        socket.create_server(("::", 0), family=socket.AF_INET6) as far6,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.bind(("0.0.0.0", 0))
        found = set(list_open_addresses(os.getpid())) - before
        ports = [each.getsockname()[1] for each in (near, far, far6, datagrams)]
    addresses = ["127.0.0.1", "0.0.0.0", "[::]", "0.0.0.0"]
    assert found == {f"{os.getpid()} {address}:{port}" for address, port in zip(addresses, ports, strict=True)}
    assert {each for each in found if is_loopback(each)} == {f"{os.getpid()} 127.0.0.1:{ports[0]}"}
