"""A complete client of the identity gateway. docs/clients.md says how to run it and what it shows.

The stubs are made from ../../proto by `make_stubs.py`, which is this example's whole build.
"""

import itertools
import os
import secrets
import sys
import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

sys.path.insert(0, str(Path(__file__).parent / "stubs"))

from idgw.identity.v1 import curp_pb2, identity_service_pb2, identity_service_pb2_grpc, kenya_id_pb2, verification_pb2
from idgw.person.v1 import person_pb2, person_service_pb2, person_service_pb2_grpc

HERE = Path(__file__).resolve().parent
# As long as the gateway itself gives a call that names no deadline.
LONGEST = 30.0
# The attempts of a call of which the gateway did not say how long its answer can be had.
ATTEMPTS = 5
# What the gateway sends at most (`server.max_response_bytes`). Libraries take 4 MiB unless told otherwise, which is too
# little for images and documents.
LARGEST_REPLY = 16 * 1024 * 1024


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


def service_config() -> str:
    """The service config. Without `waitForReady` calls fail at once while no gateway can be reached."""
    file = os.environ.get("GATEWAY_SERVICE_CONFIG", HERE / "../../deploy/client/service-config.json")
    return Path(file).read_text()


def connect(address: str, service_config: str) -> grpc.Channel:
    """A channel by the environment: TLS if there is a CA file, a token if there is a token file."""
    ca_file, token_file = os.environ.get("GATEWAY_CA_FILE"), os.environ.get("GATEWAY_TOKEN_FILE")
    options = [("grpc.service_config", service_config), ("grpc.max_receive_message_length", LARGEST_REPLY)]
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
    infos = list(unpacked(details, error_details_pb2.ErrorInfo))
    if not infos:
        # It is not the gateway's: nobody says what it cost, or whether anything was sent.
        text += " without ErrorInfo"
    for info in infos:
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


def until_answered(call, request, timeout: float, late: Callable[[grpc.RpcError], None]):
    """Makes a call whose request has a `request_id`, and again with twice the time whenever its deadline has passed.

    It is the same call for the gateway: what was paid for is not paid for again. `late` is told of each error that is
    not the last. When the answer cannot be had any more, or the call has failed otherwise, that error is raised.
    """
    until = None
    for attempt in itertools.count(1):
        try:
            return call(request, timeout=timeout)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.DEADLINE_EXCEEDED:
                raise
            status = rpc_status.from_call(error)
            for info in unpacked(status.details if status else (), error_details_pb2.ErrorInfo):
                if info.reason != "DEADLINE_EXCEEDED":
                    raise  # The provider's time has passed, and not this call's: there will be no answer.
                if "recoverable_until" in info.metadata:
                    until = datetime.fromisoformat(info.metadata["recoverable_until"])
            # `until` is not known if the library's own clock was quicker, nor if nothing was sent to the provider.
            is_over = attempt == ATTEMPTS if until is None else datetime.now(timezone.utc) >= until
            if is_over:
                raise
            late(error)
        timeout = min(2 * timeout, LONGEST)


def is_recovered(verification: verification_pb2.Verification) -> bool:
    """Whether an earlier call has paid for the answer. It was there already, or still on its way to that call."""
    return verification.source in (verification_pb2.SOURCE_RECOVERED, verification_pb2.SOURCE_COALESCED)


def new_id() -> str:
    """A `request_id`: one for each question, kept for as long as it is asked again."""
    return str(uuid.uuid4())


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
    config = service_config()
    with connect(os.environ.get("GATEWAY_ADDRESS", "localhost:50051"), config) as channel:
        channel = grpc.intercept_channel(channel, trace)
        identity = identity_service_pb2_grpc.IdentityServiceStub(channel)
        persons = person_service_pb2_grpc.PersonServiceStub(channel)

        # A verification. The answer says what was found, who said it, and what it cost.
        curp = identity_service_pb2.CheckCurpRequest(curp="RAZR811011HVZXPB01", request_id=new_id())
        answer = identity.CheckCurp(curp, timeout=10)
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
            id="00000000",
            id_type=kenya_id_pb2.KENYA_ID_TYPE_NATIONAL_ID,
            subject_consent=True,
            request_id=new_id(),
        )
        nobody = identity.ScrubKenyaId(kenyan, timeout=10).verification
        print("nobody:", verification_pb2.Outcome.Name(nobody.outcome), f"by {nobody.provider}")

        # Errors, read by their details. The message is for people; programs go by code and reason.
        bad = identity_service_pb2.VerifyPeForeignerIdRequest(
            document_number="?", birthdate="2999-01-01", request_id=new_id()
        )
        print("bad request:", refused(identity.VerifyPeForeignerId, bad))
        no_consent = identity_service_pb2.ScrubKenyaIdRequest(
            id="1234567", id_type=kenya_id_pb2.KENYA_ID_TYPE_NATIONAL_ID, request_id=new_id()
        )
        print("no consent:", refused(identity.ScrubKenyaId, no_consent))
        down = identity_service_pb2.CheckCurpRequest(curp="DOWN900101HDFSND09", request_id=new_id())
        print("provider down:", refused(identity.CheckCurp, down))

        # A registry that takes longer than the call may: the same call again gets what the first one has paid for.
        slow = identity_service_pb2.ScrubKenyaIdRequest(
            id="900002001",
            id_type=kenya_id_pb2.KENYA_ID_TYPE_NATIONAL_ID,
            subject_consent=True,
            request_id=new_id(),
        )
        errors: list[grpc.RpcError] = []
        late = until_answered(identity.ScrubKenyaId, slow, timeout=1, late=errors.append).verification
        print(
            "too slow:",
            f"{explain(errors[0])}, then",
            verification_pb2.Outcome.Name(late.outcome) + ",",
            "recovered" if is_recovered(late) else "asked again",
        )

        # A create can be sent again with its request_id: it returns the first answer.
        create = person_service_pb2.CreatePersonRequest(
            person=person_pb2.Person(
                given_name="Grace",
                family_name="Muster",
                biometric_data=person_pb2.BiometricData(face_image=bytes(5 * 1024 * 1024)),
            ),
            request_id=new_id(),
        )
        first = persons.CreatePerson(create, timeout=10).person
        again = persons.CreatePerson(create, timeout=10).person
        print("created:", "once" if first.id == again.id else "twice")

        # A read is free: after UNAVAILABLE the library repeats it as the service config says.
        by_id = person_service_pb2.GetPersonRequest(id=first.id, view=person_pb2.PERSON_VIEW_FULL)
        read = persons.GetPerson(by_id, timeout=10).person
        image = len(read.biometric_data.face_image) // (1024 * 1024)
        status = person_pb2.VerificationStatus.Name(read.verification_status)
        print("read:", read.given_name, f"{status}, an image of {image} MiB")
        failing = person_service_pb2.GetPersonRequest(id="person_outofservice")
        print("read, provider down:", refused(persons.GetPerson, failing))

        limited = identity_service_pb2.CheckCurpRequest(curp="MUCH900101HDFSND01", request_id=new_id())
        print("rate limit:", refused(identity.CheckCurp, limited))

    # No gateway at all. Nothing has left here, but the library says the same of a connection that broke after the request
    # was sent: so it is asked again with the same request_id, which never pays twice.
    with connect("localhost:1", config.replace('"waitForReady": true', '"waitForReady": false')) as nowhere:
        identity = identity_service_pb2_grpc.IdentityServiceStub(nowhere)
        print("gateway down:", refused(identity.CheckCurp, curp, timeout=10))


if __name__ == "__main__":
    main()
