"""Makes calls with the package and prints what it knows: `tell.py ADDRESS errors|hasty|loop CURP...`, a line of JSON for
each.
"""

import json
import sys

from identity_gateway import SERVICE_CONFIG, SERVICE_CONFIG_FOR_REQUEST_IDS, GatewayError, connect, new_request_id, until_answered
from identity_gateway.identity import v1 as identity

address, what, *curps = sys.argv[1:]
hasty = what == "hasty"
config = SERVICE_CONFIG_FOR_REQUEST_IDS if hasty else SERVICE_CONFIG
with connect(address, plaintext=True, fail_fast=hasty, service_config=config) as channel:
    check = identity.IdentityServiceStub(channel).CheckCurp
    for curp in curps:
        asked = 1

        def late(error: GatewayError) -> None:
            global asked
            asked += 1

        try:
            if what != "loop":
                check(identity.CheckCurpRequest(curp=curp), timeout=10)
            else:
                request_id = "" if curp == "no id" else new_request_id()
                until_answered(check, identity.CheckCurpRequest(curp=curp, request_id=request_id), 10, late)
            told = {"code": "OK"}
        except ValueError as error:
            told = {"refused": str(error)}
        except GatewayError as error:
            told = {
                "code": error.code().name,
                "message": error.message,
                "reason": error.reason,
                "billing": error.billing,
                "metadata": error.metadata,
                "violations": [[it.field, it.description] for it in error.violations],
                "retry_after": None if error.retry_after is None else error.retry_after.total_seconds(),
                "recoverable_until": error.recoverable_until and error.recoverable_until.timestamp(),
            }
        print(json.dumps(told | {"asked": asked}))
