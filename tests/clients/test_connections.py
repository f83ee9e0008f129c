"""Connections that grow old, gateways that cannot be reached, and what grpc-go and Python's gRPC make of them."""

import itertools
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from builds import Build, run
from harness import Gateway, Sandbox, free_port, wait_for
from test_service_config import CONFIG, FILE, PATHS, SLOW, Call, calls_by_trace, call, descriptors, received, traceparent  # noqa: F401  fixtures
from wire import Wire

KNOWN = '{"curp":"RAZR811011HVZXPB01"}'
IMPATIENT = json.loads(FILE.read_text().replace('"waitForReady": true', '"waitForReady": false'))
# Retries at once, if nothing says otherwise.
HASTY = json.loads(FILE.read_text().replace('"initialBackoff": "1s"', '"initialBackoff": "0.01s"'))

Probe = Callable[..., list[str]]


@pytest.fixture
def probe(builds: dict[str, Build], descriptors: Path, tmp_path: Path) -> Probe:  # noqa: F811
    """grpc-go: the lines that its probe prints."""
    built = builds["probe"].finished()

    def probe(address: str, body: str, config: dict = CONFIG, deadline: str = "30s", **more: str) -> list[str]:
        file = tmp_path / "config.json"
        file.write_text(json.dumps(config))
        words = [address, str(file), str(descriptors), PATHS["CheckCurp"], traceparent(1), body, deadline]
        done = run(built, *words, **more)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return probe


class Balancer(Wire):
    """Distributes connections, as a Kubernetes Service does: each goes to the next gateway, with all of its calls."""

    def __init__(self, addresses: list[str]):
        turns = itertools.cycle(addresses)
        self.turns = ((host, int(port)) for host, _, port in (address.rpartition(":") for address in turns))
        super().__init__(addresses[0])

    @property
    def target(self) -> tuple[str, int]:
        return next(self.turns)

    @target.setter
    def target(self, _: tuple[str, int]) -> None:
        pass


@pytest.mark.parametrize("age", ["1s", "0s"])
def test_behind_a_service_calls_reach_every_replica_if_connections_grow_old_and_none_fails(probe: Probe, age: str):
    settings = {"IDGW_SERVER__MAX_CONNECTION_AGE": age}
    with Gateway(**settings) as one, Gateway(**settings) as two, Gateway(**settings) as three:
        gateways = [one, two, three]
        with Balancer([gateway.address for gateway in gateways]) as balancer:
            told = probe(balancer.address, KNOWN, deadline="50s", PROBE_FOR="8s")
        [(count, code)] = [line.split(" ", 1) for line in told]
        assert code == "OK"
        reached = []
        for gateway in gateways:
            gateway.terminate()
            gateway.wait()
            reached.append(len(gateway.log("call")))
    assert sum(reached) == int(count)
    assert (min(reached) > 0) == (age != "0s"), reached


def closed() -> str:
    """An address at which nobody listens."""
    return f"127.0.0.1:{free_port()}"


def test_without_a_gateway_a_call_ends_with_its_deadline_or_at_once_as_the_service_config_says(call: Call):  # noqa: F811
    address = closed()
    for config, code, least, most in [(CONFIG, "DEADLINE_EXCEEDED", 1.4, 20.0), (IMPATIENT, "UNAVAILABLE", 0.0, 1.4)]:
        begun = time.monotonic()
        assert call(address, "CheckCurp", KNOWN, 1, config, deadline=1.5) == code
        assert least <= time.monotonic() - begun < most


def test_a_request_that_never_left_and_one_that_was_paid_for_end_with_the_same_code_and_no_details(
    probe: Probe, gateway_of: Gateway, sandbox: Sandbox
):
    """Only grpc-go can tell them apart, by whether there was a connection."""
    slow = SLOW["CheckCurp"]
    told = probe(closed(), slow, deadline="1s", PROBE_TELL="1")
    assert told[:3] == ["DEADLINE_EXCEEDED", "details: false", "connection: false"]
    with Wire(gateway_of.address) as wire, ThreadPoolExecutor(1) as caller:
        answer = caller.submit(probe, wire.address, slow, deadline="1500ms", PROBE_TELL="1")
        wait_for("the provider to be asked", lambda: received(sandbox) or None)
        wire.loses_answers()
        assert answer.result()[:3] == ["DEADLINE_EXCEEDED", "details: false", "connection: true"]
    assert received(sandbox) == 1


def test_where_there_is_retry_info_a_native_client_waits_that_long_whatever_its_own_backoff(
    call: Call, gateway: Gateway  # noqa: F811
):
    """By the trailer `grpc-retry-pushback-ms`: RetryInfo it does not read. The gateway says one second."""
    down = '{"id":"person_outofservice"}'
    begun = time.monotonic()
    assert call(gateway.address, "GetPerson", down, 1, HASTY) == "UNAVAILABLE"
    assert time.monotonic() - begun >= 2.0
    # It has no time to wait that long, and does not ask earlier.
    assert call(gateway.address, "GetPerson", down, 2, HASTY, deadline=0.8) != "OK"
    asked = calls_by_trace(gateway)
    assert (asked[1], asked[2]) == (3, 1)


def test_grpc_go_compresses_and_is_answered(probe: Probe, gateway: Gateway):
    assert probe(gateway.address, KNOWN, PROBE_GZIP="1") == ["OK"]
