"""Prints a file of deploy/client/: what a gRPC client library shall do by itself, for each RPC.

Made from the policies in proto/ (`idgw.gateway.v1.policy`); docs/clients.md gives the reasons. The library repeats
a call only if that cannot be charged again, and only after UNAVAILABLE. By service-config.json these are the calls
that the provider never charges for. For one that may be charged it must not: a library also says UNAVAILABLE when its
connection breaks after the request was sent, and nobody then knows what the call has cost. The gateway repeats such
calls itself, where it knows that they were free. With a `request_id` the gateway knows the call again: by
service-config.request-id.json these calls are repeated, too, for clients that set one on each of them.

DEADLINE_EXCEEDED is in neither: a call's deadline spans all its attempts, so nothing is left for another one.
"""

import json
import sys
from collections.abc import Callable

from contract import File, Rpc, read, rpcs

# As long as the gateway itself gives a call that names no deadline: `server.default_deadline`.
TIMEOUT = "30s"

# The first wait is what the gateway's RetryInfo asks for when a provider is down.
RETRY_POLICY = {
    "maxAttempts": 3,
    "initialBackoff": "1s",
    "maxBackoff": "5s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}


def is_free(rpc: Rpc, _files: list[File]) -> bool:
    """Whether a client library may send the call again, not knowing what became of it."""
    return rpc.policy.charge == "CHARGE_NEVER" and rpc.policy.repeat == "REPEAT_ALWAYS"


def is_free_or_known_again(rpc: Rpc, files: list[File]) -> bool:
    """The same, if every request that has a `request_id` has it set."""
    messages = {message.name: message for file in files for message in file.messages}
    has_id = any(field.name == "request_id" for field in messages[rpc.request].fields)
    return is_free(rpc, files) or has_id


# The files, and what is repeated by each.
FILES: dict[str, Callable[[Rpc, list[File]], bool]] = {
    "service-config.json": is_free,
    "service-config.request-id.json": is_free_or_known_again,
}


def service_config(files: list[File], may_be_repeated: Callable[[Rpc, list[File]], bool]) -> dict:
    """The service config of the contract."""
    method_configs = []
    for rpc in rpcs(files):
        config = {
            "name": [{"service": rpc.service, "method": rpc.name}],
            # A call waits for a connection instead of failing while a gateway restarts: it has not left.
            "waitForReady": True,
            "timeout": TIMEOUT,
        }
        if may_be_repeated(rpc, files):
            config["retryPolicy"] = RETRY_POLICY
        method_configs.append(config)
    return {
        "loadBalancingConfig": [{"round_robin": {}}],
        # "" is the health of the whole gateway: NOT_SERVING as soon as it begins to leave.
        "healthCheckConfig": {"serviceName": ""},
        # When half of the tokens are gone, nothing is repeated until calls succeed again.
        "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
        "methodConfig": method_configs,
    }


def text(name: str) -> str:
    """The file of that name."""
    return json.dumps(service_config(read(), FILES[name]), indent=2) + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in FILES:
        sys.exit(f"usage: service_config.py {' | '.join(FILES)}")
    sys.stdout.write(text(sys.argv[1]))
