"""Connections that grow old: clients hear of it, go elsewhere, and lose no call, no answer and no money."""

import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from clients import Python
from harness import PATIENCE, Gateway, Sandbox, wait_for

AGE = {"IDGW_SERVER__MAX_CONNECTION_AGE": "1s"}
# Several lives of a connection.
LOAD = 6.0
WORKERS = 8


def test_a_client_under_load_loses_no_call_and_pays_each_once(contract: dict):
    """Each number is asked twice: an answer that its caller has is not given a second time as recovered."""
    with Sandbox("--delay", "200ms") as sandbox:
        settings = AGE | {
            "IDGW_AUTH__MODE": "none",
            "IDGW_PROVIDERS__VERIFIK__BASE_URL": sandbox.url,
            "IDGW_PROVIDERS__VERIFIK__TOKEN": sandbox.token("verifik"),
        }
        with Gateway(flags=(), **settings) as gateway:
            python = Python(gateway.address, contract)
            end = time.monotonic() + LOAD

            def work(worker: int) -> Counter[str]:
                sources: Counter[str] = Counter()
                number = 0
                while time.monotonic() < end:
                    number += 1
                    request = {"document_number": f"{worker}{number:08}", "birthdate": "1993-08-16"}
                    for _ in range(2):
                        sources[python.call("VerifyPeForeignerId", request)["verification"]["source"]] += 1
                return sources

            with ThreadPoolExecutor(WORKERS) as workers:
                sources = sum(workers.map(work, range(1, WORKERS + 1)), Counter())
            assert set(sources) == {"SOURCE_PROVIDER"}, sources
            assert sum(sources.values()) > 50
            assert sandbox.ledger()["verifik"]["received"] == sum(sources.values())
            gateway.terminate()
            gateway.wait()
            assert {line["code"] for line in gateway.log("call")} == {"OK"}


def test_streams_that_would_not_end_do_and_say_why():
    with Gateway(**AGE) as gateway, grpc.insecure_channel(gateway.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
        reflect = channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        never = threading.Event()

        def questions():
            yield reflection_pb2.ServerReflectionRequest(list_services="")
            never.wait(PATIENCE)

        conversation = reflect(questions(), timeout=PATIENCE)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        assert next(conversation).list_services_response.service
        begun = time.monotonic()
        for stream in (watch, conversation):
            assert stream.code() == grpc.StatusCode.UNAVAILABLE
            assert stream.details() == "this connection is being closed: ask again"
        assert time.monotonic() - begun < 10
        never.set()


def test_a_connection_without_calls_is_closed():
    """By GOAWAY and the end of the stream, without a reset."""
    with Gateway(**AGE) as gateway:
        host, _, port = gateway.address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as client:
            client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000"))
            read, answered = b"", False
            while piece := client.recv(4096):
                read += piece
                kinds = frames(read)
                if (6, 0) in kinds and not answered:
                    # The PING that follows GOAWAY: its answer says that nothing else is on its way.
                    answered = True
                    client.sendall(bytes.fromhex("000008060100000000") + ping(read))
        assert [kind for kind, _ in frames(read)].count(7) == 2, frames(read)
        wait_for("the gateway to see it go", lambda: gateway.process.poll() is None or None)


def frames(read: bytes) -> list[tuple[int, int]]:
    """Kinds and flags of the whole frames."""
    found = []
    while len(read) >= 9 and len(read) >= 9 + (length := int.from_bytes(read[:3], "big")):
        found.append((read[3], read[4]))
        read = read[9 + length :]
    return found


def ping(read: bytes) -> bytes:
    """The payload of the first PING that asks."""
    while True:
        length = int.from_bytes(read[:3], "big")
        if read[3] == 6 and read[4] == 0:
            return read[9 : 9 + length]
        read = read[9 + length :]
