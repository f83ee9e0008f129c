"""A Docker engine for what wants one: podman's, which speaks Docker's API on a socket of its own."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import environment, run, wait_for

# The host may not give the limits that podman asks for by itself, and has runc.
CONFIGURATION = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
"""


@contextmanager
def engine(folder: Path) -> Iterator[dict[str, str]]:
    """The variables with which Docker's clients, podman and podman-compose find the engine."""
    configuration, socket = folder / "containers.conf", folder / "podman.sock"
    configuration.write_text(CONFIGURATION)
    # Without systemd nobody runs health checks by the clock: tests run them.
    variables = {"CONTAINERS_CONF": str(configuration), "DISABLE_HC_SYSTEMD": "true"}
    with open(folder / "engine.log", "w") as log:
        service = subprocess.Popen(
            ["podman", "system", "service", "--time=0", f"unix://{socket}"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(**variables),
        )
        try:
            wait_for("the engine's socket", lambda: socket.exists() or None)
            yield variables | {
                "DOCKER_HOST": f"unix://{socket}",
                # The image that removes what tests leave behind cannot be pulled here; what is left behind is looked for.
                "TESTCONTAINERS_RYUK_DISABLED": "true",
                # Where the tests themselves are in a container, the engine's ports are still this machine's.
                "TESTCONTAINERS_CONNECTION_MODE": "docker_host",
            }
        finally:
            service.terminate()
            service.wait(timeout=30)


def redis_image(folder: Path) -> str:
    """An image of this machine's Redis: no registry can be reached."""
    programs = ["/usr/bin/redis-server", "/usr/bin/redis-cli"]
    libraries = {
        word for program in programs for word in run("ldd", program).stdout.split() if word.startswith("/")
    }
    for path in [*programs, *sorted(libraries)]:
        copy = folder / "root" / path.lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(Path(path).read_bytes())
        copy.chmod(0o755)
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY root/ /\nUSER 999:999\n")
    tag = f"localhost/redis-of-tests:{os.getpid()}"
    built = run("buildah", "bud", "--quiet", "--isolation", "chroot", "--tag", tag, folder)
    assert built.returncode == 0, built.stderr
    return tag
