"""The packages' helpers: what they make of errors, how often they ask, and what is in the packages."""

import itertools
import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo

from builds import Build, Example, run
from harness import Gateway
from scripted import Scripted, details
from stubs import compiled
from test_connections import closed

TELL = "../../tests/clients/tell"
# A program of each language that makes calls and prints what it knows of them. It is built where the example is, whose
# package it uses; Kotlin's is Java's.
TELLERS = {
    "go": Example("go", f"go build -o tell {TELL}/tell.go", "./tell"),
    "java": Example(
        "java", f"javac -cp 'target/lib/*' -d target/tell {TELL}/Tell.java", "java -cp 'target/tell:target/lib/*' Tell"
    ),
    "node": Example("node", f"cp {TELL}/tell.mjs tell.mjs", "node tell.mjs"),
    "python": Example("python", "true", f"venv/bin/python {TELL}/tell.py"),
}
Tell = Callable[..., list[dict]]

Code = grpc.StatusCode
NOTHING = {
    "message": "words for people",
    "reason": "",
    "billing": "unknown",
    "metadata": {},
    "violations": [],
    "retry_after": None,
    "recoverable_until": None,
    "asked": 1,
}
# 2026-11-28T10:00:00Z
MOMENT = "2026-11-28T10:00:00.250Z"


def info(reason: str, **metadata: str) -> ErrorInfo:
    return ErrorInfo(domain="identity-gateway", reason=reason, metadata=metadata)


def wait(**duration: int) -> RetryInfo:
    return RetryInfo(retry_delay=Duration(**duration))


def broken(name: str) -> Any:
    return Any(type_url=f"type.googleapis.com/google.rpc.{name}", value=b"\xff\xff\xff")


@dataclass
class Case:
    """An error as it is sent, and what the helper makes of it, beyond what is not there."""

    sent: tuple[Code, bytes | None]
    told: dict


