"""Callers of a Service while something is done to its pods. Some stay connected, as gRPC's clients do; some connect anew for
each call, which is what a pod that is not there any more breaks first. None has a service config: what fails, fails."""

import threading
import time

import grpc

METHOD = "/idgw.identity.v1.IdentityService/CheckCurp"
OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))
DEADLINE = 20


class Callers:
    """Calling from `with` to the end of it, one call after the other each."""

    def __init__(self, address: str, contract: dict, staying: int = 6, fresh: int = 3):
        self.address = address
        self.request = contract["idgw.identity.v1.CheckCurpRequest"](curp="RAZR811011HVZXPB01")
        self.answer = contract["idgw.identity.v1.CheckCurpResponse"]
        self.calls, self.slowest, self.failed = 0, 0.0, []
        self._lock, self._over = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._stay) for _ in range(staying)]
        self._threads += [threading.Thread(target=self._come_anew) for _ in range(fresh)]

    def _stay(self) -> None:
        with grpc.insecure_channel(self.address, OPTIONS) as channel:
            while not self._over.is_set():
                self._call(channel, "stays")

    def _come_anew(self) -> None:
        while not self._over.is_set():
            with grpc.insecure_channel(self.address, OPTIONS) as channel:
                self._call(channel, "comes anew")

    def _call(self, channel: grpc.Channel, who: str) -> None:
        start, failed = time.monotonic(), None
        method = channel.unary_unary(METHOD, type(self.request).SerializeToString, self.answer.FromString)
        try:
            method(self.request, timeout=DEADLINE)
        except grpc.RpcError as error:
            failed = f"{time.strftime('%H:%M:%S')} {who}: {error.code().name}: {error.details()}"
        with self._lock:
            self.calls += 1
            self.slowest = max(self.slowest, time.monotonic() - start)
            if failed:
                self.failed.append(failed)
        if failed:
            time.sleep(0.1)

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(timeout=2 * DEADLINE)

    def told(self) -> str:
        return f"{self.calls} calls, {len(self.failed)} failed, the slowest {self.slowest:.2f} s"
