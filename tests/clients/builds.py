"""How each example is built and started, as docs/clients.md says; builds run at the same time where they can."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from harness import REPOSITORY, environment

EXAMPLES = REPOSITORY / "examples"

# Downloads included, on a machine that has nothing yet and is busy; and those that it waits for.
BUILD_LIMIT = 900.0


@dataclass
class Example:
    """The commands of one language, run in its folder, and the build that must be over before."""

    folder: str
    build: str
    start: str
    after: str | None = None

    @property
    def path(self) -> Path:
        return EXAMPLES / self.folder


MAVEN = "mvn --batch-mode --quiet validate && mvn --batch-mode --quiet compile"
NPM = "npm ci --ignore-scripts --no-audit --no-fund && npm run build"
PIP = "venv/bin/pip install --quiet -r requirements.txt ../../target/sdk/python/*.whl"
LANGUAGES = {
    "go": Example("go", "go build -o client .", "./client", after="sdk"),
    "java": Example("java", MAVEN, "java -cp 'target/classes:target/lib/*' example.Client", after="sdk"),
    # Both take the package into Maven's one repository.
    "kotlin": Example("kotlin", MAVEN, "java -cp 'target/classes:target/lib/*' ClientKt", after="java"),
    "node": Example("node", NPM, "node client.js", after="sdk"),
    "python": Example("python", f"{sys.executable} -m venv --clear venv && {PIP}", "venv/bin/python client.py", after="sdk"),
    "rust": Example("rust", "cargo build --locked --quiet", "target/debug/identity-gateway-client"),
}
# What the examples use in place of stubs of their own.
SDK = Example("..", f"{sys.executable} sdk/build.py", "true")
# Built like an example: the grpc-go client of test_service_config.py.
PROBE = Example("../tests/clients/probe", "go build -o probe .", "./probe")
BUILDS = {"sdk": SDK, "probe": PROBE} | LANGUAGES


class Build:
    """A build that waits for another one, is running, or has ended."""

    def __init__(self, example: Example, after: "Build | None"):
        self.example = example
        self.after = after
        self.seconds: float | None = None
        self.log: IO[str] = tempfile.TemporaryFile("w+")
        self.process: subprocess.Popen[bytes] | None = None
        self.stopped = False
        self.deadline = time.monotonic() + BUILD_LIMIT
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        if self.after is not None:
            self.after.thread.join()
            if not self.after.is_good():
                return
        if self.stopped:
            return
        started = time.monotonic()
        self.process = subprocess.Popen(
            ["bash", "-c", f"set -eu; {self.example.build}"],
            cwd=self.example.path,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            # A target directory that other builds share would not be where `start` looks.
            env={name: value for name, value in environment().items() if name != "CARGO_TARGET_DIR"},
            start_new_session=True,
        )
        self.process.wait()
        self.seconds = time.monotonic() - started

    def is_good(self) -> bool:
        return self.process is not None and self.process.returncode == 0

    def stop(self) -> None:
        """Ends what still runs, and begins nothing more."""
        self.stopped = True
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.thread.join()

    def finished(self) -> Example:
        """Waits for the end of the build, which must be a good one."""
        self.thread.join(timeout=max(1.0, self.deadline - time.monotonic()))
        assert not self.thread.is_alive(), f"{self.example.build}\nis not over after {BUILD_LIMIT:.0f} s"
        if self.process is None and self.after is not None:
            self.after.finished()
        self.log.seek(0)
        assert self.is_good(), f"{self.example.build}\n{self.log.read()[-8000:]}"
        return self.example


def begin() -> dict[str, Build]:
    """Every build, begun at once: most of the time is the network's and not the processors'."""
    begun: dict[str, Build] = {}
    for name, example in BUILDS.items():
        begun[name] = Build(example, begun[example.after] if example.after else None)
    return begun


def run(example: Example, *arguments: str, limit: float = 60.0, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a built example to its end; what it printed, standard output and standard error apart."""
    ours = ("GATEWAY_", "TRACEPARENT")
    clean = {name: value for name, value in environment().items() if not name.startswith(ours)}
    return subprocess.run(
        ["bash", "-c", f'exec {example.start} "$@"', "start", *arguments],
        cwd=example.path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=limit,
        env=clean | variables,
    )
