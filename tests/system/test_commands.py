"""The commands of the program that are not servers: `call`, `check-config`, and what they refuse."""

import json
from pathlib import Path

import grpc
import pytest

from clients import SERVICES, CallFailed, Command
from harness import Gateway, gateway, sandbox_table

TIMEOUTS = [f"IDGW_PROVIDERS__{name}__TIMEOUT" for name in ("VERIFIK", "YOUVERIFY", "ACCUAUTH")]
# Every reason of the error table that comes from a provider.
REASONS = {
    "LIVENESS_FAILED",
    "PERSON_ALREADY_EXISTS",
    "PERSON_NOT_FOUND",
    "PROVIDER_CREDENTIALS_REJECTED",
    "PROVIDER_DATA_ERROR",
    "PROVIDER_MISCONFIGURED",
    "PROVIDER_OUTCOME_UNKNOWN",
    "PROVIDER_PENDING",
    "PROVIDER_QUOTA_EXHAUSTED",
    "PROVIDER_RATE_LIMITED",
    "PROVIDER_REJECTED_ARGUMENT",
    "PROVIDER_REPEATED_REQUEST",
    "PROVIDER_RESPONSE_MALFORMED",
    "PROVIDER_SOURCE_TIMEOUT",
    "PROVIDER_TIMEOUT",
    "PROVIDER_UNAVAILABLE",
    "PROVIDER_VERIFY_FAILED",
}


def test_call_shows_code_and_reason_of_every_error_that_the_sandbox_documents():
    # One row for each provider and result.
    rows = {(row["Provider"], row["The gateway gives"]): row for row in sandbox_table()}
    wrong, reasons = [], set()
    for (_, gives), row in sorted(rows.items()):
        if gives.startswith("OK"):
            continue
        # A new gateway each time: one failure must not hold back the next call.
        with Gateway(**dict.fromkeys(TIMEOUTS, "1s")) as sandboxed:
            called = gateway("call", row["Method"], row["Request"], "--address", sandboxed.address)
        said = called.stderr.split("\n", 1)[0]
        code = 64 + grpc.StatusCode[gives.split()[0]].value[0]
        if (called.returncode, called.stdout, said) != (code, "", f"error: {gives}"):
            wrong.append((row, called))
        reasons.add(gives.split()[1])
    assert not wrong
    assert reasons == REASONS


def test_call_prints_the_details_in_words(shared_gateway: Gateway):
    request = '{"document_number":"?","birthdate":"2999-01-01"}'
    called = gateway("call", "VerifyPeForeignerId", request, "--address", shared_gateway.address)
    lines = called.stderr.splitlines()
    assert lines[0] == "error: INVALID_ARGUMENT INVALID_FIELD"
    assert "ErrorInfo: domain=identity-gateway reason=INVALID_FIELD" in lines
    assert len([line for line in lines if line.startswith("BadRequest: ")]) == 2


def test_call_takes_every_spelling_of_a_method_and_standard_input(shared_gateway: Gateway):
    request = '{"id":"person_123456789"}'
    spellings = ["GetPerson", "idgw.person.v1.PersonService/GetPerson", "idgw.person.v1.PersonService.GetPerson"]
    answers = [
        gateway("call", method, request, "--address", shared_gateway.address) for method in spellings
    ]
    answers.append(gateway("call", "GetPerson", "-", "--address", shared_gateway.address, stdin=request))
    assert all(answer.returncode == 0 for answer in answers)
    assert len({answer.stdout for answer in answers}) == 1


def test_call_and_health_without_a_gateway_say_so():
    nobody = "127.0.0.1:1"
    called = gateway("call", "GetPerson", "{}", "--address", nobody)
    assert (called.returncode, called.stdout) == (1, "")
    assert nobody in called.stderr
    probe = gateway("health", "--address", nobody)
    assert (probe.returncode, probe.stdout) == (1, "")
    assert nobody in probe.stderr


def test_check_config_names_a_misspelt_variable():
    checked = gateway("check-config", IDGW_PROVIDERS__VERIFIK__TOKN="secret-of-the-test")
    assert (checked.returncode, checked.stdout) == (64, "")
    assert "IDGW_PROVIDERS__VERIFIK__TOKN" in checked.stderr
    assert "secret-of-the-test" not in checked.stderr


