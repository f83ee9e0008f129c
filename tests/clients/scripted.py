"""A gateway that answers CheckCurp by a script: what no gateway of ours would say, and what it says only seldom."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import status_pb2


@dataclass
class Asked:
    """A call that has come."""

    curp: str
    request_id: str
    seconds: float
    at: float


class Scripted:
    """Serves on a free port; `answers` gives the errors for a CURP, one for each call, the last for all further ones.

    An error is a code and the value of `grpc-status-details-bin`; None is a good answer.
    """

    def __init__(self, request: type[Message], answers: Callable[[str], list[tuple[grpc.StatusCode, bytes | None] | None]]):
        self.asked: list[Asked] = []
        self.lock = threading.Lock()
        self.request = request
        self.answers = answers
        self.server = grpc.server(ThreadPoolExecutor(4))
        handler = grpc.unary_unary_rpc_method_handler(
            self._answer, request_deserializer=request.FromString, response_serializer=bytes
        )
        service = grpc.method_handlers_generic_handler("idgw.identity.v1.IdentityService", {"CheckCurp": handler})
        self.server.add_generic_rpc_handlers((service,))
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"

    def _answer(self, request: Message, context: grpc.ServicerContext) -> bytes:
        with self.lock:
            self.asked.append(Asked(request.curp, request.request_id, context.time_remaining(), time.monotonic()))
            times = sum(asked.curp == request.curp for asked in self.asked)
        script = self.answers(request.curp)
        answer = script[min(times, len(script)) - 1]
        if answer is None:
            return b""
        code, details = answer
        if details is not None:
            context.set_trailing_metadata((("grpc-status-details-bin", details),))
        context.abort(code, "words for people")

    def __enter__(self) -> "Scripted":
        self.server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop(None).wait()

    def of(self, curp: str) -> Iterator[Asked]:
        """The calls with that CURP."""
        return (asked for asked in self.asked if asked.curp == curp)


def details(code: grpc.StatusCode, *messages: Message | Any) -> tuple[grpc.StatusCode, bytes]:
    """An error with such details."""
    status = status_pb2.Status(code=code.value[0], message="words for people")
    for message in messages:
        if isinstance(message, Any):
            status.details.append(message)
        else:
            status.details.add().Pack(message)
    return code, status.SerializeToString()
