"""The way between a client and the gateway, and what a network may do to it."""

import queue
import socket
import struct
import threading
import time


class Wire:
    """A way to the gateway that can be cut, as a network does: both ends hear a reset.

    With a `lag`, whatever the gateway says arrives so many seconds later.
    """

    def __init__(self, address: str, lag: float = 0.0):
        host, _, port = address.rpartition(":")
        self.target = (host, int(port))
        self.lag = lag
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.ends: list[socket.socket] = []
        # Set while what the gateway says is lost, of the connections that there are.
        self.mute = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return
            far = socket.create_connection(self.target)
            self.ends += [near, far]
            for carry, source, sink in ((self._carry, near, far), (self._carry_back, far, near)):
                threading.Thread(target=carry, args=(source, sink), daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass

    def _carry_back(self, source: socket.socket, sink: socket.socket) -> None:
        mute = self.mute
        on_its_way: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

        def arrive() -> None:
            try:
                due, data = on_its_way.get()
                while data:
                    time.sleep(max(0.0, due - time.monotonic()))
                    sink.sendall(data)
                    due, data = on_its_way.get()
            except OSError:
                pass

        threading.Thread(target=arrive, daemon=True).start()
        try:
            while data := source.recv(65536):
                if not mute.is_set():
                    on_its_way.put((time.monotonic() + self.lag, data))
        except OSError:
            pass
        on_its_way.put((0.0, b""))

    def loses_answers(self) -> None:
        """From now on nothing of what the gateway says arrives, until the connections are cut."""
        self.mute.set()

    def cut(self) -> None:
        """Breaks the connections that there are; new ones are carried again."""
        ends, self.ends = self.ends, []
        self.mute = threading.Event()
        for end in ends:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # A shutdown wakes the thread that reads; the close then sends the reset.
            try:
                end.shutdown(socket.SHUT_RD)
            except OSError:
                pass
            end.close()

    def close(self) -> None:
        self.listener.close()
        self.cut()

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
