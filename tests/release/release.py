"""A release made on this machine, and the stranger who follows docs/release.md."""

import base64
import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from harness import PATIENCE, REPOSITORY, TARGET, environment
from readme import Example, examples, matches

DOCUMENT = (REPOSITORY / "docs" / "release.md").read_text()
MAKE = REPOSITORY / "deploy" / "release" / "make"
# What a developer may have set for a release of their own, or for a registry.
OTHERS = ("REGISTRY", "RELEASE_", "DOCKER_CONFIG", "HELM_", "COSIGN_", "SSL_CERT_FILE", "VERSION", "GITHUB_")


def bare(**variables: str) -> dict[str, str]:
    """The environment without them."""
    return {name: value for name, value in environment().items() if not name.startswith(OTHERS)} | variables


def made_ready(target: Path) -> None:
    """A target directory of a test's own, with what `just image`, `just sbom` and `just sdk` have made."""
    target.mkdir(parents=True)
    for name in ("static", "image.id", "identity-gateway.cdx.json", "sdk"):
        assert (TARGET / name).exists(), f"{TARGET / name} is not there: run the tests by `just release-test`"
        (target / name).symlink_to(TARGET / name)


def make(target: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs what `just release` runs, into `target`/release-files."""
    return subprocess.run(
        [MAKE, *arguments],
        capture_output=True,
        text=True,
        timeout=10 * PATIENCE,
        stdin=subprocess.DEVNULL,
        env=bare(CARGO_TARGET_DIR=str(target), **variables),
        cwd=REPOSITORY,
    )


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder's files."""
    handler = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def marked(mark: str) -> dict[str, Example]:
    """The document's blocks with this mark, by name."""
    names = re.findall(rf"^<!-- {mark}: (.*?) -->$", DOCUMENT, re.MULTILINE)
    found = {example.name: example for example in examples(DOCUMENT.replace(f"<!-- {mark}:", "<!-- run:"))}
    return {name: found[name] for name in names}


class Stranger:
    """Somebody with an empty folder and an empty home, who does what the document says, word for word."""

    def __init__(self, folder: Path, **variables: str):
        self.folder = folder
        folder.mkdir(parents=True)
        self.variables = bare(**variables)
        [program] = re.findall(r"^<!-- file: verify.py -->\n```python\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
        (folder / "verify.py").write_text(program)

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """One command; what it says is in its standard output. What is released here is for trial."""
        line = line.replace("python verify.py", "python verify.py --trial")
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=2 * PATIENCE,
            env=self.variables,
            cwd=self.folder,
        )

    def follow(self, name: str, mark: str = "run") -> str:
        """Every command of a block succeeds and prints what the document shows; what all of them printed."""
        said, printed = "", []
        for command in marked(mark)[name].commands:
            # A variable that is set stays set, as in a shell.
            if re.match(r"[A-Z]+=", command.line):
                said += command.line + "\n"
                continue
            done = self.run(said + command.line)
            assert done.returncode == 0, f"$ {command.line}\nexit code {done.returncode}\n{done.stdout}"
            shown = "\n".join(command.shown)
            assert matches(command.shown, done.stdout), f"$ {command.line}\n--- shown\n{shown}\n--- printed\n{done.stdout}"
            printed.append(done.stdout)
        return "".join(printed)

    def fails(self, name: str) -> bool:
        """Whether somebody who follows the block is told that something is wrong."""
        try:
            self.follow(name)
        except AssertionError as error:
            # Not because the document, or a tool, is missing.
            assert "exit code" in str(error) and "exit code 127" not in str(error), error
            return True
        return False


def statement(envelope: Path) -> dict:
    """What an in-toto envelope says; the signature is not looked at."""
    return json.loads(base64.b64decode(json.loads(envelope.read_text())["payload"]))


def path_with(*folders: Path) -> str:
    return os.pathsep.join([*map(str, folders), os.environ["PATH"]])
