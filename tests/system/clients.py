"""Three ways to call the gateway. Each takes and gives proto JSON with the names of the proto files."""

import json
import re
import shutil

import grpc
from google.protobuf.json_format import MessageToDict, ParseDict
from grpc_status import rpc_status

from harness import PATIENCE, gateway, run

SERVICES = {
    "idgw.identity.v1.IdentityService": [
        "VerifyPeForeignerId",
        "VerifyPeDni",
        "ScrubKenyaId",
        "CheckCurp",
    ],
    "idgw.person.v1.PersonService": [
        "CreatePerson",
        "CreatePersonWithLiveness",
        "GetPerson",
        "ListPersons",
        "UpdatePerson",
        "DeletePerson",
    ],
}
METHODS = {method: service for service, methods in SERVICES.items() for method in methods}


class CallFailed(Exception):
    """The RPC answered an error. `details` are the google.rpc details by name, if the client has them."""

    def __init__(self, code: str, text: str, details: dict[str, dict] | None = None):
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text
        self.details = details or {}


class Grpcurl:
    """The real grpcurl; it knows the contract by server reflection."""

    def __init__(self, address: str):
        self.address = address

    def command(self, *arguments: str) -> str:
        """Runs grpcurl with these last words; what it printed."""
        program = shutil.which("grpcurl")
        assert program, "grpcurl is not on the PATH: run the tests by `just system`"
        *options, last = arguments
        done = run(program, "-plaintext", *options, self.address, *last.split())
        if done.returncode == 0:
            return done.stdout
        code = re.search(r"Code: (\w+)", done.stderr)
        assert code, done.stderr
        raise CallFailed(_constant_case(code[1]), done.stderr)

    def call(self, method: str, request: dict) -> dict:
        # This grpcurl takes a FieldMask only as the message that it is.
        request = {
            name: {"paths": value.split(",")} if name.endswith("_mask") else value
            for name, value in request.items()
        }
        return _snake_case(json.loads(self.command("-d", json.dumps(request), f"{METHODS[method]}/{method}")))


class Command:
    """`identity-gateway call`."""

    def __init__(self, address: str):
        self.address = address

    def call(self, method: str, request: dict) -> dict:
        done = gateway("call", f"{METHODS[method]}/{method}", json.dumps(request), "--address", self.address)
        if done.returncode == 0:
            assert done.stderr == ""
            return json.loads(done.stdout)
        code = re.match(r"error: (\w+)", done.stderr)
        assert code and done.stdout == "", done
        assert done.returncode == 64 + grpc.StatusCode[code[1]].value[0], done
        raise CallFailed(code[1], done.stderr)


class Python:
    """grpcio with the classes that grpcio-tools made from proto/."""

    def __init__(self, address: str, contract: dict):
        self.contract = contract
        self.address = address
        self.channel = grpc.insecure_channel(address)
        self.stubs = {name: contract[f"{name}Stub"](self.channel) for name in SERVICES}

    def call(self, method: str, request: dict, timeout: float = PATIENCE) -> dict:
        return self.read(self.start(method, request, timeout))

    def start(self, method: str, request: dict, timeout: float = PATIENCE) -> grpc.Future:
        """Sends the call without waiting for its answer."""
        service = METHODS[method]
        message = self.contract[f"{service.rpartition('.')[0]}.{method}Request"]()
        return getattr(self.stubs[service], method).future(ParseDict(request, message), timeout=timeout)

    @staticmethod
    def read(answer: grpc.Future) -> dict:
        """Waits for the answer of a call."""
        try:
            return MessageToDict(answer.result(), preserving_proto_field_name=True)
        except grpc.RpcError as error:
            details = {}
            if (status := rpc_status.from_call(error)) is not None:
                for detail in status.details:
                    name = detail.TypeName().rpartition(".")[2]
                    assert name not in details, f"{name} twice"
                    details[name] = _content(detail)
            raise CallFailed(error.code().name, error.details(), details) from None


def _content(detail) -> dict:
    """A packed detail as JSON, by the standard types of googleapis-common-protos."""
    content = MessageToDict(detail, preserving_proto_field_name=True)
    del content["@type"]
    return content


def _constant_case(name: str) -> str:
    """InvalidArgument is INVALID_ARGUMENT."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


def _snake_case(value):
    """Names as in the proto files: `last1Month` is `last1_month`."""
    if isinstance(value, list):
        return [_snake_case(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower(): _snake_case(item)
        for name, item in value.items()
    }