FREE = {"provider": "accuauth", "billing": "not_billed", "http_status": "503"}
ERRORS = {
    "free": Case(
        details(Code.UNAVAILABLE, info("PROVIDER_UNAVAILABLE", **FREE), wait(seconds=1, nanos=500_000_000)),
        {"reason": "PROVIDER_UNAVAILABLE", "billing": "not_billed", "metadata": FREE, "retry_after": 1.5},
    ),
    "perhaps charged": Case(
        details(Code.UNKNOWN, info("PROVIDER_OUTCOME_UNKNOWN", billing="unknown")),
        {"reason": "PROVIDER_OUTCOME_UNKNOWN", "billing": "unknown", "metadata": {"billing": "unknown"}},
    ),
    "nothing said of the cost": Case(
        details(
            Code.INVALID_ARGUMENT,
            info("INVALID_FIELD"),
            BadRequest(
                field_violations=[
                    BadRequest.FieldViolation(field="curp", description="must be a CURP"),
                    BadRequest.FieldViolation(field="max_age", description="is too long"),
                ]
            ),
        ),
        {
            "reason": "INVALID_FIELD",
            "billing": "not_billed",
            "violations": [["curp", "must be a CURP"], ["max_age", "is too long"]],
        },
    ),
    "late": Case(
        details(Code.DEADLINE_EXCEEDED, info("DEADLINE_EXCEEDED", billing="unknown", recoverable_until=MOMENT)),
        {
            "reason": "DEADLINE_EXCEEDED",
            "metadata": {"billing": "unknown", "recoverable_until": MOMENT},
            "recoverable_until": 1795860000,
        },
    ),
    "no moment": Case(
        details(Code.DEADLINE_EXCEEDED, info("DEADLINE_EXCEEDED", recoverable_until="soon")),
        {"reason": "DEADLINE_EXCEEDED", "billing": "not_billed", "metadata": {"recoverable_until": "soon"}},
    ),
    "no details": Case((Code.UNAVAILABLE, None), {}),
    "a proxy's": Case(
        details(Code.UNAVAILABLE, ErrorInfo(domain="proxy.example", reason="DOWN", metadata={"billing": "not_billed"})),
        {},
    ),
    "broken detail": Case(details(Code.UNAVAILABLE, broken("ErrorInfo"), broken("BadRequest"), broken("RetryInfo")), {}),
    "broken details before good ones": Case(
        details(
            Code.UNAVAILABLE, broken("ErrorInfo"), broken("RetryInfo"), info("OVERLOADED", billing="not_billed"), wait(seconds=2)
        ),
        {"reason": "OVERLOADED", "billing": "not_billed", "metadata": {"billing": "not_billed"}, "retry_after": 2},
    ),
    "unknown detail": Case(
        details(Code.UNAVAILABLE, broken("Novelty"), info("PROVIDER_DATA_ERROR", billing="not_billed")),
        {"reason": "PROVIDER_DATA_ERROR", "billing": "not_billed", "metadata": {"billing": "not_billed"}},
    ),
    "a wait that is over": Case(details(Code.UNAVAILABLE, info("OVERLOADED"), wait(seconds=-5)), {
        "reason": "OVERLOADED", "billing": "not_billed",
    }),
}
LATE = details(Code.DEADLINE_EXCEEDED, info("DEADLINE_EXCEEDED", recoverable_until="2999-01-01T00:00:00Z"))
SOON = wait(nanos=300_000_000)
LOST = (Code.UNKNOWN, None)
OVER = details(Code.DEADLINE_EXCEEDED, info("DEADLINE_EXCEEDED", recoverable_until="2001-01-01T00:00:00Z"))
LOOPS = {
    # What is sent, call by call; how it ends; how often it was asked.
    "in time": ([None], "OK", 1),
    "late once": ([LATE, None], "OK", 2),
    "late six times": ([LATE] * 6 + [None], "OK", 7),
    "never told until when": ([(Code.DEADLINE_EXCEEDED, None)], "DEADLINE_EXCEEDED", 5),
    "a proxy's reason": ([details(Code.DEADLINE_EXCEEDED, ErrorInfo(domain="proxy.example", reason="SLOW"))] * 2 + [None], "OK", 3),
    "over": ([OVER], "DEADLINE_EXCEEDED", 1),
    "late, then over": ([LATE, OVER], "DEADLINE_EXCEEDED", 2),
    "the provider's time": ([details(Code.DEADLINE_EXCEEDED, info("PROVIDER_TIMEOUT", billing="unknown"))], "DEADLINE_EXCEEDED", 1),
    "perhaps charged": ([details(Code.UNKNOWN, info("PROVIDER_OUTCOME_UNKNOWN", billing="unknown"))], "UNKNOWN", 1),
    "lost once": ([(Code.UNAVAILABLE, None), None], "OK", 2),
    "lost each time": ([LOST], "UNKNOWN", 5),
    "late, then lost": ([LATE, LOST, LATE, None], "OK", 4),
    "a proxy refuses": ([details(Code.PERMISSION_DENIED, ErrorInfo(domain="proxy.example", reason="DENIED")), None], "OK", 2),
    "down for a while": ([details(Code.UNAVAILABLE, info("PROVIDER_UNAVAILABLE"), SOON)] * 2 + [None], "OK", 3),
    "too many": ([details(Code.RESOURCE_EXHAUSTED, info("OVERLOADED"), SOON), None], "OK", 2),
    "down each time": ([details(Code.UNAVAILABLE, info("PROVIDER_UNAVAILABLE"), SOON)], "UNAVAILABLE", 5),
    "no budget today": ([details(Code.RESOURCE_EXHAUSTED, info("BUDGET_EXHAUSTED"), wait(seconds=3600))], "RESOURCE_EXHAUSTED", 1),
    "no credit": ([details(Code.RESOURCE_EXHAUSTED, info("PROVIDER_QUOTA_EXHAUSTED"))], "RESOURCE_EXHAUSTED", 1),
    "a wrong field": ([details(Code.INVALID_ARGUMENT, info("INVALID_FIELD"))], "INVALID_ARGUMENT", 1),
    "a defect": ([details(Code.INTERNAL, info("INTERNAL"), SOON)], "INTERNAL", 1),
}
# The pauses between the attempts, in seconds.
PAUSES = {
    "late six times": [0] * 6,
    "lost each time": [1, 2, 4, 8],
    "late, then lost": [0, 1, 0],
    "a proxy refuses": [1],
    "down for a while": [0.3, 0.3],
    "too many": [0.3],
}


@pytest.fixture(scope="module")
def request_class(tmp_path_factory: pytest.TempPathFactory) -> type:
    return compiled(tmp_path_factory.mktemp("stubs"))["idgw.identity.v1.CheckCurpRequest"]


@pytest.fixture(scope="module", params=TELLERS)
def tell(request: pytest.FixtureRequest, builds: dict[str, Build]) -> Tell:
    """The program of each language in turn."""
    teller = TELLERS[request.param]
    builds[request.param].finished()
    subprocess.run(["bash", "-c", teller.build], cwd=teller.path, check=True)

    def told(*words: str) -> list[dict]:
        done = run(teller, *words)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return told


