"""How the gateway leaves: everyone is told, nobody's call is lost, the exit code says that it was right."""

import signal
import urllib.error
import urllib.request

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from clients import SERVICES, CallFailed, Python
from harness import PATIENCE, Gateway, Sandbox, gateway, wait_for

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.mark.parametrize("leave", [signal.SIGTERM, signal.SIGINT])
def test_open_watches_hear_of_the_leaving_and_end(leave: signal.Signals):
    with Gateway(IDGW_SERVER__LAME_DUCK="100ms") as leaving:
        health = health_pb2_grpc.HealthStub(grpc.insecure_channel(leaving.address))
        watches = [
            health.Watch(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE)
            for service in ("", *SERVICES)
        ]
        assert [next(watch).status for watch in watches] == [SERVING] * 3
        leaving.terminate(leave)
        # Exhausted: the stream ended by itself, with OK.
        assert [[heard.status for heard in watch] for watch in watches] == [[NOT_SERVING]] * 3
        assert leaving.wait() == 0


def test_a_lame_duck_still_takes_calls_and_a_second_signal_shortens_it(contract: dict):
    with Gateway(IDGW_SERVER__LAME_DUCK="10m") as leaving:
        python = Python(leaving.address, contract)
        assert admin(leaving, "/livez") == admin(leaving, "/readyz") == 200
        leaving.terminate()
        wait_for("/readyz to fail", lambda: admin(leaving, "/readyz") == 503 or None)
        assert admin(leaving, "/livez") == 200
        probe = gateway("health", "--address", leaving.address)
        assert (probe.returncode, probe.stdout) == (1, "NOT_SERVING\n")
        assert python.call("GetPerson", {"id": "person_123456789"})["person"]
        leaving.terminate()
        assert leaving.wait() == 0


def admin(of: Gateway, path: str) -> int:
    """The HTTP status of a path of the admin port."""
    try:
        with urllib.request.urlopen(f"http://{of.admin}{path}", timeout=PATIENCE) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


def verifik(sandbox: Sandbox) -> dict[str, str]:
    """The settings of a gateway that asks a sandbox of its own instead of Verifik."""
    return {
        "IDGW_AUTH__MODE": "none",
        "IDGW_PROVIDERS__VERIFIK__BASE_URL": sandbox.url,
        "IDGW_PROVIDERS__VERIFIK__TOKEN": sandbox.token("verifik"),
    }


def test_sigterm_loses_none_of_200_calls_in_flight(contract: dict):
    calls = 200
    with Sandbox("--delay", "2s") as sandbox:
        # None of them may owe its answer to the time in which calls are still taken.
        with Gateway(flags=(), **verifik(sandbox), IDGW_SERVER__LAME_DUCK="0s") as leaving:
            python = Python(leaving.address, contract)
            # Different numbers: identical ones would share one provider call.
            pending = [
                python.start(
                    "VerifyPeForeignerId",
                    {"document_number": f"{number:09}", "birthdate": "1993-08-16"},
                )
                for number in range(1, calls + 1)
            ]
            wait_for(
                "all calls to reach the provider",
                lambda: sandbox.ledger()["verifik"]["received"] >= calls or None,
            )
            assert not any(call.done() for call in pending)
            leaving.terminate()
            answers = [python.read(call) for call in pending]
            assert leaving.wait() == 0
    assert {answer["verification"]["outcome"] for answer in answers} == {"OUTCOME_NOT_FOUND"}
    assert len({answer["verification"]["id"] for answer in answers}) == calls


def test_the_drain_has_a_hard_limit(contract: dict):
    limits = {"IDGW_SERVER__LAME_DUCK": "0s", "IDGW_SERVER__DRAIN_TIMEOUT": "200ms"}
    with Sandbox("--delay", "60s") as sandbox:
        with Gateway(flags=(), **verifik(sandbox), **limits) as leaving:
            python = Python(leaving.address, contract)
            stuck = python.start("GetPerson", {"id": "person_123456789"})
            wait_for(
                "the call to reach the provider",
                lambda: sandbox.ledger()["verifik"]["received"] or None,
            )
            leaving.terminate()
            assert leaving.wait() == 0
            with pytest.raises(CallFailed):
                python.read(stuck)
        sandbox.process.kill()
