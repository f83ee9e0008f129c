"""How each example is built and started, as docs/clients.md says; all builds run at the same time."""

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

# Downloads included, on a machine that has nothing yet and is busy.
BUILD_LIMIT = 900.0


@dataclass
class Example:
    """The commands of one language, run in its folder."""

    folder: str
    build: str
    start: str

    @property
    def path(self) -> Path:
        return EXAMPLES / self.folder


JAVA = "mvn --batch-mode --quiet compile"
LANGUAGES = {
    "go": Example("go", "buf generate ../.. && go build -o client .", "./client"),
    "java": Example("java", JAVA, "java -cp 'target/classes:target/lib/*' example.Client"),
    "kotlin": Example("kotlin", JAVA, "java -cp 'target/classes:target/lib/*' ClientKt"),
    "node": Example("node", "npm ci --ignore-scripts --no-audit --no-fund", "node client.js"),
    # The tests' own environment has what requirements.txt names, in the same versions.
    "python": Example("python", f"{sys.executable} make_stubs.py", f"{sys.executable} client.py"),
    "rust": Example("rust", "cargo build --locked --quiet", "target/debug/identity-gateway-client"),
}
# Built like an example: the grpc-go client of test_service_config.py.
PROBE = Example("../tests/clients/probe", "go build -o probe .", "./probe")


class Build:
    """A build that is running, or has ended."""

    def __init__(self, example: Example):
        self.example = example
        self.started = time.monotonic()
        self.seconds: float | None = None
        self.log: IO[str] = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            ["bash", "-c", f"set -eu; {example.build}"],
            cwd=example.path,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            # A target directory that other builds share would not be where `start` looks.
            env={name: value for name, value in environment().items() if name != "CARGO_TARGET_DIR"},
            start_new_session=True,
        )
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        self.process.wait()
        self.seconds = time.monotonic() - self.started

    def finished(self) -> Example:
        """Waits for the end of the build, which must be a good one."""
        code = self.process.wait(timeout=max(1.0, self.started + BUILD_LIMIT - time.monotonic()))
        self.log.seek(0)
        assert code == 0, f"{self.example.build}\n{self.log.read()[-8000:]}"
        return self.example


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
