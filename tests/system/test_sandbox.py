"""The provider sandbox alone, asked over plain HTTP as the provider documents show."""

import re
import tomllib
from pathlib import Path

import pytest

from clients import METHODS, CallFailed, Command
from harness import REPOSITORY, Gateway, Sandbox, gateway

FOREIGNER = "/v2/pe/foreigner-id/ce?documentNumber=005015372&dateOfBirth=16/08/1993"
SCRUB = {"id": "1234567", "idType": "national-id", "isSubjectConsent": True}


def test_verifiks_sample_request_gives_its_sample_answer(sandbox: Sandbox):
    status, answer = sandbox.ask(FOREIGNER, **sandbox.credentials()["verifik"])
    assert status == 200
    assert answer["id"] == "K0MMA"
    assert answer["data"]["fullName"] == "ANA RENE CORDERO SANCHEZ"
    assert answer["data"]["dateOfBirth"] == "16/08/1993"


def test_verifiks_missing_parameter_is_a_409(sandbox: Sandbox):
    path = FOREIGNER.partition("?")[0] + "?dateOfBirth=16/08/1993"
    answer = sandbox.ask(path, **sandbox.credentials()["verifik"])
    assert answer == (409, {"code": "MissingParameter", "message": "missing documentNumber\n"})


def test_youverifys_sample_requests_give_its_sample_answers(sandbox: Sandbox):
    token = sandbox.credentials()["youverify"]
    path = "/v2/api/identity/ke/id-scrub"
    status, answer = sandbox.ask(path, SCRUB, **token)
    assert (status, answer["success"], answer["data"]["status"]) == (200, True, "found")
    assert answer["data"]["dateOfBirth"] == "1999-12-31T21:00:00Z"
    assert answer["data"]["lastEmployment"] == "NotSpecified"

    status, answer = sandbox.ask(path, SCRUB | {"id": "00000000"}, **token)
    assert (status, answer["success"], answer["data"]["status"]) == (200, True, "not_found")
    assert answer["data"]["reason"] == "Person Not Found"


def test_accuauths_sample_request_gives_its_sample_answer(sandbox: Sandbox):
    secrets = sandbox.credentials()["accuauth"]
    path = "/verify/id_check"
    status, answer = sandbox.ask(path, {"id_number": "RAZR811011HVZXPB01"}, **secrets)
    assert (status, answer["status"], answer["result_code"]) == (200, "OK", "0")
    assert answer["result"]["estatusCurp"] == "RCN"

    status, answer = sandbox.ask(path, {}, **secrets)
    assert (status, answer["status"]) == (400, "INVALID_ARGUMENT")
    assert answer["reason"] == "argument 'id_number': not found"


def test_persons_are_kept(sandbox: Sandbox):
    token = sandbox.credentials()["verifik"]
    status, sample = sandbox.ask("/v2/persons/person_123456789", **token)
    assert (status, sample["firstName"], sample["verificationStatus"]) == (200, "John", "verified")

    given = {"firstName": "Grace", "lastName": "Muster"}
    _, created = sandbox.ask("/v2/persons", given, **token)
    path = f"/v2/persons/{created['id']}"
    _, changed = sandbox.ask(path, {"email": "grace@example.com"}, method="PUT", **token)
    assert changed["email"] == "grace@example.com"
    assert sandbox.ask(path, **token) == (200, changed)
    assert sandbox.ask(path, method="DELETE", **token)[0] == 200
    assert sandbox.ask(path, **token)[0] == 404


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (FOREIGNER, None, 401),
        ("/v2/persons", None, 401),
        ("/v2/api/identity/ke/id-scrub", SCRUB, 403),
        ("/verify/id_check", {"id_number": "RAZR811011HVZXPB01"}, 401),
    ],
)
def test_a_missing_or_wrong_credential_is_refused(
    sandbox: Sandbox, path: str, body: dict | None, status: int
):
    wrong = {
        "authorization": "Bearer nobody",
        "token": "nobody",
        "x-df-api-id": "nobody",
        "x-df-api-secret": "nobody",
    }
    assert sandbox.ask(path, body)[0] == 401
    assert sandbox.ask(path, body, **wrong)[0] == status


