#!/usr/bin/env python3
"""Counts the instructions that a call takes in the release binary, and compares with counted.json.

  count.py            fails if a scenario takes more than the tolerance above its recorded number
  count.py --record   writes the numbers anew

Time depends on the machine and on what else it does; the number of instructions hardly does. valgrind's
callgrind counts them in user space, in a machine of its own without AVX-512 and SHA-NI, so that the processor
below matters little: hashes cost more there than they do in truth. The calls are made one after the other,
which leaves no chance to the scheduler. What the kernel does is not counted.

Everything is on, as it would be: callers are known by a key and held to a policy, spans go to a collector, every call
has a line in the log and one in the audit. One call in a hundred is sampled, by the word of its caller, so that it is the
same number in every run.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import shutil
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import grpc

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
RECORDED = HERE / "counted.json"
TARGET = REPOSITORY / os.environ.get("CARGO_TARGET_DIR", "target")
BINARY = Path(os.environ.get("IDGW_BINARY", TARGET / "static" / "identity-gateway")).absolute()

# Two runs of one binary lay within 0.4 %. memcpy and its kind, which the C library chooses by the processor, are
# 8 % of a call. A lost optimization costs more than this.
TOLERANCE = 0.03
CALLS = 200
WARM_UP = 60
PATIENCE = 120.0
SAMPLED = 100
# Seconds without calls.
IDLE = 3.0

# Keys that look as if they could be guessed are refused.
KEYS = {name: hashlib.sha256(f"a key of {name}".encode()).hexdigest()[:40] for name in ("backend", "archive")}
# The contacts and the credit bureau's counters in an answer are for neither of them.
POLICY = """[[allow]]
name = "backend"
identities = ["backend"]
rpcs = ["*"]
persons = "all"

[[allow]]
name = "archive"
identities = ["archive"]
rpcs = ["*"]
persons = "all"
classes = ["images"]
"""


def sample(name: str) -> dict:
    """The answer of a provider's document."""
    return json.loads((REPOSITORY / "samples" / f"{name}.json").read_text())


KENYA, PERU = sample("youverify/kenya_found"), sample("verifik/foreigner_found")
MEXICO, WITH_DOCUMENT = sample("accuauth/curp_found"), sample("accuauth/curp_found")
del MEXICO["result"]["documento"]
DOCUMENT = "JVBERi0x" * 7680
WITH_DOCUMENT["result"]["documento"] = DOCUMENT


