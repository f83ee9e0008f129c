"""What a caller in Python sees beyond plain answers: standard error details, deadlines, repeats."""

import uuid

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2

from clients import SERVICES, CallFailed, Python
from harness import PATIENCE, sandbox_request


def refusal(python: Python, method: str, request: dict, timeout: float = PATIENCE) -> CallFailed:
    """The error that the call must end in."""
    with pytest.raises(CallFailed) as failed:
        python.call(method, request, timeout)
    return failed.value


def test_every_bad_field_is_named_and_no_value_is_repeated(python: Python):
    failed = refusal(
        python, "ScrubKenyaId", {"id": "no number at all", "id_type": "KENYA_ID_TYPE_UNSPECIFIED"}
    )
    assert failed.code == "INVALID_ARGUMENT"
    assert failed.details["ErrorInfo"]["domain"] == "identity-gateway"
    assert failed.details["ErrorInfo"]["reason"] == "INVALID_FIELD"
    fields = [violation["field"] for violation in failed.details["BadRequest"]["field_violations"]]
    assert "id_type" in fields
    assert "no number at all" not in f"{failed.text} {failed.details}"


def test_consent_is_required_before_the_provider_is_asked(python: Python):
    request = {"id": "1234567", "id_type": "KENYA_ID_TYPE_NATIONAL_ID"}
    failed = refusal(python, "ScrubKenyaId", request)
    assert failed.code == "FAILED_PRECONDITION"
    assert failed.details["ErrorInfo"]["reason"] == "CONSENT_REQUIRED"
    assert failed.details["PreconditionFailure"]["violations"]


def test_an_exhausted_quota_carries_what_is_known_and_no_advice_to_repeat(python: Python):
    failed = refusal(python, "CheckCurp", sandbox_request("CheckCurp", "403 OUT_OF_QUOTA"))
    assert failed.code == "RESOURCE_EXHAUSTED"
    info = failed.details["ErrorInfo"]
    assert info["reason"] == "PROVIDER_QUOTA_EXHAUSTED"
    assert uuid.UUID(info["metadata"].pop("verification_id")).version == 7
    assert info["metadata"] == {
        "provider": "accuauth",
        "provider_code": "OUT_OF_QUOTA",
        "http_status": "403",
        "billing": "not_billed",
    }
    assert failed.details["QuotaFailure"]["violations"]
    assert "RetryInfo" not in failed.details


def test_a_rate_limit_says_when_to_come_back(python: Python):
    failed = refusal(python, "CheckCurp", sandbox_request("CheckCurp", "429, Retry-After: 1"))
    assert failed.code == "RESOURCE_EXHAUSTED"
    assert failed.details["ErrorInfo"]["reason"] == "PROVIDER_RATE_LIMITED"
    assert failed.details["RetryInfo"]["retry_delay"].startswith("1")


def test_a_missing_person_is_not_found(python: Python):
    failed = refusal(python, "GetPerson", {"id": "person_unknown"})
    assert failed.code == "NOT_FOUND"
    assert failed.details["ErrorInfo"]["reason"] == "PERSON_NOT_FOUND"


def test_a_passed_deadline_is_deadline_exceeded(python: Python):
    request = sandbox_request("CheckCurp", "the usual response, after 60 s")
    assert refusal(python, "CheckCurp", request, timeout=0.3).code == "DEADLINE_EXCEEDED"


def test_a_repeated_request_id_creates_nothing(python: Python):
    request = {
        "person": {"given_name": "Grace", "family_name": "Muster"},
        "request_id": str(uuid.uuid4()),
    }
    first, second = python.start("CreatePerson", request), python.start("CreatePerson", request)
    created = python.read(first)
    assert python.read(second) == created
    assert python.call("CreatePerson", request) == created
    persons = python.call("ListPersons", {"page_size": 1000})["persons"]
    assert [person for person in persons if person["family_name"] == "Muster"] == [created["person"]]

    failed = refusal(python, "CreatePerson", request | {"person": {"given_name": "A", "family_name": "B"}})
    assert failed.code == "INVALID_ARGUMENT"
    assert failed.details["ErrorInfo"]["reason"] == "REQUEST_ID_REUSED"


def reflect(python: Python, version: str) -> grpc.StreamStreamMultiCallable:
    # The two versions have the same messages on the wire and differ only in the path.
    return python.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_answers_in_both_versions(python: Python, version: str):
    asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    [answer] = reflect(python, version)(asked, timeout=PATIENCE)
    listed = {service.name for service in answer.list_services_response.service}
    assert {*SERVICES, "grpc.health.v1.Health", f"grpc.reflection.{version}.ServerReflection"} <= listed


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_a_name_that_reflection_does_not_know_is_an_answer_and_the_stream_goes_on(python: Python, version: str):
    asked = [
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="idgw.identity.v1.Nothing"),
        reflection_pb2.ServerReflectionRequest(file_by_filename="nothing.proto"),
        reflection_pb2.ServerReflectionRequest(all_extension_numbers_of_type="google.protobuf.MethodOptions"),
    ]
    by_number = reflection_pb2.ServerReflectionRequest()
    by_number.file_containing_extension.containing_type = "google.protobuf.MethodOptions"
    by_number.file_containing_extension.extension_number = 50501
    unknown, no_file, numbers, file = reflect(python, version)(iter([*asked, by_number]), timeout=PATIENCE)
    assert unknown.error_response.error_code == no_file.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
    assert unknown.original_request == asked[0]
    assert list(numbers.all_extension_numbers_response.extension_number) == [50501]
    [encoded] = file.file_descriptor_response.file_descriptor_proto
    assert b"idgw/gateway/v1/policy.proto" in encoded


def test_requests_of_8_mib_pass(python: Python):
    face = bytes(8 * 1024 * 1024 - 1024)
    person = {"given_name": "Grace", "family_name": "Muster"}
    message = python.contract["idgw.person.v1.CreatePersonWithLivenessRequest"]()
    message.person.given_name, message.person.family_name = person.values()
    message.person.biometric_data.face_image = face
    stub = python.stubs["idgw.person.v1.PersonService"]
    created = stub.CreatePersonWithLiveness(message, timeout=PATIENCE).person
    read = python.contract["idgw.person.v1.GetPersonRequest"](id=created.id, view="PERSON_VIEW_FULL")
    roomy = grpc.insecure_channel(
        python.address, options=[("grpc.max_receive_message_length", 16 * 1024 * 1024)]
    )
    answer = python.contract["idgw.person.v1.PersonServiceStub"](roomy).GetPerson(read, timeout=PATIENCE)
    assert answer.person.biometric_data.face_image == face
