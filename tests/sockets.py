"""Which addresses a process and its descendants listen on, from /proc."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path

_LISTENS = "0A"  # state of a TCP socket
_UNCONNECTED = "07"  # state of a UDP socket that takes from everybody


def list_open_addresses(root: int) -> list[str]:
    """List "process address:port" of the sockets on which process `root` or a descendant takes data from others."""
    tables = {"tcp", "tcp6", "udp", "udp6"}
    return sorted({address for pid in list_descendants(root) for address in _list_addresses(pid, tables)})


@contextmanager
def watch_listening(root: int, *, every_s: float) -> Iterator[set[str]]:
    """Yield a set that fills with the addresses on which processes below `root` listen, as seen from time to time.

    Torchrun's own meeting point is left out: it listens on all interfaces, whatever it is told.

    Args:
        root: the process whose descendants are watched; its own sockets are not.
        every_s: seconds from one look to the next.
    """
    seen: set[str] = set()
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(every_s):
            for pid in list_descendants(root)[1:]:
                with suppress(OSError):
                    words = (Path("/proc") / str(pid) / "cmdline").read_bytes().split(b"\0")
                    if b"torch.distributed.run" not in words:
                        seen.update(f"{address} {words}" for address in _list_addresses(pid, {"tcp", "tcp6"}))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()


def is_loopback(address: str) -> bool:
    """Return whether an address of `list_open_addresses` is reached from this machine alone."""
    parsed = ip_address(address.split()[1].rpartition(":")[0].strip("[]"))
    return parsed.is_loopback or bool(getattr(parsed, "ipv4_mapped", None) and parsed.ipv4_mapped.is_loopback)


def list_descendants(root: int) -> list[int]:
    """List `root` and all processes below it, parents first."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    tree = [root]
    while more := [pid for pid, parent in parents.items() if parent in tree and pid not in tree]:
        tree += sorted(more)
    return tree


def _list_addresses(pid: int, tables: Set[str]) -> Iterator[str]:
    if not (inodes := _list_socket_inodes(pid)):
        return
    for table in tables:
        with suppress(OSError):
            for line in (Path("/proc") / str(pid) / "net" / table).read_text().splitlines()[1:]:
                words = line.split()
                if words[9] in inodes and words[3] == (_LISTENS if table.startswith("tcp") else _UNCONNECTED):
                    yield f"{pid} {_decode_address(words[1])}"


def _list_socket_inodes(pid: int) -> set[str]:
    inodes = set()
    with suppress(OSError):
        for file in (Path("/proc") / str(pid) / "fd").iterdir():
            with suppress(OSError):
                target = os.readlink(file)
                if target.startswith("socket:["):
                    inodes.add(target[8:-1])
    return inodes


def _decode_address(text: str) -> str:
    """Turn the kernel's words of the machine's byte order into an address: 0100007F:1F90 -> 127.0.0.1:8080."""
    address, port = text.split(":")
    raw = b"".join(bytes.fromhex(address[i : i + 8])[::-1] for i in range(0, len(address), 8))
    family = socket.AF_INET if len(raw) == 4 else socket.AF_INET6
    shown = socket.inet_ntop(family, raw)
    return f"{shown if family == socket.AF_INET else f'[{shown}]'}:{int(port, 16)}"
