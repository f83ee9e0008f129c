"""Clients made of gRPC's C core round `grpc-timeout` up: they still hear from the gateway before their own timer fires."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_status import rpc_status

from clients import Python
from harness import Gateway

# Of 15 s they make 15100 ms, of 120 s 121 s. Asked all at once: the test takes as long as the longest.
TIMEOUTS = [1, 5, 10, 15, 20, 60, 120]


def silent_provider() -> socket.socket:
    """A provider that takes every request and answers none."""
    listener = socket.create_server(("127.0.0.1", 0))
    held = []

    def accept() -> None:
        while True:
            try:
                held.append(listener.accept())
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    return listener


def test_the_reason_comes_before_the_clients_own_timer_at_every_length(contract: dict):
    provider = silent_provider()
    port = provider.getsockname()[1]
    settings = {
        "IDGW_PROVIDERS__ACCUAUTH__BASE_URL": f"http://127.0.0.1:{port}",
        "IDGW_PROVIDERS__ACCUAUTH__API_ID": "id",
        "IDGW_PROVIDERS__ACCUAUTH__API_SECRET": "secret",
        "IDGW_PROVIDERS__ACCUAUTH__TIMEOUT": "4m",
        "IDGW_AUTH__MODE": "none",
    }
    with provider, Gateway(flags=(), **settings) as gateway:
        python = Python(gateway.address, contract)
        stub = python.stubs["idgw.identity.v1.IdentityService"]
        request = contract["idgw.identity.v1.CheckCurpRequest"](curp="RAZR811011HVZXPB01")

        def ask(timeout: float) -> tuple[str, str]:
            try:
                stub.CheckCurp(request, timeout=timeout)
            except grpc.RpcError as failed:
                status = rpc_status.from_call(failed)
                details = [] if status is None else [any.type_url.rpartition(".")[2] for any in status.details]
                return failed.code().name, " ".join(details)
            return "OK", ""

        with ThreadPoolExecutor(len(TIMEOUTS)) as pool:
            heard = dict(zip(TIMEOUTS, pool.map(ask, TIMEOUTS), strict=True))
        for timeout, (code, details) in heard.items():
            assert code == "DEADLINE_EXCEEDED", f"{timeout} s"
            assert "ErrorInfo" in details, f"{timeout} s: the client's own timer was first"
        codes = [event["code"] for event in gateway.log("call")]
        assert codes == ["DEADLINE_EXCEEDED"] * len(TIMEOUTS)
