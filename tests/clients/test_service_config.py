"""With each file of deploy/client/, grpc-go and Python's gRPC repeat what they may and nothing else.

What they repeat is counted at the gateway (a log line for each call, told apart by its trace), and where money
is concerned at the provider.
"""

import json
import socket
import struct
import subprocess
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

import contract
import service_config
from builds import Build, run
from harness import REPOSITORY, Gateway, Sandbox, free_port, sandbox_table, wait_for
from wire import Wire

FOLDER = REPOSITORY / "deploy" / "client"
FILE = FOLDER / "service-config.json"
CONFIG = json.loads(FILE.read_text())
# For callers that set a request_id wherever there is one.
CONFIG_WITH_IDS = json.loads((FOLDER / "service-config.request-id.json").read_text())
RPCS = list(contract.rpcs(contract.read()))
PATHS = {rpc.name: f"{rpc.service}/{rpc.name}" for rpc in RPCS}
READS = {"GetPerson", "ListPersons"}
HAVE_IDS = {
    *("VerifyPeForeignerId", "VerifyPeDni", "ScrubKenyaId", "CheckCurp"),
    *("CreatePerson", "CreatePersonWithLiveness"),
}
PROVIDERS = ("VERIFIK", "YOUVERIFY", "ACCUAUTH")

# A client: makes one call in a trace, with a service config of its own channel and, if it is told one, a deadline in
# seconds; it gives the code.
Call = Callable[..., str]

# Each file, and what is repeated by it.
each_config = pytest.mark.parametrize(
    ("config", "repeated"),
    [(CONFIG, READS), (CONFIG_WITH_IDS, READS | HAVE_IDS)],
    ids=["service-config", "service-config.request-id"],
)


def test_the_files_are_what_the_policies_of_the_contract_make():
    written = {file.name: file.read_text() for file in FOLDER.iterdir()}
    assert written == {name: service_config.text(name) for name in service_config.FILES}, "run `just docs`"


@each_config
def test_only_what_cannot_be_charged_again_is_repeated_and_only_after_unavailable(config: dict, repeated: set[str]):
    policies = {
        name["method"]: config["retryPolicy"]
        for config in config["methodConfig"]
        for name in config["name"]
        if "retryPolicy" in config
    }
    assert set(policies) == repeated
    assert all(policy["retryableStatusCodes"] == ["UNAVAILABLE"] for policy in policies.values())


def test_they_differ_in_nothing_else():
    bare = [json.loads(json.dumps(config)) for config in (CONFIG, CONFIG_WITH_IDS)]
    for config in bare:
        for method in config["methodConfig"]:
            method.pop("retryPolicy", None)
    assert bare[0] == bare[1]


def test_every_rpc_has_a_deadline_as_long_as_the_gateways_own():
    defaults = (REPOSITORY / "docs" / "configuration.md").read_text()
    assert f"| `server.default_deadline` | `IDGW_SERVER__DEFAULT_DEADLINE` | `{service_config.TIMEOUT}` |" in defaults
    timeouts = {name["method"]: config["timeout"] for config in CONFIG["methodConfig"] for name in config["name"]}
    assert timeouts == dict.fromkeys(PATHS, service_config.TIMEOUT)