def test_check_config_names_a_misspelt_key_of_a_file_and_serve_refuses_it(tmp_path: Path):
    file = tmp_path / "gateway.toml"
    file.write_text('[server]\nlame_dukc = "3s"\n')
    for command in (["check-config"], ["serve", "--sandbox"]):
        refused = gateway(*command, "--config", file)
        assert (refused.returncode, refused.stdout) == (64, "")
        assert "lame_dukc" in refused.stderr


def test_check_config_prints_what_is_effective_and_hides_secrets():
    settings = {
        "IDGW_PROVIDERS__VERIFIK__TOKEN": "secret-of-the-test",
        "IDGW_PROVIDERS__ACCUAUTH__API_ID": "id-of-the-test",
        "IDGW_PROVIDERS__ACCUAUTH__API_SECRET": "secret-of-the-test",
        "IDGW_SERVER__LAME_DUCK": "7s",
        "IDGW_AUTH__MODE": "none",
    }
    checked = gateway("check-config", **settings)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert 'lame_duck = "7s"' in checked.stdout
    assert "of-the-test" not in checked.stdout


def test_serve_refuses_to_start_until_it_is_said_how_callers_are_known():
    refused = gateway("serve")
    assert (refused.returncode, refused.stdout) == (64, "")
    assert "auth.mode" in refused.stderr


def test_without_a_credential_a_providers_rpcs_say_so_and_the_others_work(sandbox):
    settings = {
        "IDGW_AUTH__MODE": "none",
        "IDGW_PROVIDERS__YOUVERIFY__BASE_URL": sandbox.url,
        "IDGW_PROVIDERS__YOUVERIFY__TOKEN": sandbox.token("youverify"),
    }
    with Gateway(flags=(), **settings) as serving:
        command = Command(serving.address)
        requests = {
            "VerifyPeForeignerId": {"document_number": "005015372", "birthdate": "1993-08-16"},
            "CheckCurp": {"curp": "HEGG560427MVZRRL04"},
            "CreatePerson": {"person": {"given_name": "Grace", "family_name": "Muster"}},
            "GetPerson": {"id": "person_123456789"},
            "ListPersons": {},
            "DeletePerson": {"id": "person_123456789"},
        }
        for method, request in requests.items():
            with pytest.raises(CallFailed) as failed:
                command.call(method, request)
            assert failed.value.text.startswith("error: FAILED_PRECONDITION PROVIDER_NOT_CONFIGURED\n")
        request = {"id": "1234567", "id_type": "KENYA_ID_TYPE_NATIONAL_ID", "subject_consent": True}
        answer = command.call("ScrubKenyaId", request)
        assert answer["verification"]["outcome"] == "OUTCOME_FOUND"
        for service in ("", *SERVICES):
            assert gateway("health", "--service", service, "--address", serving.address).returncode == 0
    ledger = sandbox.ledger()
    assert (ledger["verifik"]["received"], ledger["accuauth"]["received"]) == (0, 0)


def test_the_log_has_one_line_a_call_and_nothing_of_the_person(own_gateway: Gateway):
    command = Command(own_gateway.address)
    person = {"given_name": "Ermintrude", "family_name": "Muster", "email": "ermintrude@example.com"}
    requests = {
        "VerifyPeForeignerId": {"document_number": "005015372", "birthdate": "1993-08-16"},
        "ScrubKenyaId": {
            "id": "1234567",
            "id_type": "KENYA_ID_TYPE_NATIONAL_ID",
            "subject_consent": True,
            "metadata": {"ticket": "T-4711"},
        },
        "CheckCurp": {"curp": "HEGG560427MVZRRL04"},
        "CreatePerson": {"person": person},
        "ListPersons": {},
    }
    for method, request in requests.items():
        command.call(method, request)
    gateway("health", "--address", own_gateway.address)
    own_gateway.terminate()
    assert own_gateway.wait() == 0

    lines = own_gateway.log("call")
    assert [line["rpc"].rpartition("/")[2] for line in lines] == list(requests)
    assert all(line["code"] == "OK" and line["duration_ms"] > 0 for line in lines)
    log = own_gateway.output().lower()
    assert json.dumps("stopped") in log
    private = ["005015372", "1993-08-16", "cordero", "1234567", "t-4711", "doe", "hegg560427"]
    private += ["ermintrude", "muster", "sandbox-verifik-token", "sandbox-api"]
    assert [word for word in private if word in log] == []
