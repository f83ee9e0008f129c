"""A call that came too late is made again, and paid for once."""

import itertools
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol, TypeVar

import grpc

from .errors import GatewayError

Request_contra = TypeVar("Request_contra", contravariant=True)
Response_co = TypeVar("Response_co", covariant=True)

# As long as the gateway itself gives a call that names no deadline.
_LONGEST = 30.0
# The attempts of a call of which the gateway did not say how long its answer can be had.
_ATTEMPTS = 5
# Between two attempts where nobody says how long to wait: the first time, and at most.
_PAUSE, _LONGEST_PAUSE = timedelta(seconds=1), timedelta(seconds=10)
# Who is told to wait longer than that decides for himself.
_LONGEST_WAIT = timedelta(minutes=1)


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
    """Makes a call, and makes it again: with twice the time when its deadline has passed, after a pause when it was refused
    for now (as long as the gateway says, up to a minute) or when nothing is known because no gateway made the error.

    By its `request_id`, which it must have, it is the same call for the gateway: what was paid for is not paid for again.
    When the answer cannot be had any more, or the call has failed otherwise, the error is raised. `late` is told of each
    error before that.
    """
    if not getattr(request, "request_id", ""):
        raise ValueError("without a request_id a call that is made again may be charged again")
    until, pause = None, _PAUSE
    for attempt in itertools.count(1):
        try:
            return rpc(request, timeout=timeout)
        except grpc.RpcError as raised:
            error = raised if isinstance(raised, GatewayError) else GatewayError(raised)
        wait = _wait(error, pause)
        if wait is None or wait > _LONGEST_WAIT:
            raise error
        until = error.recoverable_until or until
        # `until` is not known if the library's own clock was quicker, nor if nothing was sent to the provider.
        if attempt == _ATTEMPTS if until is None else datetime.now(timezone.utc) + wait >= until:
            raise error
        late(error)
        if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
            timeout = min(2 * timeout, _LONGEST)
        else:
            time.sleep(wait.total_seconds())
            pause = min(2 * pause, _LONGEST_PAUSE)
    raise AssertionError("unreachable")


def _wait(error: GatewayError, pause: timedelta) -> timedelta | None:
    """How long to wait before the call is made again; None if it is not."""
    late = error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    if late and error.reason in ("", "DEADLINE_EXCEEDED"):
        return timedelta()  # The time has passed already. With PROVIDER_TIMEOUT it is the provider's, and not this call's.
    if not error.reason:
        return error.retry_after or pause  # No gateway made this error: nothing is known.
    refused = error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
    return error.retry_after or None if refused else None