@pytest.fixture(scope="session")
def descriptors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The contract as buf compiles it."""
    file = tmp_path_factory.mktemp("contract") / "descriptors.binpb"
    subprocess.run(["buf", "build", REPOSITORY, "--as-file-descriptor-set", "-o", file], check=True)
    return file


@pytest.fixture(params=["go", "python"])
def call(request: pytest.FixtureRequest, builds: dict[str, Build], descriptors: Path, tmp_path: Path) -> Call:
    """Each of the two clients in turn. Neither repeats anything itself."""
    if request.param == "go":
        probe = builds["probe"].finished()

        def go(
            address: str, method: str, body: str, trace: int, config: dict = CONFIG, deadline: float | None = None
        ) -> str:
            file = tmp_path / f"config-{threading.get_ident()}.json"
            file.write_text(json.dumps(config))
            words = [address, str(file), str(descriptors), PATHS[method], traceparent(trace), body]
            words += [] if deadline is None else [f"{deadline}s"]
            done = run(probe, *words)
            assert done.returncode == 0, done.stderr
            return done.stdout.strip()

        return go

    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(descriptors.read_bytes()).file:
        pool.Add(file)

    def python(
        address: str, method: str, body: str, trace: int, config: dict = CONFIG, deadline: float | None = None
    ) -> str:
        service, _, name = PATHS[method].partition("/")
        types = pool.FindServiceByName(service).methods_by_name[name]
        asked = json_format.Parse(body, message_factory.GetMessageClass(types.input_type)(), descriptor_pool=pool)
        options = [("grpc.service_config", json.dumps(config)), ("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(address, options) as channel:
            stub = channel.unary_unary(
                f"/{PATHS[method]}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=message_factory.GetMessageClass(types.output_type).FromString,
            )
            try:
                stub(asked, timeout=deadline, metadata=[("traceparent", traceparent(trace))])
            except grpc.RpcError as error:
                return error.code().name
            return "OK"

    return python


def traceparent(trace: int) -> str:
    return f"00-{trace:032x}-{1:016x}-01"


def calls_by_trace(gateway: Gateway) -> Counter[int]:
    """Ends the gateway, so that its log is whole; how many calls each trace has had."""
    gateway.terminate()
    assert gateway.wait() == 0
    return Counter(int(line["trace_id"], 16) for line in gateway.log("call"))


def first_request(method: str) -> str:
    return next(row["Request"] for row in sandbox_table() if row["Method"] == method)


def with_id(method: str, body: str) -> str:
    """The request with a new request_id, if it may have one."""
    if method not in HAVE_IDS:
        return body
    return json.dumps(json.loads(body) | {"request_id": str(uuid.uuid4())})


@each_config
def test_of_a_dead_provider_only_what_may_be_repeated_is_asked_for_again(
    call: Call, config: dict, repeated: set[str]
):
    dead = {}
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and never listens
        for provider in PROVIDERS:
            dead[f"IDGW_PROVIDERS__{provider}__BASE_URL"] = f"http://127.0.0.1:{closed.getsockname()[1]}"
        dead |= {
            "IDGW_AUTH__MODE": "none",
            "IDGW_PROVIDERS__VERIFIK__TOKEN": "none",
            "IDGW_PROVIDERS__YOUVERIFY__TOKEN": "none",
            "IDGW_PROVIDERS__ACCUAUTH__API_ID": "none",
            "IDGW_PROVIDERS__ACCUAUTH__API_SECRET": "none",
            "IDGW_SERVER__LAME_DUCK": "0s",
        }
        with Gateway(flags=(), **dead) as gateway:
            requests = {method: with_id(method, first_request(method)) for method in PATHS}
            with ThreadPoolExecutor(len(PATHS)) as callers:
                codes = callers.map(
                    lambda numbered: call(gateway.address, numbered[1], requests[numbered[1]], numbered[0], config),
                    enumerate(PATHS, 1),
                )
                assert dict(zip(PATHS, codes, strict=True)) == dict.fromkeys(PATHS, "UNAVAILABLE")
            asked = calls_by_trace(gateway)
    assert {method: asked[trace] for trace, method in enumerate(PATHS, 1)} == {
        method: 3 if method in repeated else 1 for method in PATHS
    }


@pytest.mark.parametrize(
    ("method", "config"),
    [(method, CONFIG) for method in sorted(set(PATHS) - {"ListPersons"})]
    + [(method, CONFIG_WITH_IDS) for method in sorted(HAVE_IDS)],
    ids=lambda value: "with ids" if value is CONFIG_WITH_IDS else value if isinstance(value, str) else "",
)
def test_of_every_error_only_what_may_be_repeated_is(call: Call, method: str, config: dict):
    """Each code and reason that the sandbox can bring about, once."""
    may_be_repeated = method in READS or config is CONFIG_WITH_IDS
    rows: dict[str, str] = {}
    for row in sandbox_table():
        if row["Method"] == method and not row["The gateway gives"].startswith("OK"):
            rows.setdefault(row["The gateway gives"], row["Request"])
    assert rows
    # A rate limit holds the provider's later calls back.
    ordered = sorted(rows, key=lambda outcome: "RATE_LIMITED" in outcome)
    settings = {"IDGW_SERVER__LAME_DUCK": "0s"}
    for provider in PROVIDERS:
        settings[f"IDGW_PROVIDERS__{provider}__TIMEOUT"] = "2s"
        settings[f"IDGW_PROVIDERS__{provider}__BREAKER_MINIMUM_CALLS"] = "1000"
    with Gateway(**settings) as gateway:
        codes = {
            outcome: call(gateway.address, method, with_id(method, rows[outcome]), trace, config)
            for trace, outcome in enumerate(ordered, 1)
        }
        asked = calls_by_trace(gateway)
    assert codes == {outcome: outcome.partition(" ")[0] for outcome in ordered}
    expected = {outcome: 3 if may_be_repeated and codes[outcome] == "UNAVAILABLE" else 1 for outcome in ordered}
    assert {outcome: asked[trace] for trace, outcome in enumerate(ordered, 1)} == expected


SLOW = {
    "VerifyPeForeignerId": '{"document_number":"SLOWANSWER","birthdate":"1993-08-16"}',
    "VerifyPeDni": '{"document_number":"99000900"}',
    "ScrubKenyaId": '{"id":"900002001","id_type":"KENYA_ID_TYPE_NATIONAL_ID","subject_consent":true}',
    "CheckCurp": '{"curp":"LENT900101HDFSND07"}',
    "CreatePerson": '{"person":{"given_name":"Ada","family_name":"SANDBOX-SLOWANSWER"}}',
    "GetPerson": '{"id":"person_slowanswer"}',
}


def received(sandbox: Sandbox) -> int:
    """The requests that a provider has had, of which each would have been charged if any is."""
    return sum(provider["received"] for provider in sandbox.ledger().values())


@pytest.mark.parametrize(
    ("method", "config", "code", "requests"),
    [
        ("CheckCurp", CONFIG, "UNAVAILABLE", 1),
        ("GetPerson", CONFIG, "OK", 2),
        *[(method, CONFIG_WITH_IDS, "OK", 1) for method in SLOW if method in HAVE_IDS],
    ],
    ids=lambda value: "with ids" if value is CONFIG_WITH_IDS else value if isinstance(value, str) else "",
)
def test_a_call_lost_on_its_way_back_is_asked_for_again_only_if_it_is_not_charged_again(
    call: Call, gateway_of: Gateway, sandbox: Sandbox, method: str, config: dict, code: str, requests: int
):
    """A library says UNAVAILABLE of a lost connection too, also when the provider has already been asked."""
    body = with_id(method, SLOW[method]) if config is CONFIG_WITH_IDS else SLOW[method]
    with Wire(gateway_of.address) as wire, ThreadPoolExecutor(1) as caller:
        answer = caller.submit(call, wire.address, method, body, 1, config)
        wait_for("the provider to be asked", lambda: received(sandbox) or None)
        wire.cut()
        assert answer.result() == code
    assert received(sandbox) == requests


@pytest.mark.parametrize(
    ("has_id", "is_late", "requests"),
    [(True, True, 1), (False, False, 1), (False, True, 2)],
    ids=["with an id", "without, noticed at once", "without, noticed later"],
)
def test_an_answer_that_was_sent_and_did_not_arrive_is_paid_for_once_if_it_has_an_id_or_that_is_noticed_at_once(
    call: Call, gateway_of: Gateway, sandbox: Sandbox, has_id: bool, is_late: bool, requests: int
):
    """A second later it counts as delivered: this is why only callers with request ids may have lookups repeated."""
    method, body = "CheckCurp", SLOW["CheckCurp"]
    with Wire(gateway_of.address) as wire, ThreadPoolExecutor(1) as caller:
        answer = caller.submit(call, wire.address, method, with_id(method, body) if has_id else body, 1, CONFIG_WITH_IDS)
        wait_for("the provider to be asked", lambda: received(sandbox) or None)
        wire.loses_answers()
        wait_for("the gateway to answer", lambda: gateway_of.log("call") or None)
        if is_late:
            time.sleep(1.5)
        assert not answer.done()
        wire.cut()
        assert answer.result() == "OK"
    wait_for("both calls in the log", lambda: len(gateway_of.log("call")) == 2 or None)
    sources = ["provider", "recovered" if requests == 1 else "provider"]
    assert [line["source"] for line in gateway_of.log("call")] == sources
    assert received(sandbox) == requests


def test_a_client_that_closes_when_it_has_its_answer_has_it(call: Call, gateway_of: Gateway):
    """Each call is a connection of its own, closed at once: by grpcio, too, whose PING is then answered to nobody."""
    body = json.dumps({"curp": "RAZR811011HVZXPB01"})
    for number in range(1, 31):
        assert call(gateway_of.address, "CheckCurp", body, number) == "OK"
    wait_for("all calls in the log", lambda: len(gateway_of.log("call")) == 30 or None)
    assert {line["source"] for line in gateway_of.log("call")} == {"provider"}


# A policy of one's own, which repeats what came too late as well.
EAGER = json.loads(
    json.dumps(CONFIG_WITH_IDS)
    .replace('["UNAVAILABLE"]', '["UNAVAILABLE", "DEADLINE_EXCEEDED"]')
    .replace('"initialBackoff": "1s"', '"initialBackoff": "0.01s"')
)


def test_a_policy_that_repeats_what_came_too_late_pays_once(call: Call, gateway_of: Gateway, sandbox: Sandbox):
    """It has the rest of the call's deadline, which is not enough; the call after it gets the answer."""
    body = with_id("CheckCurp", SLOW["CheckCurp"])
    assert call(gateway_of.address, "CheckCurp", body, 1, EAGER, deadline=1.5) == "DEADLINE_EXCEEDED"
    assert call(gateway_of.address, "CheckCurp", body, 2, EAGER, deadline=10) == "OK"
    assert received(sandbox) == 1
    asked = calls_by_trace(gateway_of)
    assert asked[1] > 1 and asked[2] == 1


