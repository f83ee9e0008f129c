"""A complete client of the identity gateway. docs/clients.md says how to run it and what it shows."""

import os
import secrets
import sys
from pathlib import Path

import grpc
from identity_gateway import SERVICE_CONFIG, GatewayError, connect, new_request_id, token_file, until_answered
from identity_gateway.identity import v1 as identity
from identity_gateway.person import v1 as person


class TraceContext(grpc.UnaryUnaryClientInterceptor):
    """Sends W3C trace context: each call is a span of its own in one trace.

    With OpenTelemetry in the program, use opentelemetry-instrumentation-grpc instead.
    """

    def __init__(self, traceparent: str | None):
        self.trace_id = traceparent.split("-")[1] if traceparent else secrets.token_hex(16)

    def intercept_unary_unary(self, continuation, details, request):
        traceparent = f"00-{self.trace_id}-{secrets.token_hex(8)}-01"
        metadata = [*(details.metadata or ()), ("traceparent", traceparent)]
        return continuation(details._replace(metadata=metadata), request)


def channel(address: str, *, fail_fast: bool = False) -> grpc.Channel:
    """A channel by the environment: TLS if there is a CA file, a token if there is a token file."""
    ca_file, token = os.environ.get("GATEWAY_CA_FILE"), os.environ.get("GATEWAY_TOKEN_FILE")
    config = os.environ.get("GATEWAY_SERVICE_CONFIG")
    return connect(
        address,
        plaintext=ca_file is None,
        ca_file=ca_file,
        token=token_file(token) if token else None,
        service_config=Path(config).read_text() if config else SERVICE_CONFIG,
        fail_fast=fail_fast,
    )


def explain(error: GatewayError) -> str:
    """What an error says of itself: `CODE REASON`, whose it is, what it cost, which fields, when to come again."""
    text = error.code().name
    if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
        # It has details only if the gateway's answer was quicker than the library's own clock.
        return text
    # Without a reason it is not the gateway's: nobody says what it cost, or whether anything was sent.
    text += f" {error.reason}" if error.reason else " without ErrorInfo"
    if "billing" in error.metadata:
        text += f" by {error.metadata['provider']}, {error.billing}"
    if error.violations:
        text += " in " + ", ".join(sorted(violation.field for violation in error.violations))
    if error.retry_after is not None:
        text += f", again after {error.retry_after.total_seconds():g} s"
    return text


def is_recovered(verification: identity.Verification) -> bool:
    """Whether an earlier call has paid for the answer. It was there already, or still on its way to that call."""
    return verification.source in (identity.SOURCE_RECOVERED, identity.SOURCE_COALESCED)


def refused(call, request, timeout: float | None = None) -> str:
    """Makes a call that must fail; its explanation."""
    try:
        call(request, timeout=timeout)
    except GatewayError as error:
        return explain(error)
    sys.exit(f"{type(request).__name__} should have been refused")


def main() -> None:
    trace = TraceContext(os.environ.get("TRACEPARENT"))
    print("trace:", trace.trace_id)
    with channel(os.environ.get("GATEWAY_ADDRESS", "localhost:50051")) as gateway:
        gateway = grpc.intercept_channel(gateway, trace)
        identities = identity.IdentityServiceStub(gateway)
        persons = person.PersonServiceStub(gateway)

        # A verification. The answer says what was found, who said it, and what it cost.
        curp = identity.CheckCurpRequest(curp="RAZR811011HVZXPB01", request_id=new_request_id())
        answer = identities.CheckCurp(curp, timeout=10)
        found = answer.verification
        print(
            "found:",
            identity.Outcome.Name(found.outcome),
            f"by {found.provider},",
            identity.Billing.Name(found.billing) + ",",
            identity.CurpStatus.Name(answer.record.status),
        )

        # Nobody by that number: a successful call, not an error.
        kenyan = identity.ScrubKenyaIdRequest(
            id="00000000",
            id_type=identity.KENYA_ID_TYPE_NATIONAL_ID,
            subject_consent=True,
            request_id=new_request_id(),
        )
        nobody = identities.ScrubKenyaId(kenyan, timeout=10).verification
        print("nobody:", identity.Outcome.Name(nobody.outcome), f"by {nobody.provider}")

        # Errors, read by their details. The message is for people; programs go by code and reason.
        bad = identity.VerifyPeForeignerIdRequest(
            document_number="?", birthdate="2999-01-01", request_id=new_request_id()
        )
        print("bad request:", refused(identities.VerifyPeForeignerId, bad))
        no_consent = identity.ScrubKenyaIdRequest(
            id="1234567", id_type=identity.KENYA_ID_TYPE_NATIONAL_ID, request_id=new_request_id()
        )
        print("no consent:", refused(identities.ScrubKenyaId, no_consent))
        down = identity.CheckCurpRequest(curp="DOWN900101HDFSND09", request_id=new_request_id())
        print("provider down:", refused(identities.CheckCurp, down))

        # A registry that takes longer than the call may: the same call again gets what the first one has paid for.
        slow = identity.ScrubKenyaIdRequest(
            id="900002001",
            id_type=identity.KENYA_ID_TYPE_NATIONAL_ID,
            subject_consent=True,
            request_id=new_request_id(),
        )
        errors: list[GatewayError] = []
        late = until_answered(identities.ScrubKenyaId, slow, timeout=1, late=errors.append).verification
        print(
            "too slow:",
            f"{explain(errors[0])}, then",
            identity.Outcome.Name(late.outcome) + ",",
            "recovered" if is_recovered(late) else "asked again",
        )

        # A create can be sent again with its request_id: it returns the first answer.
        create = person.CreatePersonRequest(
            person=person.Person(
                given_name="Grace",
                family_name="Muster",
                biometric_data=person.BiometricData(face_image=bytes(5 * 1024 * 1024)),
            ),
            request_id=new_request_id(),
        )
        first = persons.CreatePerson(create, timeout=10).person
        again = persons.CreatePerson(create, timeout=10).person
        print("created:", "once" if first.id == again.id else "twice")

        # A read is free: after UNAVAILABLE the library repeats it as the service config says.
        by_id = person.GetPersonRequest(id=first.id, view=person.PERSON_VIEW_FULL)
        read = persons.GetPerson(by_id, timeout=10).person
        image = len(read.biometric_data.face_image) // (1024 * 1024)
        status = person.VerificationStatus.Name(read.verification_status)
        print("read:", read.given_name, f"{status}, an image of {image} MiB")
        failing = person.GetPersonRequest(id="person_outofservice")
        print("read, provider down:", refused(persons.GetPerson, failing))

        limited = identity.CheckCurpRequest(curp="MUCH900101HDFSND01", request_id=new_request_id())
        print("rate limit:", refused(identities.CheckCurp, limited))

    # No gateway at all. Nothing has left here, but the library says the same of a connection that broke after the request
    # was sent: so it is asked again with the same request_id, which never pays twice.
    with channel("localhost:1", fail_fast=True) as nowhere:
        identities = identity.IdentityServiceStub(nowhere)
        print("gateway down:", refused(identities.CheckCurp, curp, timeout=10))


if __name__ == "__main__":
    main()
