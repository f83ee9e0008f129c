"""Clients that compress everything, as company-wide wrappers make them: they are answered, and what they send counts for what it grows to."""

from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from clients import Python
from harness import PATIENCE, Gateway, wait_for
from test_deadlines import silent_provider

MIB = 1024 * 1024
PERSONS = "idgw.person.v1.PersonService"
# Four times what calls may hold, in a debug build with what the allocator keeps.
MOST_MEMORY = 300


def resident(gateway: Gateway) -> int:
    """The highest resident memory so far, in MiB."""
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) // 1024


class Zipped(Python):
    """The same client, over a channel that compresses everything."""

    def __init__(self, address: str, contract: dict):
        super().__init__(address, contract)
        self.channel = grpc.insecure_channel(address, compression=grpc.Compression.Gzip)
        self.stubs = {name: contract[f"{name}Stub"](self.channel) for name in self.stubs}


def test_a_client_that_compresses_everything_is_answered(own_gateway: Gateway, contract: dict):
    client, plain = Zipped(own_gateway.address, contract), Python(own_gateway.address, contract)
    lookup = {"curp": "RAZR811011HVZXPB01"}
    answers = [each.call("CheckCurp", lookup) for each in (client, plain)]
    assert answers[0]["record"] == answers[1]["record"]
    for number in range(100):
        client.call("CreatePerson", {"person": {"given_name": "Ada", "family_name": f"Muster {number}"}})
    listed = [each.call("ListPersons", {"page_size": 200})["persons"] for each in (client, plain)]
    assert listed[0] == listed[1] and len(listed[0]) >= 100
    health = health_pb2_grpc.HealthStub(client.channel)
    assert health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE).status == health_pb2.HealthCheckResponse.SERVING


def test_deflate_is_refused_with_what_is_taken_instead(own_gateway: Gateway, contract: dict):
    with grpc.insecure_channel(own_gateway.address, compression=grpc.Compression.Deflate) as channel:
        stub = contract["idgw.identity.v1.IdentityServiceStub"](channel)
        with pytest.raises(grpc.RpcError) as refused:
            stub.CheckCurp(contract["idgw.identity.v1.CheckCurpRequest"](curp="RAZR811011HVZXPB01" * 9), timeout=PATIENCE)
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "gzip" in refused.value.details()
    [info] = rpc_status.from_call(refused.value).details
    assert b"ENCODING_NOT_SUPPORTED" in info.value


def test_what_small_requests_grow_to_counts_for_their_caller(contract: dict):
    """Twelve requests of a few kilobytes, of 7 MiB each once they are read, to a provider that is silent."""
    provider = silent_provider()
    settings = {
        "IDGW_SERVER__MAX_MEMORY": str(256 * MIB),
        "IDGW_AUTH__MODE": "none",
        "IDGW_PROVIDERS__VERIFIK__BASE_URL": "http://127.0.0.1:%d" % provider.getsockname()[1],
        "IDGW_PROVIDERS__VERIFIK__TOKEN": "none",
    }
    with provider, Gateway(flags=(), **settings) as gateway:
        client = Zipped(gateway.address, contract)
        create = client.stubs[PERSONS].CreatePersonWithLiveness
        request = contract["idgw.person.v1.CreatePersonWithLivenessRequest"]()
        request.person.given_name = "Ada"
        request.person.biometric_data.face_image = bytes(7 * MIB)
        calls = [create.future(request, timeout=120) for _ in range(12)]
        # It may hold half of 64 MiB.
        wait_for("most to be refused", lambda: sum(call.done() for call in calls) >= 6 or None)
        assert {call.code() for call in calls if call.done()} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert resident(gateway) < MOST_MEMORY
        for call in calls:
            call.cancel()
