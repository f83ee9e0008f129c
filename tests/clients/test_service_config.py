"""With deploy/client/service-config.json, grpc-go and Python's gRPC repeat what they may and nothing else.

What they repeat is counted at the gateway (a log line for each call, told apart by its trace), and where money
is concerned at the provider.
"""

import json
import socket
import struct
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

import contract
import service_config
from builds import Build, run
from harness import REPOSITORY, Gateway, Sandbox, sandbox_table, wait_for

FILE = REPOSITORY / "deploy" / "client" / "service-config.json"
CONFIG = json.loads(FILE.read_text())
RPCS = list(contract.rpcs(contract.read()))
PATHS = {rpc.name: f"{rpc.service}/{rpc.name}" for rpc in RPCS}
READS = {"GetPerson", "ListPersons"}
PROVIDERS = ("VERIFIK", "YOUVERIFY", "ACCUAUTH")

# A client: makes one call in a trace, with a service config of its own channel, and gives the code.
Call = Callable[[str, str, str, int], str]


def test_the_file_is_what_the_policies_of_the_contract_make():
    assert FILE.read_text() == service_config.text(), "run `just docs`"


def test_only_reads_are_repeated_and_only_after_unavailable():
    policies = {
        name["method"]: config["retryPolicy"]
        for config in CONFIG["methodConfig"]
        for name in config["name"]
        if "retryPolicy" in config
    }
    assert set(policies) == READS
    assert all(policy["retryableStatusCodes"] == ["UNAVAILABLE"] for policy in policies.values())


def test_every_rpc_has_a_deadline_as_long_as_the_gateways_own():
    defaults = (REPOSITORY / "README.md").read_text()
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
    """Each of the two clients in turn. Neither sets a deadline or repeats anything itself."""
    if request.param == "go":
        probe = builds["probe"].finished()

        def go(address: str, method: str, body: str, trace: int, config: dict = CONFIG) -> str:
            file = tmp_path / f"config-{threading.get_ident()}.json"
            file.write_text(json.dumps(config))
            words = [address, str(file), str(descriptors), PATHS[method], traceparent(trace), body]
            done = run(probe, *words)
            assert done.returncode == 0, done.stderr
            return done.stdout.strip()

        return go

    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(descriptors.read_bytes()).file:
        pool.Add(file)

    def python(address: str, method: str, body: str, trace: int, config: dict = CONFIG) -> str:
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
                stub(asked, metadata=[("traceparent", traceparent(trace))])
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


def test_of_a_dead_provider_only_reads_are_asked_for_again(call: Call):
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
            requests = {method: first_request(method) for method in PATHS}
            with ThreadPoolExecutor(len(PATHS)) as callers:
                codes = callers.map(
                    lambda numbered: call(gateway.address, numbered[1], requests[numbered[1]], numbered[0]),
                    enumerate(PATHS, 1),
                )
                assert dict(zip(PATHS, codes, strict=True)) == dict.fromkeys(PATHS, "UNAVAILABLE")
            asked = calls_by_trace(gateway)
    assert {method: asked[trace] for trace, method in enumerate(PATHS, 1)} == {
        method: 3 if method in READS else 1 for method in PATHS
    }


@pytest.mark.parametrize("method", sorted(set(PATHS) - {"ListPersons"}))
def test_of_every_error_only_what_may_be_repeated_is(call: Call, method: str):
    """Each code and reason that the sandbox can bring about, once."""
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
            outcome: call(gateway.address, method, rows[outcome], trace) for trace, outcome in enumerate(ordered, 1)
        }
        asked = calls_by_trace(gateway)
    assert codes == {outcome: outcome.partition(" ")[0] for outcome in ordered}
    expected = {
        outcome: 3 if method in READS and codes[outcome] == "UNAVAILABLE" else 1 for outcome in ordered
    }
    assert {outcome: asked[trace] for trace, outcome in enumerate(ordered, 1)} == expected


class Wire:
    """A way to the gateway that can be cut, as a network does: both ends hear a reset."""

    def __init__(self, address: str):
        host, _, port = address.rpartition(":")
        self.target = (host, int(port))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return
            far = socket.create_connection(self.target)
            self.ends += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass

    def cut(self) -> None:
        """Breaks the connections that there are; new ones are carried again."""
        ends, self.ends = self.ends, []
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


@pytest.fixture
def gateway_of(sandbox: Sandbox) -> Iterator[Gateway]:
    """A gateway whose providers are a sandbox with a ledger."""
    accuauth = sandbox.credentials()["accuauth"]
    settings = {f"IDGW_PROVIDERS__{provider}__BASE_URL": sandbox.url for provider in PROVIDERS} | {
        "IDGW_AUTH__MODE": "none",
        "IDGW_PROVIDERS__VERIFIK__TOKEN": sandbox.token("verifik"),
        "IDGW_PROVIDERS__YOUVERIFY__TOKEN": sandbox.token("youverify"),
        "IDGW_PROVIDERS__ACCUAUTH__API_ID": accuauth["x-df-api-id"],
        "IDGW_PROVIDERS__ACCUAUTH__API_SECRET": accuauth["x-df-api-secret"],
    }
    with Gateway(flags=(), **settings) as gateway:
        yield gateway


@pytest.mark.parametrize(
    ("method", "provider", "body", "code", "requests"),
    [
        ("CheckCurp", "accuauth", '{"curp":"LENT900101HDFSND07"}', "UNAVAILABLE", 1),
        ("GetPerson", "verifik", '{"id":"person_slowanswer"}', "OK", 2),
    ],
)
def test_a_call_lost_on_its_way_back_is_asked_for_again_only_if_it_is_free(
    call: Call, gateway_of: Gateway, sandbox: Sandbox, method: str, provider: str, body: str, code: str, requests: int
):
    """A library says UNAVAILABLE of a lost connection too, also when the provider has already been asked."""
    wire = Wire(gateway_of.address)
    try:
        with ThreadPoolExecutor(1) as caller:
            answer = caller.submit(call, wire.address, method, body, 1)
            wait_for("the provider to be asked", lambda: sandbox.ledger()[provider]["received"] or None)
            wire.cut()
            assert answer.result() == code
        assert sandbox.ledger()[provider]["received"] == requests
    finally:
        wire.close()


def test_a_call_without_a_deadline_ends_by_the_service_configs(call: Call, gateway: Gateway):
    short = json.loads(json.dumps(CONFIG).replace(f'"{service_config.TIMEOUT}"', '"0.5s"'))
    assert call(gateway.address, "CheckCurp", '{"curp":"NUNC900101HDFSND02"}', 1, short) == "DEADLINE_EXCEEDED"


def test_a_call_waits_for_a_gateway_that_is_being_started(call: Call):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % free.getsockname()[1]
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