def test_an_error_says_what_its_details_say_and_nothing_else(tell: Tell, request_class: type):
    with Scripted(request_class, lambda curp: [ERRORS[curp].sent]) as gateway:
        told = dict(zip(ERRORS, tell(gateway.address, "errors", *ERRORS), strict=True))
    for words in told.values():
        # A wait of nothing is none, and whole seconds will do.
        words["retry_after"] = words["retry_after"] or None
        words["recoverable_until"] = words["recoverable_until"] and int(words["recoverable_until"])
    assert told == {name: NOTHING | {"code": case.sent[0].name} | case.told for name, case in ERRORS.items()}


def test_details_that_are_none_leave_an_error_without_a_reason(tell: Tell, request_class: type):
    """Of garbage, grpc-go makes an error of its own, with another code: it is not the gateway's in any language."""
    with Scripted(request_class, lambda curp: [(Code.UNAVAILABLE, b"\xff\xff\xff")]) as gateway:
        [told] = tell(gateway.address, "errors", "garbage")
    assert (told["reason"], told["billing"], told["violations"]) == ("", "unknown", [])
    assert told["code"] != "OK"


def test_the_same_call_is_made_again_with_more_time_for_as_long_as_its_answer_can_be_had(tell: Tell, request_class: type):
    with Scripted(request_class, lambda curp: LOOPS[curp][0]) as gateway:
        told = dict(zip(LOOPS, tell(gateway.address, "loop", *LOOPS), strict=True))
        asked = {name: list(gateway.of(name)) for name in LOOPS}
    assert {name: (words["code"], words["asked"]) for name, words in told.items()} == {
        name: (code, times) for name, (_, code, times) in LOOPS.items()
    }
    for name, calls in asked.items():
        assert len(calls) == LOOPS[name][2], name
        assert len({call.request_id for call in calls}) == 1 and calls[0].request_id, name
        # As the server sees them, a little is gone; C-core rounds up.
        script = LOOPS[name][0]
        late = [script[min(number, len(script) - 1)] for number in range(len(calls) - 1)]
        late = [answer is not None and answer[0] == Code.DEADLINE_EXCEEDED for answer in late]
        limits = [min(10 * 2 ** sum(late[:number]), 30) for number in range(len(calls))]
        assert all(limit - 5 < call.seconds < limit + 1 for call, limit in zip(calls, limits, strict=True)), name
    for name, pauses in PAUSES.items():
        waited = [after.at - before.at for before, after in itertools.pairwise(asked[name])]
        assert all(least - 0.05 <= found < least + 0.9 for found, least in zip(waited, pauses, strict=True)), (name, waited)


def test_a_call_without_a_request_id_is_not_made_again_and_not_even_once(tell: Tell, request_class: type):
    with Scripted(request_class, lambda curp: [None]) as gateway:
        [told] = tell(gateway.address, "loop", "no id")
        assert gateway.asked == []
    assert "may be charged again" in told["refused"]


@pytest.mark.parametrize("tell", ["go", "java"], indirect=True)
def test_a_call_inside_of_another_is_not_made_again_when_that_one_is_over(tell: Tell, request_class: type):
    """The other may take three seconds. What would begin after them does not begin, and nothing turns in circles."""

    def answers(curp: str) -> list:
        if curp != "late":
            return [LOST if curp == "lost" else None]
        time.sleep(1.2)
        return [LATE]

    with Scripted(request_class, answers) as gateway:
        # The first connects, which may take its time.
        _, late, lost = tell(gateway.address, "inside", "first", "late", "lost")
        assert len(list(gateway.of("late"))) <= 3 and len(list(gateway.of("lost"))) == 2
    assert (late["code"], lost["code"], lost["asked"]) == ("DEADLINE_EXCEEDED", "UNKNOWN", 2)
    assert 2 <= late["asked"] <= 3


def test_what_fails_fast_does_so_with_any_service_config(tell: Tell):
    [told] = tell(closed(), "hasty", "nobody listens")
    assert told["code"] == "UNAVAILABLE"


def test_a_lookup_at_the_sandbox_and_what_it_costs(tell: Tell, gateway: Gateway):
    found, nobody, down = tell(
        gateway.address, "errors", "RAZR811011HVZXPB01", "NOEX900101HDFSND08", "DOWN900101HDFSND09"
    )
    assert (found["code"], nobody["code"]) == ("OK", "OK")
    assert (down["code"], down["reason"], down["billing"]) == ("UNAVAILABLE", "PROVIDER_UNAVAILABLE", "not_billed")
    assert down["metadata"]["provider"] == "accuauth" and down["retry_after"] == 1
