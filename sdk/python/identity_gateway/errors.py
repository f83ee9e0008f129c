"""The errors of calls, with the details that the gateway gives."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

# Of the ErrorInfo that the gateway makes. Proxies have others.
_DOMAIN = "identity-gateway"


@dataclass(frozen=True)
class Violation:
    """One field of a request that is wrong. It has no value: values are personal data."""

    field: str
    description: str


class GatewayError(grpc.RpcError):
    """A call that has failed. Programs go by `code()` and `reason`; `message` is for people.

    It is the library's own error, too: `code()`, `details()` and `trailing_metadata()` are as always.
    """

    # One of docs/errors.md. It is "" if the gateway has not made this error, but the library or a proxy.
    reason: str = ""
    # `billed`, `not_billed` or `unknown`, which it is of every error that the gateway has not made.
    billing: str = "unknown"
    # How long to wait before the call is made again; None if nothing is said of it.
    retry_after: timedelta | None = None
    # How long the answer of a call whose deadline has passed can be had, with its `request_id`; None if nothing is said.
    recoverable_until: datetime | None = None

    def __init__(self, error: Any):
        """Of an error that the library has raised, of whichever channel, synchronous or not."""
        self._error = error
        # Of the reason, such as `provider`, `provider_code` and `http_status`.
        self.metadata: dict[str, str] = {}
        # All fields of the request that are wrong, for INVALID_FIELD and what is like it.
        self.violations: list[Violation] = []
        for detail in _details(error):
            self._take(detail)
        super().__init__(str(self))

    def _take(self, detail: Any) -> None:
        info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        try:
            if detail.Unpack(info) and info.domain == _DOMAIN:
                self.reason, self.metadata = info.reason, dict(info.metadata)
                # The gateway says nothing of the cost where nothing was sent to a provider.
                self.billing = self.metadata.get("billing", "not_billed")
                self.recoverable_until = _moment(self.metadata.get("recoverable_until", ""))
            elif detail.Unpack(bad):
                self.violations += [Violation(it.field, it.description) for it in bad.field_violations]
            elif detail.Unpack(retry):
                self.retry_after = max(timedelta(), retry.retry_delay.ToTimedelta())
        except (DecodeError, OverflowError, ValueError):
            pass  # What cannot be read is not there.

    @property
    def message(self) -> str:
        """What happened, for people."""
        return self._error.details() or ""

    def code(self) -> grpc.StatusCode:
        """The gRPC code."""
        return self._error.code()

    def __str__(self) -> str:
        return " ".join(word for word in (self.code().name, self.reason) if word) + f": {self.message}"

    # The library treats the error of a call as the call itself.
    def result(self, timeout: float | None = None) -> NoReturn:
        """Raises it."""
        raise self

    def exception(self, timeout: float | None = None) -> "GatewayError":
        """It."""
        return self

    def __getattr__(self, name: str) -> Any:
        if name == "_error":  # while it is being made, or copied
            raise AttributeError(name)
        return getattr(self._error, name)


def _details(error: Any) -> list[Any]:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            try:
                return list(status_pb2.Status.FromString(value).details)
            except DecodeError:
                break  # What cannot be read is not there.
    return []


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment


class TypedErrors(grpc.UnaryUnaryClientInterceptor):
    """Makes the errors of a channel's calls `GatewayError`."""

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        return _Call(continuation(details, request))


class _Call:
    """A call with typed errors."""

    def __init__(self, call: Any):
        self._call = call

    def result(self, timeout: float | None = None) -> Any:
        try:
            return self._call.result(timeout)
        except GatewayError:
            raise
        except grpc.RpcError as error:
            raise GatewayError(error) from error

    def exception(self, timeout: float | None = None) -> BaseException | None:
        error = self._call.exception(timeout)
        return GatewayError(error) if isinstance(error, grpc.RpcError) and not isinstance(error, GatewayError) else error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)