def field(number: int, value: str | int | bytes) -> bytes:
    """A field of a protobuf message that is shorter than 128 bytes."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    value = value.encode() if isinstance(value, str) else value
    return bytes([number << 3 | 2, len(value)]) + value


HOUR = field(1, 60)
LOOKUPS = "/idgw.identity.v1.IdentityService/"
KENYAN = field(1, "1234567") + field(2, 1) + field(3, 1)
# Name: RPC, message, the provider's answer, whether the call succeeds.
SCENARIOS = {
    "ke": ("ScrubKenyaId", KENYAN, KENYA),
    "pe": ("VerifyPeForeignerId", field(1, "005015372") + field(2, "1993-08-16"), PERU),
    "mx": ("CheckCurp", field(1, "RAZR811011HVZXPB01"), MEXICO),
    "mx, document not asked for": ("CheckCurp", field(1, "RAZR811011HVZXPB01"), WITH_DOCUMENT),
    "mx, document asked for": ("CheckCurp", field(1, "RAZR811011HVZXPB01") + field(2, 1), WITH_DOCUMENT),
    "ke, from the cache": ("ScrubKenyaId", KENYAN + field(5, HOUR), KENYA),
    "ke, refused field": ("ScrubKenyaId", field(1, "x") + field(2, 1), KENYA),
}


class Provider(socketserver.ThreadingTCPServer):
    """Answers every HTTP request with `answer`, in one piece."""

    allow_reuse_address = daemon_threads = True
    answer = b""

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            buffer = b""
            while received := self.request.recv(65536):
                buffer += received
                head, end, rest = buffer.partition(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: (\d+)", head)
                if end and len(rest) >= (int(length[1]) if length else 0):
                    buffer = b""
                    self.request.sendall(self.server.answer)

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Provider.Connection)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def says(self, answer: dict) -> None:
        body = json.dumps(answer, separators=(",", ":")).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self.answer = head.encode() + body


class Collector(grpc.GenericRpcHandler):
    """Takes every trace and keeps none."""

    def __init__(self) -> None:
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(1), handlers=[self])
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.received = 0
        self.server.start()

    def service(self, _) -> grpc.RpcMethodHandler:
        self.received += 1
        return grpc.unary_unary_rpc_method_handler(lambda request, context: b"")


def metadata(caller: str, number: int) -> list[tuple[str, str]]:
    """Who calls, in which trace, and whether that is sampled."""
    sampled = int(number % SAMPLED == 0)
    return [("authorization", f"Bearer {KEYS[caller]}"), ("traceparent", f"00-{number + 1:032x}-{number + 1:016x}-{sampled:02}")]


class Counted:
    """The gateway under callgrind."""

    def __init__(self, provider: str, collector: int, directory: Path) -> None:
        self.out = directory / "callgrind"
        # What the program does a second without calls: the memory is read, files are looked at. It is taken off: on a
        # busy machine the same calls take longer.
        self.idle = None
        hashes = {name: hashlib.sha256(key.encode()).hexdigest() for name, key in KEYS.items()}
        (directory / "keys").write_text("".join(f"{name} {value}\n" for name, value in hashes.items()))
        (directory / "policy.toml").write_text(POLICY)
        settings = {
            "SERVER__LISTEN": "127.0.0.1:0", "ADMIN__LISTEN": "127.0.0.1:0", "LOG__FORMAT": "json",
            "AUTH__MODE": "keys", "AUTH__KEYS__FILE": str(directory / "keys"), "AUTH__POLICY_FILE": str(directory / "policy.toml"),
            "PROVIDERS__VERIFIK__BASE_URL": provider, "PROVIDERS__VERIFIK__TOKEN": "t",
            "PROVIDERS__YOUVERIFY__BASE_URL": provider, "PROVIDERS__YOUVERIFY__TOKEN": "t",
            "PROVIDERS__ACCUAUTH__BASE_URL": provider, "PROVIDERS__ACCUAUTH__API_ID": "i", "PROVIDERS__ACCUAUTH__API_SECRET": "s",
            "SERVER__LAME_DUCK": "0s", "AUDIT__SINK": "file", "AUDIT__PATH": str(directory / "audit.log"), "AUDIT__KEY": "a key of this test, long enough for it",
            # Under callgrind all takes fifty times as long; no timer shall come in between.
            "PROVIDERS__YOUVERIFY__TIMEOUT": "60s", "PROVIDERS__VERIFIK__TIMEOUT": "60s", "PROVIDERS__ACCUAUTH__TIMEOUT": "60s",
        }
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("IDGW_", "OTEL_", "RUST_LOG"))}
        traced = {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://127.0.0.1:{collector}",
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01",
            # Spans go when the program ends: which scenario they go in would be chance, and is a fortieth of a short call's.
            "OTEL_BSP_SCHEDULE_DELAY": "3600000",
        }
        self.log = directory / "log"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={self.out}", str(BINARY), "serve"]
        # On one CPU the runtime has one thread, whatever the machine has.
        one_cpu = str(min(os.sched_getaffinity(0)))
        self.process = subprocess.Popen(
            ["taskset", "-c", one_cpu, *command],
            stdin=subprocess.DEVNULL, stdout=self.log.open("wb"), stderr=subprocess.STDOUT,
            env=kept | traced | {f"IDGW_{key}": value for key, value in settings.items()},
        )
        self.address = self._serving()

    def _serving(self) -> str:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            for line in self.log.read_text().splitlines():
                if line.startswith("{") and json.loads(line)["message"] == "serving":
                    return json.loads(line)["grpc"]
            time.sleep(0.1)
        sys.exit(f"the gateway does not serve:\n{self.log.read_text()[-2000:]}")

    def _control(self, option: str) -> None:
        command = ["callgrind_control", option, str(self.process.pid)]
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)

    def count(self, calls: int, call) -> int:
        """Instructions of one of so many calls, which are numbered."""
        if self.idle is None:
            instructions, took = self._during(lambda: time.sleep(IDLE))
            self.idle = instructions / took

        def work() -> None:
            for number in range(calls):
                call(number)

        instructions, took = self._during(work)
        return int(instructions - self.idle * took) // calls

    def _during(self, work) -> tuple[int, float]:
        """Instructions in the time that something takes, and that time in seconds."""
        before = set(self.out.parent.glob("callgrind.*"))
        self._control("-z")
        began = time.monotonic()
        work()
        took = time.monotonic() - began
        self._control("-d")
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for dump in set(self.out.parent.glob("callgrind.*")) - before:
                if total := re.search(r"^(?:totals|summary): (\d+)", dump.read_text(errors="replace"), re.MULTILINE):
                    return int(total[1]), took
            time.sleep(0.1)
        sys.exit("callgrind wrote no dump")

    def leave(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def counted() -> dict[str, int]:
    """The instructions of each scenario."""
    numbers = {}
    with tempfile.TemporaryDirectory() as directory:
        provider, collector = Provider(), Collector()
        gateway = Counted(f"http://127.0.0.1:{provider.server_address[1]}", collector.port, Path(directory))
        try:
            # Without probes for bandwidth, which come when they like.
            channel = grpc.insecure_channel(gateway.address, options=[("grpc.http2.bdp_probe", 0)])
            for name, (method, message, answer) in SCENARIOS.items():
                provider.says(answer)
                rpc = channel.unary_unary(LOOKUPS + method)
                succeeds = "refused" not in name
                caller = "archive" if name == "mx, document asked for" else "backend"

                def call(number: int) -> None:
                    try:
                        reply = rpc(message, timeout=PATIENCE, metadata=metadata(caller, number))
                        assert succeeds, f"{name}: was not refused"
                        assert (len(reply) > len(DOCUMENT) / 2) == (caller == "archive"), f"{name}: {len(reply)} bytes"
                    except grpc.RpcError as error:
                        assert not succeeds, f"{name}: {error.code()} {error.details()}"

                for number in range(WARM_UP):
                    call(number)
                numbers[name] = gateway.count(CALLS, call)
            channel.close()
            gateway.leave()
            assert collector.received, "no trace came to the collector"
        finally:
            gateway.end()
            collector.server.stop(None)
    return numbers


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True).stdout.strip()


def blame() -> None:
    """Which commits to look at."""
    path = str(RECORDED.relative_to(REPOSITORY))
    print(f"\nThe numbers were last written by: {git('log', '-1', '--format=%h %as %s', '--', path)}")
    since = git("log", "-1", "--format=%h", "--", path)
    later = git("log", "--format=  %h %as %s", f"{since}..HEAD", "--", "src", "Cargo.toml", "Cargo.lock", "proto", "build.rs", ".cargo", "deploy/image")
    print("Commits since then that change the program (look at these):\n" + (later or "  none; what is not committed?"))
    print("If all has become more by a fifth, the profile fits no more: `just profile` (CONTRIBUTING.md).")
    print("If the cost is meant, say in the commit what pays for it, and run `just instructions --record`.")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="write the numbers anew")
    record = parser.parse_args().record
    for tool in ("valgrind", "callgrind_control"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is needed (Debian: valgrind)")
    compiler = subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.strip()
    now = counted()
    if record:
        RECORDED.write_text(json.dumps({"compiler": compiler, "instructions": now}, indent=2) + "\n")
    recorded = json.loads(RECORDED.read_text())
    before = recorded["instructions"]
    assert before.keys() == now.keys(), "other scenarios are recorded: run `just instructions --record`"
    slower = faster = False
    print(f"{'instructions per call, in user space':<38}{'recorded':>10}{'now':>10}")
    for name, count in now.items():
        change = count / before[name] - 1
        slower |= change > TOLERANCE
        faster |= change < -TOLERANCE
        mark = "TOO MANY" if change > TOLERANCE else "fewer" if change < -TOLERANCE else ""
        print(f"  {name:<36}{before[name]:>10,}{count:>10,}{change:>+8.1%}  {mark}".rstrip())
    if compiler != recorded["compiler"]:
        print(f"compiled with {compiler}; recorded with {recorded['compiler']}: part of a change may be the compiler's")
    if faster:
        print("Fewer than recorded: `just instructions --record` keeps the gain.")
    if slower:
        blame()
    return int(slower)


if __name__ == "__main__":
    sys.exit(main())
