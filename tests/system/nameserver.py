"""A DNS server for a few names, on port 53: of a loopback address that nobody else uses, unless it is told another."""

import random
import socket
import struct
import threading


class Nameserver:
    """Answers A queries for `names`, and that nothing else exists. Binding port 53 takes root."""

    def __init__(self, names: dict[str, str], address: str | None = None):
        self.asked: list[str] = []
        self._names = names
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.address = address or f"127.53.{random.randrange(1, 255)}.{random.randrange(1, 255)}"
        self._socket.bind((self.address, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                query, sender = self._socket.recvfrom(4096)
            except OSError:
                return
            self._socket.sendto(self._answer(query), sender)

    def _answer(self, query: bytes) -> bytes:
        labels, at = [], 12
        while length := query[at]:
            labels.append(query[at + 1 : at + 1 + length].decode())
            at += 1 + length
        question = query[12 : at + 5]
        [kind] = struct.unpack("!H", query[at + 1 : at + 3])
        name = ".".join(labels).lower()
        self.asked.append(name)
        address = self._names.get(name)
        is_a = kind == 1
        # Response, recursion as asked for and available; code 3: there is no such name.
        flags = 0x8580 | (0 if address else 3)
        answers = b""
        if address and is_a:
            answers = struct.pack("!HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(address)
        return query[:2] + struct.pack("!HHHHH", flags, 1, 1 if answers else 0, 0, 0) + question + answers

    def __enter__(self) -> "Nameserver":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
