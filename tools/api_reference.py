"""Prints docs/api.md: every RPC with its policy, every message, field, enum and value, from the comments in proto/."""

import re
import sys
from collections.abc import Iterator

from contract import Enum, Field, File, Message, Rpc, read, rpcs

HEAD = """\
# API reference

Every service, message and enum of the contract, generated from the comments in [proto/](../proto) by
`tools/api_reference.py`; `just docs` regenerates it and `just clients` fails if it is out of date.
[clients.md](clients.md) says how to call it, [errors.md](errors.md) which errors there are.

A field marked optional may be absent, and absent is not empty. A field of a message type may be absent too.
"""

CHARGES = {"CHARGE_PER_REQUEST": "may be charged", "CHARGE_NEVER": "free"}
REPEATS = {
    "REPEAT_IF_NOT_CHARGED": "only if known to be free",
    "REPEAT_ALWAYS": "yes",
    "REPEAT_IF_NOT_SENT": "only if not sent",
}


def document(files: list[File]) -> str:
    """The whole reference."""
    lines = [HEAD, *_overview(list(rpcs(files)))]
    packages = dict.fromkeys(file.package for file in files)
    for package in packages:
        lines += [f"## {package}", ""]
        own = [file for file in files if file.package == package]
        for service in (service for file in own for service in file.services):
            lines += [f"### {_short(service.name)}", "", *_lines(service.comment), ""]
            for rpc in service.rpcs:
                lines += _rpc(rpc)
        for file in own:
            for message in file.messages:
                lines += _message(message)
            for enum in file.enums:
                lines += _enum(enum)
    return "\n".join(lines).rstrip() + "\n"


def _overview(all_rpcs: list[Rpc]) -> Iterator[str]:
    yield "| RPC | At the provider | The gateway retries it | Consent | Scope | Idempotency |"
    yield "|---|---|---|---|---|---|"
    for rpc in all_rpcs:
        yield " | ".join(["| " + f"[`{rpc.name}`]({_anchor(rpc.name)})", *_policy(rpc).values()]) + " |"
    yield ""


def _policy(rpc: Rpc) -> dict[str, str]:
    return {
        "At the provider": CHARGES[rpc.policy.charge],
        "The gateway retries it": REPEATS[rpc.policy.repeat],
        "Consent": "required" if rpc.policy.requires_consent else "no",
        "Scope": f"`{rpc.policy.scope}`",
        "Idempotency": f"`{rpc.idempotency}`",
    }


def _rpc(rpc: Rpc) -> Iterator[str]:
    yield from (f"#### {rpc.name}", "", f"`{rpc.service}/{rpc.name}`", "", *_lines(rpc.comment), "")
    yield f"Takes {_link(rpc.request)}, returns {_link(rpc.response)}."
    yield ""
    for name, value in _policy(rpc).items():
        yield f"- {name}: {value}"
    yield ""


def _message(message: Message) -> Iterator[str]:
    yield from (f"#### {_short(message.name)}", "", *_lines(message.comment), "")
    if not message.fields:
        yield from ("No fields.", "")
        return
    yield from ("| # | Field | Type | Meaning |", "|---|---|---|---|")
    for field in message.fields:
        yield f"| {field.number} | `{field.name}` | {_type(field)} | {_cell(field.comment)} |"
    yield ""


def _enum(enum: Enum) -> Iterator[str]:
    yield from (f"#### {_short(enum.name)}", "", *_lines(enum.comment), "")
    yield from ("| # | Value | Meaning |", "|---|---|---|")
    for value in enum.values:
        yield f"| {value.number} | `{value.name}` | {_cell(value.comment)} |"
    yield ""


def _type(field: Field) -> str:
    label = "repeated " if field.repeated else "optional " if field.optional else ""
    return label + _link(field.type)


def _link(name: str) -> str:
    if name.startswith("google.protobuf."):
        return f"[`{_short(name)}`](https://protobuf.dev/reference/protobuf/google.protobuf/#{_short(name).lower()})"
    return f"[`{_short(name)}`]({_anchor(_short(name))})" if "." in name else f"`{name}`"


def _anchor(heading: str) -> str:
    return f"#{heading.lower()}"


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _lines(comment: str) -> list[str]:
    return comment.splitlines()


def _cell(comment: str) -> str:
    return re.sub(r"\s+", " ", comment).replace("|", r"\|")


if __name__ == "__main__":
    sys.stdout.write(document(read()))
