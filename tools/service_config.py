"""Prints deploy/client/service-config.json: what a gRPC client library shall do by itself, for each RPC.

Made from the policies in proto/ (`idgw.gateway.v1.policy`); docs/clients.md gives the reasons. The library repeats
a call only if the provider never charges for it, and only after UNAVAILABLE. For a call that may be charged it
must not: a library also says UNAVAILABLE when its connection breaks after the request was sent, and nobody then
knows what the call has cost. The gateway repeats such calls itself, where it knows that they were free.
"""

import json
import sys

from contract import Rpc, read, rpcs

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


def service_config(all_rpcs: list[Rpc]) -> dict:
    """The service config of the contract."""
    method_configs = []
    for rpc in all_rpcs:
        config = {
            "name": [{"service": rpc.service, "method": rpc.name}],
            # A call waits for a connection instead of failing while a gateway restarts: it has not left.
            "waitForReady": True,
            "timeout": TIMEOUT,
        }
        if may_be_repeated(rpc):
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


def may_be_repeated(rpc: Rpc) -> bool:
    """Whether a client library may send the call again, not knowing what became of it."""
    return rpc.policy.charge == "CHARGE_NEVER" and rpc.policy.repeat == "REPEAT_ALWAYS"


def text() -> str:
    """The file."""
    return json.dumps(service_config(list(rpcs(read()))), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
