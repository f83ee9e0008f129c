"""All ten RPCs, by each of the three clients, against what the sandbox documents."""

import base64
import re
import uuid

from harness import sandbox_request

# One pixel, as a PNG file.
IMAGE = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNgAAAAAgAB5Sfe/AAAAABJRU5ErkJggg=="
)
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def verified(answer: dict, **expected: str) -> dict:
    """Checks the verification of an answer; its record."""
    verification = answer["verification"]
    assert uuid.UUID(verification.pop("id")).version == 7
    assert INSTANT.fullmatch(verification.pop("checked_at"))
    assert verification == expected | {
        "source": "SOURCE_PROVIDER",
        "environment": "ENVIRONMENT_SANDBOX",
    }
    return answer.get("record")


def test_verify_pe_foreigner_id_gives_the_documents_sample(client):
    answer = client.call(
        "VerifyPeForeignerId", {"document_number": "005015372", "birthdate": "1993-08-16"}
    )
    record = verified(
        answer,
        outcome="OUTCOME_FOUND",
        provider="verifik",
        provider_reference="K0MMA",
        billing="BILLING_UNKNOWN",
    )
    assert record == {
        "document_number": "005015372",
        "name": "ANA RENE CORDERO SANCHEZ",
        "given_name": "ANA RENE",
        "family_name": "CORDERO CAMPERO",
        "name_parts": ["CORDERO", "SANCHEZ", "ANA", "RENE"],
        "birthdate": "1993-08-16",
        "nationality": "VENEZOLANA",
        "nationality_code": "VE",
        "immigration_status": "HUMANITARIA",
        "card_issued_on": "2021-08-12",
        "card_expires_on": "2025-08-12",
        "residence_expires_on": "2025-02-26",
        "signature": {
            "message": "Certified by Verifik.co",
            "signed_at_text": "November 6, 2024 3:22 PM",
        },
    }


def test_verify_pe_dni_gives_the_documents_sample(client):
    record = verified(
        client.call("VerifyPeDni", {"document_number": "71640001"}),
        outcome="OUTCOME_FOUND",
        provider="verifik",
        provider_reference="FHBCC",
        billing="BILLING_UNKNOWN",
    )
    assert record == {
        "document_number": "71640001",
        "document_type": "DNI",
        "verification_digit": "2",
        "name": "ELENA QUISPE ROJAS",
        "given_name": "ELENA",
        "family_name": "QUISPE ROJAS",
        "name_parts": ["ELENA", "QUISPE", "ROJAS"],
        "birthdate": "1995-12-19",
        "gender": "GENDER_FEMALE",
        "gender_raw": "F",
        "marital_status": "SOLTERO",
        "address": "AV. EJEMPLO 123",
        "ubigeo": "070101",
        "signature": {
            "message": "Certified by Verifik.co",
            "signed_at_text": "April 16, 2025 2:43 PM",
        },
    }


def test_a_foreigner_id_that_nobody_holds_is_a_successful_call(client):
    answer = client.call(
        "VerifyPeForeignerId", {"document_number": "000000001", "birthdate": "1993-08-16"}
    )
    record = verified(
        answer,
        outcome="OUTCOME_NOT_FOUND",
        provider="verifik",
        provider_code="NotFound",
        provider_message="Record not found.",
        billing="BILLING_UNKNOWN",
    )
    assert record is None


def test_scrub_kenya_id_gives_the_documents_sample_and_the_metadata_back(client):
    metadata = {"ticket": "T-1", "step": 2, "tags": ["a", None, True]}
    answer = client.call(
        "ScrubKenyaId",
        {
            "id": "1234567",
            "id_type": "KENYA_ID_TYPE_NATIONAL_ID",
            "subject_consent": True,
            "metadata": metadata,
        },
    )
    assert answer["metadata"] == metadata
    record = verified(
        answer,
        outcome="OUTCOME_FOUND",
        provider="youverify",
        provider_reference="64eed6026b1a9b8f72c2925e",
        provider_code="found",
        provider_message="success",
        billing="BILLING_UNKNOWN",
    )
    assert record == {
        "id_number": "1234567",
        "id_type": "KENYA_ID_TYPE_NATIONAL_ID",
        "id_type_raw": "national-id",
        "given_name": "John",
        "middle_name": "M",
        "family_name": "Doe",
        "name": "John M Doe",
        "gender": "GENDER_MALE",
        "gender_raw": "Male",
        "marital_status": "Married",
        "birthdate": "2000-01-01",
        "email": "john.doe@example.com",
        "home_phone_number": "+8760000000",
        "mobile_phone_number": "254700000000",
        "work_phone_number": "040-0000000",
        "employment_name": "Teachers Service Commission.",
        "main_address": {"address": "NYAHURURU  KCC", "town": "Nyahururu", "country": "KE"},
        "secondary_address": {
            "address": "NAKURU-CENTRE",
            "town": "NYAHURURU",
            "postal_code": "20300",
            "country": "KE",
        },
        "contract_summary": {"open": 10, "closed": 2},
        "inquiries": {
            "last1_month": 6,
            "last3_months": 12,
            "last6_months": 27,
            "last12_months": 89,
            "last24_months": 355,
        },
        "envelope": {
        "status": "found",
        "data_validation": False,
        "selfie_validation": False,
        "all_validation_passed": True,
        "is_consent": True,
        "business_id": "628b38f03ae28a14f52d4bf7",
        "type": "keCreditInfo",
        "country": "KE",
        "requested_at": "2023-08-30T05:39:15.781Z",
        "requested_by": {
            "id": "628b38f03ae28a5a122d4bf3",
            "given_name": "API",
            "family_name": "User",
        },
        "requested_by_id": "628b38f03ae28a5a122d4bf3",
        "created_at": "2023-08-30T05:39:15.974Z",
        "last_modified_at": "2023-08-30T05:39:15.974Z",
        },
    }


