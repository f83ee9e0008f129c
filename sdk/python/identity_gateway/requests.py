"""A call that came too late is made again, and paid for once."""

import itertools
import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, Protocol, TypeVar

import grpc

from .errors import GatewayError

Request_contra = TypeVar("Request_contra", contravariant=True)
Response_co = TypeVar("Response_co", covariant=True)

# As long as the gateway itself gives a call that names no deadline.
_LONGEST = 30.0
# The attempts of a call of which the gateway did not say how long its answer can be had.
_ATTEMPTS = 5


class Rpc(Protocol[Request_contra, Response_co]):
    """A method of a stub."""

    def __call__(self, request: Request_contra, /, timeout: float | None = None) -> Response_co: ...


def new_request_id() -> str:
    """A `request_id`: one for each question, kept with it for as long as it is asked again."""
    return str(uuid.uuid4())


def until_answered(
    rpc: Rpc[Request_contra, Response_co],
    request: Request_contra,
    timeout: float,
    late: Callable[[GatewayError], Any] = lambda error: None,
) -> Response_co:
    """Makes a call, and makes it again with twice the time whenever its deadline has passed.

    By its `request_id`, which it must have, it is the same call for the gateway: what was paid for is not paid for again.
    When the answer cannot be had any more, or the call has failed otherwise, the error is raised. `late` is told of each
    error before that.
    """
    if not getattr(request, "request_id", ""):
        raise ValueError("without a request_id a call that is made again may be charged again")
    until = None
    for attempt in itertools.count(1):
        try:
            return rpc(request, timeout=timeout)
        except grpc.RpcError as raised:
            error = raised if isinstance(raised, GatewayError) else GatewayError(raised)
        if error.code() != grpc.StatusCode.DEADLINE_EXCEEDED or error.reason not in ("", "DEADLINE_EXCEEDED"):
            raise error  # With PROVIDER_TIMEOUT the provider's time has passed, and not this call's.
        until = error.recoverable_until or until
        # `until` is not known if the library's own clock was quicker, nor if nothing was sent to the provider.
        if attempt == _ATTEMPTS if until is None else datetime.now(timezone.utc) >= until:
            raise error
        late(error)
        timeout = min(2 * timeout, _LONGEST)
    raise AssertionError("unreachable")
