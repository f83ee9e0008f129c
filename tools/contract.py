"""The contract as buf compiles it: services, messages and enums with their comments, and the policy of each RPC.

`buf` must be on the PATH (`just` puts it there).
"""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
# The packages that callers use, in the order in which they are shown.
PACKAGES = ("idgw.identity.v1", "idgw.person.v1", "idgw.gateway.v1")
POLICY = "[idgw.gateway.v1.policy]"

# Numbers of fields in google/protobuf/descriptor.proto, of which source locations are made.
MESSAGES, ENUMS, SERVICES = 4, 5, 6
MEMBERS = 2


@dataclass
class Policy:
    """What an RPC costs, when it may be repeated, what a caller needs for it."""

    charge: str
    repeat: str
    requires_consent: bool
    scope: str


@dataclass
class Rpc:
    """One RPC; its request and response by their full names."""

    service: str
    name: str
    comment: str
    request: str
    response: str
    idempotency: str
    policy: Policy


@dataclass
class Service:
    """One service, by its full name."""

    name: str
    comment: str
    rpcs: list[Rpc]


@dataclass
class Field:
    """One field of a message. `type` is the full name of a message or enum, or a scalar's."""

    name: str
    number: int
    type: str
    repeated: bool
    optional: bool
    comment: str


@dataclass
class Message:
    """One message, by its full name."""

    name: str
    comment: str
    fields: list[Field]


@dataclass
class Value:
    """One value of an enum."""

    name: str
    number: int
    comment: str


@dataclass
class Enum:
    """One enum, by its full name."""

    name: str
    comment: str
    values: list[Value]


@dataclass
class File:
    """One proto file."""

    path: str
    package: str
    options: dict[str, str | bool]
    services: list[Service]
    messages: list[Message]
    enums: list[Enum]


def read(module: Path = REPOSITORY) -> list[File]:
    """Every file of the contract, package by package; what it imports from elsewhere is left out."""
    image = subprocess.run(["buf", "build", module, "-o", "-#format=json"], check=True, stdout=subprocess.PIPE)
    files = [_file(file) for file in json.loads(image.stdout)["file"] if file["package"] in PACKAGES]
    return sorted(files, key=lambda file: (PACKAGES.index(file.package), not file.services, file.path))


def rpcs(files: list[File]) -> Iterator[Rpc]:
    """Every RPC of the contract."""
    return (rpc for file in files for service in file.services for rpc in service.rpcs)


def _file(file: dict) -> File:
    package = file["package"]
    comments = {
        tuple(location["path"]): _text(location["leadingComments"])
        for location in file["sourceCodeInfo"]["location"]
        if "leadingComments" in location
    }

    def comment(*path: int) -> str:
        # buf lint (COMMENTS) sees to it that everything has one.
        return comments[path]

    return File(
        path=file["name"],
        package=package,
        options=file.get("options", {}),
        services=[
            Service(
                name=f"{package}.{service['name']}",
                comment=comment(SERVICES, s),
                rpcs=[
                    _rpc(f"{package}.{service['name']}", method, comment(SERVICES, s, MEMBERS, m))
                    for m, method in enumerate(service["method"])
                ],
            )
            for s, service in enumerate(file.get("service", []))
        ],
        messages=[
            Message(
                name=f"{package}.{message['name']}",
                comment=comment(MESSAGES, m),
                fields=[
                    _field(field, comment(MESSAGES, m, MEMBERS, f))
                    for f, field in enumerate(message.get("field", []))
                ],
            )
            for m, message in enumerate(file.get("messageType", []))
        ],
        enums=[
            Enum(
                name=f"{package}.{enum['name']}",
                comment=comment(ENUMS, e),
                values=[
                    Value(value["name"], value["number"], comment(ENUMS, e, MEMBERS, v))
                    for v, value in enumerate(enum["value"])
                ],
            )
            for e, enum in enumerate(file.get("enumType", []))
        ],
    )


def _rpc(service: str, method: dict, comment: str) -> Rpc:
    options = method["options"]
    # JSON leaves out what is false or empty; the program refuses to start without the other three.
    policy = options[POLICY]
    return Rpc(
        service=service,
        name=method["name"],
        comment=comment,
        request=method["inputType"].removeprefix("."),
        response=method["outputType"].removeprefix("."),
        idempotency=options["idempotencyLevel"],
        policy=Policy(
            policy["charge"], policy["repeat"], policy.get("requiresConsent", False), policy["scope"]
        ),
    )


def _field(field: dict, comment: str) -> Field:
    return Field(
        name=field["name"],
        number=field["number"],
        type=field.get("typeName", "").removeprefix(".") or field["type"].removeprefix("TYPE_").lower(),
        repeated=field["label"] == "LABEL_REPEATED",
        optional=field.get("proto3Optional", False),
        comment=comment,
    )


def _text(comment: str) -> str:
    """A comment without the blank that follows each `//`."""
    return "\n".join(line.removeprefix(" ") for line in comment.splitlines()).strip()
