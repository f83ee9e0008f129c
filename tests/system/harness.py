"""Starts the real program and talks to it from outside, as an operator and a caller would."""

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

REPOSITORY = Path(__file__).resolve().parents[2]
TARGET = REPOSITORY / os.environ.get("CARGO_TARGET_DIR", "target")
BINARY = TARGET / "release" / "identity-gateway"

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

    def __init__(self, *arguments: str, **variables: str):
        settings = {"IDGW_LOG__FORMAT": "json"} | variables
        self.process = subprocess.Popen(
            [str(BINARY), *arguments],
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
                event |= event.pop("fields", {})
                if message in (None, event.get("message")):
                    events.append(event)
        return events

    def wait_for_log(self, message: str) -> dict:
        """The first line of its log with that message."""

        def look() -> dict | None:
            if found := self.log(message):
                return found[0]
            assert self.process.poll() is None, f"ended too early:\n{self.output()}"
            return None

        return wait_for(f'"{message}" in the log', look)

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
    """`identity-gateway serve --sandbox` on free ports, serving."""

    def __init__(self, *arguments: str, **variables: str):
        ports = {"IDGW_SERVER__LISTEN": "127.0.0.1:0", "IDGW_ADMIN__LISTEN": "127.0.0.1:0"}
        super().__init__("serve", *(arguments or ("--sandbox",)), **(ports | variables))
        try:
            serving = self.wait_for_log("serving")
        except BaseException:
            self.__exit__()
            raise
        self.address: str = serving["grpc"]
        self.admin: str = serving["admin"]


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
