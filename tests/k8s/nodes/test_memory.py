"""The memory limit of the container: what the program does before it is reached, and what the kernel does after."""

import grpc

from clients import CallFailed, Python
from control_plane import wait_for
from pods import values

FACES = {"given_name": "Ada", "family_name": "Prueba", "biometric_data": {"face_image": "A" * 4_000_000}}


def pile_up(address: str, contract: dict, until) -> list[grpc.Future]:
    """Calls with big images before a slow provider, ever more of them."""
    python, pending = Python(address, contract), []

    def more() -> bool:
        pending.append(python.start("CreatePersonWithLiveness", {"person": FACES}, timeout=60))
        return until(pending)

    wait_for("the memory to be used", more)
    return pending


def outcome(call: grpc.Future) -> str:
    try:
        Python.read(call)
        return "OK"
    except CallFailed as failed:
        return failed.details.get("ErrorInfo", {}).get("reason", failed.code)


def test_calls_are_refused_before_the_kernel_ends_the_container_at_the_charts_limit(release, contract, figures):
    release.install(values(delay="10s", replicas=1))

    def insisted(pending: list[grpc.Future]) -> bool:
        return sum(call.done() and outcome(call) == "OVERLOADED" for call in pending) >= 40

    outcomes = [outcome(call) for call in pile_up(release.address(), contract, insisted)]
    highest = release.highest_memory(release.only())
    figures["calls with a face image of 4 MB at the chart's limit of 512 MiB"] = (
        f"{outcomes.count('OK')} answered, {outcomes.count('OVERLOADED')} refused, {highest >> 20} MiB at most"
    )
    assert set(outcomes) == {"OK", "OVERLOADED"}
    assert highest < 512 << 20 and release.restarts() == 0
    python = Python(release.address(), contract)
    assert outcome(python.start("CheckCurp", {"curp": "RAZR811011HVZXPB01"})) == "OK", "there is room again"


def test_a_container_that_the_kernel_ends_is_started_again(release, contract):
    """The counterpart: with a threshold above the limit nothing is refused, and the limit is real."""
    limits = {"requests": {"memory": "32Mi"}, "limits": {"cpu": "2", "memory": "96Mi"}}
    release.install(values(delay="10s", replicas=1, resources=limits, config={"server": {"max_memory": 4 << 30}}))
    pile_up(release.address(), contract, lambda _: release.restarts() >= 1)
    ended = release.container()["lastState"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)
    wait_for("it to be ready again", lambda: release.container()["ready"])
