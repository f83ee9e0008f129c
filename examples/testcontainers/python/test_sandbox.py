"""Tests of a service that asks the identity gateway: the gateway's image, its providers played by the sandbox in it.

Each test has a gateway of its own, so that tests may run side by side and each reads a ledger that is only its own.
"""

import json
import os
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_status import rpc_status
from google.rpc import error_details_pb2
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import HttpWaitStrategy

HERE = Path(__file__).resolve().parent
IMAGE = os.environ.get("GATEWAY_IMAGE", "localhost/identity-gateway:0.1.0")

# The contract, compiled as it is imported; a project that has stubs imports those.
sys.path.append(str(HERE.parents[2] / "proto"))
messages, services = grpc.protos_and_services("idgw/identity/v1/identity_service.proto")


class Gateway:
    """A container with the gateway and its sandbox, on ports of this machine that were free."""

    def __init__(self) -> None:
        self.container = (
            DockerContainer(IMAGE)
            .with_command(["serve", "--sandbox"])
            # Only `--sandbox` on loopback needs no mode, and a container's ports are not loopback.
            .with_env("IDGW_AUTH__MODE", "none")
            # The sandbox's own page, ledger and last requests.
            .with_env("IDGW_SANDBOX__LISTEN", "0.0.0.0:8090")
            .with_env("IDGW_SANDBOX__FIXTURES", "/fixtures.toml")
            # It ends at once: no load balancer has to notice.
            .with_env("IDGW_SERVER__LAME_DUCK", "0s")
            # Copied, not mounted: the image's user can read it whoever owns it here, also where Docker is elsewhere.
            .with_copy_into_container(HERE.parent / "fixtures.toml", "/fixtures.toml")
            .with_exposed_ports(50051, 8090, 9464)
            # The image has no shell: strategies that run a command in it through one do not work.
            .waiting_for(HttpWaitStrategy(9464, "/readyz"))
        )

    def __enter__(self) -> "Gateway":
        self.container.start()
        self.channel = grpc.insecure_channel(self.address(50051))
        self.identity = services.IdentityServiceStub(self.channel)
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()
        self.container.stop()

    def address(self, port: int) -> str:
        return f"{self.container.get_container_host_ip()}:{self.container.get_exposed_port(port)}"

    def seen(self, what: str):
        """What the providers have seen: `ledger` or `requests`."""
        with urllib.request.urlopen(f"http://{self.address(8090)}/_sandbox/{what}", timeout=10) as answer:
            return json.load(answer)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as gateway:
        yield gateway


def test_a_person_of_ours_is_found_and_paid_for_once(gateway: Gateway) -> None:
    answer = gateway.identity.CheckCurp(messages.CheckCurpRequest(curp="GORE561231MDFDZL09"), timeout=10)
    assert (answer.record.given_name, answer.record.first_family_name) == ("ELENA", "GODOY")

    assert gateway.seen("ledger")["accuauth"] == {"received": 1, "billed": 1, "not_billed": 0, "unknown": 0}
    [request] = gateway.seen("requests")
    assert (request["path"], request["status"]) == ("/verify/id_check", 200)


def test_an_account_without_credit_is_an_error_that_says_so_and_costs_nothing(gateway: Gateway) -> None:
    wanted = messages.ScrubKenyaIdRequest(id="22334455", id_type="KENYA_ID_TYPE_NATIONAL_ID", subject_consent=True)
    with pytest.raises(grpc.RpcError) as refused:
        gateway.identity.ScrubKenyaId(wanted, timeout=10)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in rpc_status.from_call(refused.value).details)
    assert (info.reason, info.metadata["billing"]) == ("PROVIDER_QUOTA_EXHAUSTED", "not_billed")

    # The next answer of the sequence.
    assert gateway.identity.ScrubKenyaId(wanted, timeout=10).record.given_name == "Wanjiru"
    assert [request["status"] for request in gateway.seen("requests")] == [200, 402]
