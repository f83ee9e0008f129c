"""What a stranger with grpcurl sees: the services, their description, readable errors, health."""

import json
import re

import pytest

from clients import SERVICES, CallFailed, Grpcurl
from harness import gateway


def test_list_shows_both_services_health_and_reflection(grpcurl: Grpcurl):
    listed = grpcurl.command("list").split()
    assert {*SERVICES, "grpc.health.v1.Health"} <= set(listed)
    assert any(name.startswith("grpc.reflection.") for name in listed)


@pytest.mark.parametrize("service", SERVICES)
def test_describe_shows_every_rpc_of_a_service(grpcurl: Grpcurl, service: str):
    described = grpcurl.command(f"describe {service}")
    assert f"{service} is a service:" in described
    rpcs = re.findall(r"rpc (\w+) \( \.([\w.]+) \) returns \( \.([\w.]+) \)", described)
    package = service.rpartition(".")[0]
    assert sorted(rpcs) == sorted(
        (method, f"{package}.{method}Request", f"{package}.{method}Response")
        for method in SERVICES[service]
    )


def test_describe_shows_an_extension_and_the_policy_of_an_rpc(grpcurl: Grpcurl):
    assert "idgw.gateway.v1.policy is an extension:" in grpcurl.command("describe idgw.gateway.v1.policy")
    described = grpcurl.command("describe idgw.identity.v1.IdentityService.CheckCurp")
    assert 'option (.idgw.gateway.v1.policy) = { charge:CHARGE_PER_REQUEST' in described


def test_describe_shows_the_fields_of_a_message(grpcurl: Grpcurl):
    described = grpcurl.command("describe idgw.identity.v1.CheckCurpRequest")
    fields = re.findall(r"^ +([\w.]+) (\w+) = (\d+);", described, re.MULTILINE)
    assert [name for _, name, _ in fields] == ["curp", "include_document", "max_age", "read_mask", "request_id"]


def test_a_refused_request_names_every_bad_field_readably(grpcurl: Grpcurl):
    request = {"document_number": "?", "birthdate": "2999-01-01"}
    with pytest.raises(CallFailed) as failed:
        grpcurl.call("VerifyPeForeignerId", request)
    assert failed.value.code == "INVALID_ARGUMENT"
    details = readable_details(failed.value)
    info = details["ErrorInfo"]
    assert (info["domain"], info["reason"]) == ("identity-gateway", "INVALID_FIELD")
    fields = [violation["field"] for violation in details["BadRequest"]["fieldViolations"]]
    assert sorted(fields) == ["birthdate", "document_number"]


def test_an_exhausted_quota_is_told_readably(own_gateway):
    request = {"document_number": "NOCREDITS", "birthdate": "1993-08-16"}
    with pytest.raises(CallFailed) as failed:
        Grpcurl(own_gateway.address).call("VerifyPeForeignerId", request)
    assert failed.value.code == "RESOURCE_EXHAUSTED"
    details = readable_details(failed.value)
    assert details["ErrorInfo"]["reason"] == "PROVIDER_QUOTA_EXHAUSTED"
    assert "QuotaFailure" in details


def readable_details(failed: CallFailed) -> dict[str, dict]:
    """The details as grpcurl prints them, by name. It decodes only what the server's reflection knows."""
    decoder, details, text = json.JSONDecoder(), {}, failed.text
    for start in re.finditer(r"^  \d+\)\s*", text, re.MULTILINE):
        detail, _ = decoder.raw_decode(text, start.end())
        assert "@error" not in detail, detail["@error"]
        details[detail["@type"].rpartition(".")[2]] = detail
    return details


@pytest.mark.parametrize("service", ["", *SERVICES])
def test_health_is_serving_for_grpcurl_and_for_the_probe(grpcurl: Grpcurl, service: str):
    request = json.dumps({"service": service})
    answer = grpcurl.command("-d", request, "grpc.health.v1.Health/Check")
    assert json.loads(answer) == {"status": "SERVING"}

    probe = gateway("health", "--service", service, "--address", grpcurl.address)
    assert (probe.returncode, probe.stdout, probe.stderr) == (0, "SERVING\n", "")


def test_health_of_an_unknown_service_is_no_success(grpcurl: Grpcurl):
    with pytest.raises(CallFailed) as failed:
        grpcurl.command("-d", '{"service":"nobody.v1.Nothing"}', "grpc.health.v1.Health/Check")
    assert failed.value.code == "NOT_FOUND"

    probe = gateway("health", "--service", "nobody.v1.Nothing", "--address", grpcurl.address)
    assert (probe.returncode, probe.stdout) == (1, "SERVICE_UNKNOWN\n")