def test_the_ledger_counts_what_would_have_been_charged(sandbox: Sandbox):
    counts = ["received", "billed", "not_billed", "unknown"]
    assert sandbox.ledger() == {
        provider: dict.fromkeys(counts, 0) for provider in ("verifik", "youverify", "accuauth")
    }
    secrets = sandbox.credentials()["accuauth"]
    for id_number in ("RAZR811011HVZXPB01", "HEGG560427MVZRRL04", "QUOT900101HDFSND08"):
        sandbox.ask("/verify/id_check", {"id_number": id_number}, **secrets)
    sandbox.ask(FOREIGNER, **sandbox.credentials()["verifik"])
    ledger = sandbox.ledger()
    assert ledger["accuauth"] == dict(zip(counts, [3, 2, 1, 0], strict=True))
    assert ledger["verifik"] == dict(zip(counts, [1, 0, 0, 1], strict=True))
    assert ledger["youverify"] == dict.fromkeys(counts, 0)


def test_the_sandbox_ends_with_0_at_sigterm(sandbox: Sandbox):
    sandbox.terminate()
    assert sandbox.wait() == 0


def test_the_published_table_names_all_ten_rpcs():
    listed = gateway("sandbox", "--list")
    assert listed.returncode == 0
    assert all(f"`{method}`" in listed.stdout for method in METHODS)


def test_the_documents_fixtures_are_people_whom_the_gateway_finds(tmp_path: Path):
    """docs/sandbox.md's example, asked for as a caller would: the gateway asks nobody about impossible numbers."""
    [text] = re.findall(r"```toml\n(# Which calls.*?)```", (REPOSITORY / "docs" / "sandbox.md").read_text(), re.DOTALL)
    fixtures = tmp_path / "fixtures.toml"
    fixtures.write_text(text)
    people = {lookup["rpc"]: lookup for lookup in tomllib.loads(text)["lookup"]}
    asked = {
        "CheckCurp": {"curp": people["CheckCurp"]["id"]},
        "VerifyPeForeignerId": {"document_number": people["VerifyPeForeignerId"]["id"], "birthdate": "1984-03-02"},
        # The registry is down, then times out, then has nobody.
        "ScrubKenyaId": {"id": people["ScrubKenyaId"]["id"], "id_type": "KENYA_ID_TYPE_NATIONAL_ID", "subject_consent": True},
    }
    assert asked.keys() == people.keys()
    settings = {"IDGW_SANDBOX__FIXTURES": str(fixtures), "IDGW_PROVIDERS__YOUVERIFY__MAX_ATTEMPTS": "1", "IDGW_PROVIDERS__YOUVERIFY__TIMEOUT": "1s"}
    with Gateway(**settings) as serving:
        command = Command(serving.address)
        assert command.call("CheckCurp", asked["CheckCurp"])["record"]["given_name"] == "ELENA"
        assert command.call("VerifyPeForeignerId", asked["VerifyPeForeignerId"])["record"]["name"] == "ROSA QUISPE"
        with pytest.raises(CallFailed, match="UNAVAILABLE PROVIDER_UNAVAILABLE"):
            command.call("ScrubKenyaId", asked["ScrubKenyaId"])
        with pytest.raises(CallFailed, match="DEADLINE_EXCEEDED PROVIDER_TIMEOUT"):
            command.call("ScrubKenyaId", asked["ScrubKenyaId"])
        assert command.call("ScrubKenyaId", asked["ScrubKenyaId"])["verification"]["outcome"] == "OUTCOME_NOT_FOUND"
        assert command.call("ScrubKenyaId", asked["ScrubKenyaId"])["record"]["given_name"] == "Wanjiru"
        assert command.call("GetPerson", {"id": "person_of_ours"})["person"]["given_name"] == "Ada"
