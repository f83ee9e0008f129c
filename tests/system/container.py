"""Runs the image that `just image` has built, by podman and runc, as a cluster would: read-only, without
root, without capabilities."""

import json
import uuid
from pathlib import Path

from harness import TARGET, Program, run, wait_for

# The id that `just image` wrote.
IMAGE_ID = TARGET / "image.id"
# Containers without root's limits: the host may not give the ones that podman asks for by itself.
LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")
RESTRICTED = ("--read-only", "--read-only-tmpfs=false", "--cap-drop=all", "--security-opt=no-new-privileges")


def image() -> str:
    """The image under test."""
    assert IMAGE_ID.is_file(), f"{IMAGE_ID} is not there: run the tests by `just system`"
    return IMAGE_ID.read_text().strip()


def podman(*words: object):
    """Runs podman to its end; the caller looks at exit code and output."""
    return run("podman", "--runtime", "runc", *words)


def inspect() -> dict:
    """What podman knows of the image."""
    found = podman("image", "inspect", image())
    assert found.returncode == 0, found.stderr
    [described] = json.loads(found.stdout)
    return described


class Container(Program):
    """A container of the image, or of another one. `options` go to `podman run`, `variables` are its environment."""

    def __init__(self, *arguments: str, options: tuple[str, ...] = (), of: str | None = None, **variables: str):
        self.name = f"idgw-{uuid.uuid4()}"
        settings = {"IDGW_LOG__FORMAT": "json"} | variables
        self.program = (
            *("podman", "--runtime", "runc", "run", "--name", self.name, *LIMITS, *RESTRICTED),
            *(f"--env={name}={value}" for name, value in settings.items()),
            *options,
            of or image(),
        )
        super().__init__(*arguments)

    def serving(self) -> dict:
        """The log line that says where it serves."""
        return self.wait_for_log("serving")

    def execute(self, *arguments: str):
        """Runs a command of the program inside the container, as a probe would."""
        return podman("exec", self.name, "/identity-gateway", *arguments)

    def state(self) -> dict:
        found = podman("container", "inspect", "--format", "{{json .State}}", self.name)
        assert found.returncode == 0, found.stderr
        return json.loads(found.stdout)

    def proc(self) -> Path:
        """The directory of its first process, as the host sees it."""
        return Path("/proc") / str(wait_for("its process", lambda: self.state()["Pid"] or None))

    def stop(self) -> int:
        """Stops it as an operator would; its exit code."""
        stopped = podman("stop", "--time", "25", self.name)
        assert stopped.returncode == 0, stopped.stderr
        return self.wait()

    def __exit__(self, *_: object) -> None:
        podman("rm", "--force", "--ignore", "--time", "0", self.name)
        super().__exit__()


def gateway_container(
    *flags: str, options: tuple[str, ...] = (), of: str | None = None, **variables: str
) -> Container:
    """`serve` on free ports of the host's own network."""
    ports = {"IDGW_SERVER__LISTEN": "127.0.0.1:0", "IDGW_ADMIN__LISTEN": "127.0.0.1:0"}
    return Container("serve", *flags, options=("--network=host", *options), of=of, **(ports | variables))
