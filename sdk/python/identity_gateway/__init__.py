"""What a caller of the identity gateway needs beside the stubs, which are in `identity_gateway.identity.v1` and
`identity_gateway.person.v1`: a channel, a token for each call, typed errors, and a call that is made again until its
answer is there and is paid for once.
"""

from .channel import SERVICE_CONFIG, SERVICE_CONFIG_FOR_REQUEST_IDS, connect, token_file
from .errors import GatewayError, Violation
from .requests import new_request_id, until_answered

__all__ = [
    "SERVICE_CONFIG",
    "SERVICE_CONFIG_FOR_REQUEST_IDS",
    "GatewayError",
    "Violation",
    "connect",
    "new_request_id",
    "token_file",
    "until_answered",
]
