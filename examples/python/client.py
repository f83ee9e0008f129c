"""A complete client of the identity gateway. docs/clients.md says how to run it and what it shows.

The stubs are made from ../../proto by `make_stubs.py`, which is this example's whole build.
"""

import os
import secrets
import sys
import uuid
from pathlib import Path

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

sys.path.insert(0, str(Path(__file__).parent / "stubs"))

from idgw.identity.v1 import curp_pb2, identity_service_pb2, identity_service_pb2_grpc, kenya_id_pb2, verification_pb2
from idgw.person.v1 import person_pb2, person_service_pb2, person_service_pb2_grpc

HERE = Path(__file__).resolve().parent


class BearerToken(grpc.AuthMetadataPlugin):
    """Sends the token with each call. The file is read each time: tokens are renewed in place."""

    def __init__(self, file: Path):
        self.file = file

    def __call__(self, _context, callback) -> None:
        try:
            callback((("authorization", f"Bearer {self.file.read_text().strip()}"),), None)
        except OSError as error:
            callback((), error)


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


def connect() -> grpc.Channel:
    """A channel by the environment: TLS if there is a CA file, a token if there is a token file."""
    address = os.environ.get("GATEWAY_ADDRESS", "localhost:50051")
    ca_file, token_file = os.environ.get("GATEWAY_CA_FILE"), os.environ.get("GATEWAY_TOKEN_FILE")
    service_config = os.environ.get("GATEWAY_SERVICE_CONFIG", HERE / "../../deploy/client/service-config.json")
    options = [("grpc.service_config", Path(service_config).read_text())]
    if ca_file is None:
        if token_file is not None:
            sys.exit("GATEWAY_TOKEN_FILE needs GATEWAY_CA_FILE: a token is not sent in the clear")
        return grpc.insecure_channel(address, options)
    credentials = grpc.ssl_channel_credentials(Path(ca_file).read_bytes())
    if token_file is not None:
        token = grpc.metadata_call_credentials(BearerToken(Path(token_file)))
        credentials = grpc.composite_channel_credentials(credentials, token)
    return grpc.secure_channel(address, credentials, options)


def explain(error: grpc.RpcError) -> str:
    """What an error says of itself: `CODE REASON`, whose it is, what it cost, which fields, when to come again."""
    if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
        # It has details only if the gateway's answer was quicker than the library's own clock.
        return error.code().name
    status = rpc_status.from_call(error)
    details = list(status.details) if status else []
    text = error.code().name
    for info in unpacked(details, error_details_pb2.ErrorInfo):
        text += f" {info.reason}"
        if "billing" in info.metadata:
            text += f" by {info.metadata['provider']}, {info.metadata['billing']}"
    for bad in unpacked(details, error_details_pb2.BadRequest):
        text += " in " + ", ".join(sorted(violation.field for violation in bad.field_violations))
    for retry in unpacked(details, error_details_pb2.RetryInfo):
        text += f", again after {retry.retry_delay.ToSeconds()} s"
    return text


def unpacked(details, kind):
    """The details of that kind; each is there once at most."""
    for detail in details:
        message = kind()
        if detail.Unpack(message):
            yield message


def refused(call, request, timeout: float | None = None) -> str:
    """Makes a call that must fail; its explanation."""
    try:
        call(request, timeout=timeout)
    except grpc.RpcError as error:
        return explain(error)
    sys.exit(f"{type(request).__name__} should have been refused")


def main() -> None:
    trace = TraceContext(os.environ.get("TRACEPARENT"))
    print("trace:", trace.trace_id)
    with connect() as channel:
        channel = grpc.intercept_channel(channel, trace)
        identity = identity_service_pb2_grpc.IdentityServiceStub(channel)
        persons = person_service_pb2_grpc.PersonServiceStub(channel)

        # A verification. The answer says what was found, who said it, and what it cost.
        answer = identity.CheckCurp(
            identity_service_pb2.CheckCurpRequest(curp="RAZR811011HVZXPB01"), timeout=10
        )
        found = answer.verification
        print(
            "found:",
            verification_pb2.Outcome.Name(found.outcome),
            f"by {found.provider},",
            verification_pb2.Billing.Name(found.billing) + ",",
            curp_pb2.CurpStatus.Name(answer.record.status),
        )

        # Nobody by that number: a successful call, not an error.
        kenyan = identity_service_pb2.ScrubKenyaIdRequest(
            id="00000000", id_type=kenya_id_pb2.KENYA_ID_TYPE_NATIONAL_ID, subject_consent=True
        )
        nobody = identity.ScrubKenyaId(kenyan, timeout=10).verification
        print("nobody:", verification_pb2.Outcome.Name(nobody.outcome), f"by {nobody.provider}")

        # Errors, read by their details. The message is for people; programs go by code and reason.
        bad = identity_service_pb2.VerifyPeForeignerIdRequest(document_number="?", birthdate="2999-01-01")
        print("bad request:", refused(identity.VerifyPeForeignerId, bad))
        no_consent = identity_service_pb2.ScrubKenyaIdRequest(
            id="1234567", id_type=kenya_id_pb2.KENYA_ID_TYPE_NATIONAL_ID
        )
        print("no consent:", refused(identity.ScrubKenyaId, no_consent))
        down = identity_service_pb2.CheckCurpRequest(curp="DOWN900101HDFSND09")
        print("provider down:", refused(identity.CheckCurp, down))
        slow = identity_service_pb2.ScrubKenyaIdRequest(
            id="900002002", id_type=kenya_id_pb2.KENYA_ID_TYPE_NATIONAL_ID, subject_consent=True
        )
        print("too slow:", refused(identity.ScrubKenyaId, slow, timeout=1))

        # A create can be sent again with its request_id: it returns the first answer.
        create = person_service_pb2.CreatePersonRequest(
            person=person_pb2.Person(given_name="Grace", family_name="Muster"), request_id=str(uuid.uuid4())
        )
        first = persons.CreatePerson(create, timeout=10).person
        again = persons.CreatePerson(create, timeout=10).person
        print("created:", "once" if first.id == again.id else "twice")

        # A read is free: after UNAVAILABLE the library repeats it as the service config says.
        read = persons.GetPerson(person_service_pb2.GetPersonRequest(id=first.id), timeout=10).person
        print("read:", read.given_name, person_pb2.VerificationStatus.Name(read.verification_status))
        failing = person_service_pb2.GetPersonRequest(id="person_outofservice")
        print("read, provider down:", refused(persons.GetPerson, failing))

        limited = identity_service_pb2.CheckCurpRequest(curp="MUCH900101HDFSND01")
        print("rate limit:", refused(identity.CheckCurp, limited))


if __name__ == "__main__":
    main()