def test_check_curp_gives_the_documents_sample_without_the_pdf(client):
    request = sandbox_request("CheckCurp", "200 found, the document's sample")
    record = verified(
        client.call("CheckCurp", request),
        outcome="OUTCOME_FOUND",
        provider="accuauth",
        provider_reference="TID6f814b81bfb44c97a63b13e2750a3a2a",
        provider_code="0",
        provider_message="success",
        billing="BILLING_BILLED",
    )
    assert record == {
        "curp": request["curp"],
        "given_name": "ROBERTO ALONSO",
        "first_family_name": "RAXXX",
        "second_family_name": "ZAPAXX",
        "gender": "GENDER_MALE",
        "gender_raw": "HOMBRE",
        "birthdate": "1981-10-11",
        "birth_country": "MEXICO",
        "birth_country_code": "MX",
        "birth_state": "VERACRUZ",
        "status": "CURP_STATUS_RCN",
        "status_raw": "RCN",
        "active": True,
        "proof_document_type": "PROOF_DOCUMENT_TYPE_BIRTH_CERTIFICATE",
        "proof_document_type_raw": "1",
        "proof_document": {
            "registry_entity": "VERACRUZ",
            "registry_entity_code": "30",
            "registry_municipality": "MINATITLÁN",
            "registry_municipality_code": "108",
            "registry_year": "1983",
            "act_number": "03382",
        },
        "validation_code": "vc16752xxxxx1.73xxxxxx",
        "message_code": "0",
        "estatus": "OK",
    }


def test_check_curp_gives_the_pdf_on_request(client):
    request = sandbox_request("CheckCurp", "200 found, with the PDF")
    assert request["include_document"]
    document = base64.b64decode(client.call("CheckCurp", request)["record"]["document"])
    assert document.startswith(b"%PDF-")
    assert document.rstrip().endswith(b"%%EOF")


def test_read_mask_leaves_nothing_but_what_was_asked_for(client):
    request = sandbox_request("CheckCurp", "200 found, the document's sample")
    answer = client.call("CheckCurp", request | {"read_mask": "record.curp,verification.outcome"})
    assert answer == {
        "verification": {"outcome": "OUTCOME_FOUND"},
        "record": {"curp": request["curp"]},
    }


def test_a_person_is_created_read_listed_changed_and_deleted(client):
    given = {
        "given_name": "Grace",
        "family_name": "Muster",
        "email": "grace.muster@example.com",
        "phone_number": "+15550100",
        "birthdate": "1990-12-09",
        "document_type": "passport",
        "document_number": "X0000001",
    }
    created = client.call("CreatePerson", {"person": given})["person"]
    assert INSTANT.fullmatch(created["create_time"]) and INSTANT.fullmatch(created["update_time"])
    assert created == given | {
        "id": created["id"],
        "verification_status": "VERIFICATION_STATUS_PENDING",
        "create_time": created["create_time"],
        "update_time": created["update_time"],
    }

    assert client.call("GetPerson", {"id": created["id"]})["person"] == created
    assert created in listed(client)

    changed = client.call(
        "UpdatePerson",
        {
            "person": {"id": created["id"], "email": "g.muster@example.com", "given_name": "ignored"},
            "update_mask": "email",
        },
    )["person"]
    assert changed == created | {
        "email": "g.muster@example.com",
        "update_time": changed["update_time"],
    }
    assert client.call("GetPerson", {"id": created["id"]})["person"] == changed

    assert client.call("DeletePerson", {"id": created["id"]}) == {}
    assert created["id"] not in [person["id"] for person in listed(client)]


def listed(client) -> list[dict]:
    """Every person, page by page."""
    persons, token = [], ""
    while True:
        answer = client.call("ListPersons", {"page_size": 2, "page_token": token})
        assert len(answer["persons"]) <= 2
        persons += answer["persons"]
        token = answer.get("next_page_token", "")
        if not token:
            return persons


def test_create_with_liveness_verifies_and_images_come_only_with_the_full_view(client):
    created = client.call(
        "CreatePersonWithLiveness",
        {
            "person": {
                "given_name": "Grace",
                "family_name": "Muster",
                "biometric_data": {"face_image": IMAGE},
            }
        },
    )["person"]
    assert created["verification_status"] == "VERIFICATION_STATUS_VERIFIED"
    assert created["biometric_data"] == {"liveness_score": 0.95}

    basic = client.call("GetPerson", {"id": created["id"]})["person"]
    assert basic["biometric_data"] == {"liveness_score": 0.95}
    full = client.call("GetPerson", {"id": created["id"], "view": "PERSON_VIEW_FULL"})["person"]
    assert full["biometric_data"] == {"liveness_score": 0.95, "face_image": IMAGE}
    client.call("DeletePerson", {"id": created["id"]})
