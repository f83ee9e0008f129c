"""Starts the real program and talks to it from outside, as an operator and a caller would."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

REPOSITORY = Path(__file__).resolve().parents[2]
TARGET = REPOSITORY / os.environ.get("CARGO_TARGET_DIR", "target")
# The program under test; IDGW_BINARY names another one, such as the debug build.
BINARY = Path(os.environ.get("IDGW_BINARY", TARGET / "static" / "identity-gateway")).absolute()

# Ports that were given to somebody.
GIVEN: set[int] = set()

# How long anything may take that should be there at once. Never slept, only a limit.
PATIENCE = 30.0


def environment(**variables: str) -> dict[str, str]:
    """The environment without what a developer may have set for the gateway or its log."""
    ours = ("IDGW_", "OTEL_", "RUST_LOG")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | variables


def run(*command: object, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end; the caller looks at exit code and output."""
    return subprocess.run(
        [str(word) for word in command],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment(**variables),
        cwd=REPOSITORY,
    )


def gateway(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a command of the program that ends by itself."""
    return run(BINARY, *arguments, **variables)


def free_port() -> int:
    """A port that nobody listens on, for who has to be told one. Not of those that connections get by chance: it would be
    taken before it is used."""
    while True:
        port = random.randrange(20_000, 30_000)
        if port not in GIVEN:
            GIVEN.add(port)
            with socket.socket() as listener, suppress(OSError):
                listener.bind(("127.0.0.1", port))
                return port


def wait_for(what: str, look: Callable[[], T | None]) -> T:
    """Asks again until there is something."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if (found := look()) is not None:
            return found
        time.sleep(0.01)
    raise AssertionError(f"waited {PATIENCE:.0f} s for {what}")


class Program:
    """A command of the program that runs until it is told to stop."""

    # What stands before the arguments.
    program: tuple[str, ...] = (str(BINARY),)

    def __init__(self, *arguments: str, **variables: str):
        settings = {"IDGW_LOG__FORMAT": "json"} | variables
        self.process = subprocess.Popen(
            [*self.program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(**settings),
            cwd=REPOSITORY,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def output(self) -> str:
        """What it has printed so far."""
        return "\n".join(self.lines)

    def log(self, message: str | None = None) -> list[dict]:
        """The lines of its log, or only those with that message."""
        events = []
        for line in list(self.lines):
            if line.startswith("{"):
                event = json.loads(line)
                if message in (None, event.get("message")):
                    events.append(event)
        return events

    def wait_for_log(self, message: str) -> dict:
        """The first line of its log with that message."""
        return self.wait_for(f'"{message}" in the log', lambda: next(iter(self.log(message)), None))

    def wait_for(self, what: str, look: Callable[[], T | None]) -> T:
        """Asks again until there is something, or the program is gone."""

        def look_while_it_runs() -> T | None:
            found = look()
            if found is None:
                assert self.process.poll() is None, f"ended before {what}:\n{self.output()}"
            return found

        return wait_for(what, look_while_it_runs)

    def terminate(self, with_signal: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(with_signal)

    def wait(self) -> int:
        """Waits for its end; its exit code."""
        code = self.process.wait(timeout=PATIENCE)
        self._reader.join(timeout=PATIENCE)
        return code

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait()


class Gateway(Program):
    """`identity-gateway serve` on free ports, serving; from the sandbox unless told otherwise."""

    def __init__(self, *, flags: tuple[str, ...] = ("--sandbox",), **variables: str):
        ports = {"IDGW_SERVER__LISTEN": "127.0.0.1:0", "IDGW_ADMIN__LISTEN": "127.0.0.1:0"}
        super().__init__("serve", *flags, **(ports | variables))
        try:
            serving = self.wait_for_log("serving")
        except BaseException:
            self.__exit__()
            raise
        self.address: str = serving["grpc"]
        self.admin: str = serving["admin"]


class Sandbox(Program):
    """`identity-gateway sandbox` on a free port, serving."""

    def __init__(self, *arguments: str, **variables: str):
        super().__init__("sandbox", *arguments, **({"IDGW_SANDBOX__LISTEN": "127.0.0.1:0"} | variables))
        try:
            self.url: str = self.wait_for("its address", self._look_for_url)
        except BaseException:
            self.__exit__()
            raise

    def _look_for_url(self) -> str | None:
        found = re.search(r"http://[\d.]+:\d+", self.output())
        return found and found[0]

    def credentials(self) -> dict[str, dict[str, str]]:
        """The headers that it says each provider wants, by the provider's name."""

        def look() -> list[tuple[str, str]] | None:
            lines = re.findall(r"^  (Verifik|YouVerify|AccuAuth) +(.+)$", self.output(), re.MULTILINE)
            return lines if len(lines) == 3 else None

        return {
            provider.lower(): dict(header.split(": ") for header in headers.split("  "))
            for provider, headers in self.wait_for("its credentials", look)
        }

    def token(self, provider: str) -> str:
        """The token alone, for Verifik and YouVerify."""
        [header] = self.credentials()[provider].values()
        return header.removeprefix("Bearer ")

    def ask(self, path: str, body: dict | None = None, method: str | None = None, **headers: str):
        """Sends one request; status and decoded JSON of the answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"} | headers
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)

    def ledger(self) -> dict[str, dict[str, int]]:
        """What each provider has received, and would have charged."""
        return self.ask("/_sandbox/ledger")[1]


def sandbox_table() -> list[dict[str, str]]:
    """The rows of `identity-gateway sandbox --list`, by the words of its header."""
    listed = gateway("sandbox", "--list")
    assert listed.returncode == 0, listed.stderr
    rows = [
        [cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in listed.stdout.splitlines()
        if line.startswith("|")
    ]
    header, _, *body = rows
    return [dict(zip(header, row, strict=True)) for row in body]


def sandbox_request(method: str, answer: str) -> dict:
    """The one request that the sandbox's table gives for a method and an answer."""
    found = [
        row["Request"]
        for row in sandbox_table()
        if row["Method"].endswith(method) and row["The sandbox answers"].startswith(answer)
    ]
    assert len(found) == 1, f"{method}, {answer}: {len(found)} rows in the sandbox's table"
    return json.loads(found[0])