def test_a_policy_that_repeats_what_the_provider_did_not_answer_pays_once(
    call: Call, at_the_sandbox: dict[str, str], sandbox: Sandbox
):
    """And learns less by it: nobody knows what became of the request."""
    with Gateway(flags=(), **at_the_sandbox, IDGW_PROVIDERS__ACCUAUTH__TIMEOUT="1s") as gateway:
        body = with_id("CheckCurp", SLOW["CheckCurp"])
        assert call(gateway.address, "CheckCurp", body, 1, EAGER) == "UNKNOWN"
        assert received(sandbox) == 1
        assert calls_by_trace(gateway)[1] == 2


def test_a_call_without_a_deadline_ends_by_the_service_configs(call: Call, gateway: Gateway):
    short = json.loads(json.dumps(CONFIG).replace(f'"{service_config.TIMEOUT}"', '"0.5s"'))
    assert call(gateway.address, "CheckCurp", '{"curp":"NUNC900101HDFSND02"}', 1, short) == "DEADLINE_EXCEEDED"


def test_a_call_waits_for_a_gateway_that_is_being_started(call: Call):
    address = f"127.0.0.1:{free_port()}"
    with socket.socket() as door, ThreadPoolExecutor(1) as caller:
        # Until the gateway is there, whoever comes is turned away.
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(("127.0.0.1", int(address.rpartition(":")[2])))
        door.listen()
        answer = caller.submit(call, address, "CheckCurp", first_request("CheckCurp"), 1)
        turned_away, _ = door.accept()
        turned_away.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        turned_away.close()
        door.close()
        assert not answer.done()
        with Gateway(IDGW_SERVER__LISTEN=address) as gateway:
            assert answer.result() == "OK"
            assert len(gateway.log("call")) == 1


def test_calls_are_spread_and_leave_a_gateway_that_is_leaving_before_its_door_closes():
    """Python's library takes a list of addresses as a name; round robin and health are the service config's."""
    with Gateway(IDGW_SERVER__LAME_DUCK="20s") as leaving, Gateway() as staying:
        # Without a name of its own the list would be the calls' `:authority`, which is then no valid one.
        options = [("grpc.service_config", FILE.read_text()), ("grpc.default_authority", "gateway")]
        with grpc.insecure_channel(f"ipv4:{leaving.address},{staying.address}", options) as channel:
            # A request for nobody is refused by the gateway itself, and logged as a call.
            ask = channel.unary_unary("/idgw.identity.v1.IdentityService/CheckCurp")

            def asked(rounds: int) -> tuple[int, int]:
                before = len(leaving.log("call")), len(staying.log("call"))
                for _ in range(rounds):
                    with pytest.raises(grpc.RpcError) as refused:
                        ask(b"")
                    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT

                def counted() -> tuple[int, int] | None:
                    now = len(leaving.log("call")) - before[0], len(staying.log("call")) - before[1]
                    return now if sum(now) == rounds else None

                return wait_for(f"{rounds} calls in the logs", counted)

            wait_for("both to be asked", lambda: all(asked(4)) or None)
            assert asked(10) == (5, 5)

            leaving.terminate()
            wait_for("calls to keep away", lambda: asked(4) == (0, 4) or None)
            with grpc.insecure_channel(leaving.address) as direct, pytest.raises(grpc.RpcError) as refused:
                direct.unary_unary("/idgw.identity.v1.IdentityService/CheckCurp")(b"")
            assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT, "its door is still open"
