"""Reads the examples of a document, runs them, and compares what they print with what it shows.

An example is a ```console block right after the comment `<!-- run: NAME -->`. Its lines that start with `$ `
are commands (one that ends in a backslash goes on in the next line); the lines below a command are what it
prints, standard output and standard error together. `...` stands for what varies: alone on a line for any
number of lines, within a line for any text. Blanks at the end of a line do not count.

Examples of one name are one session: a shell that is opened for the first command and ended after the last, with all
that was started in it. A block right after `<!-- file: NAME/PATH -->` is a file in that session's folder.
"""

import os
import re
import select
import shlex
import signal
import subprocess
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from harness import BINARY, PATIENCE, REPOSITORY, environment


@dataclass
class Command:
    """One command of an example."""

    line: str
    shown: list[str] = field(default_factory=list)


@dataclass
class Example:
    """One marked block."""

    name: str
    commands: list[Command]


def examples(document: str) -> list[Example]:
    """Every marked block of a document, in its order."""
    found = []
    for mark in re.finditer(r"^<!-- run:(.*?)-->\n", document, re.MULTILINE):
        name = mark[1].strip()
        block = re.match(r"```console\n(.*?)^```$", document[mark.end() :], re.MULTILINE | re.DOTALL)
        if not name or not block:
            raise ValueError(f"a mark without name or console block: {mark[0].strip()}")
        found.append(Example(name, _commands(name, block[1].splitlines())))
    return found


def sessions(document: str) -> dict[str, list[Command]]:
    """The commands of each name, in their order."""
    found: dict[str, list[Command]] = {}
    for example in examples(document):
        found.setdefault(example.name, []).extend(example.commands)
    return found


def files(document: str, name: str) -> dict[str, str]:
    """The files of a session."""
    marks = rf"^<!-- file: {re.escape(name)}/(\S+) -->\n```\w+\n(.*?)^```$"
    return dict(re.findall(marks, document, re.MULTILINE | re.DOTALL))


def _commands(name: str, lines: list[str]) -> list[Command]:
    commands: list[Command] = []
    for line in lines:
        if commands and commands[-1].line.endswith("\\") and not commands[-1].shown:
            commands[-1].line += "\n" + line
        elif line.startswith("$ "):
            commands.append(Command(line[2:]))
        elif commands:
            commands[-1].shown.append(line)
        else:
            raise ValueError(f"{name}: the block does not begin with a command")
    if not commands:
        raise ValueError(f"{name}: the block has no command")
    return commands


class Session:
    """A shell in a folder, which finds the program under test as `identity-gateway`."""

    def __init__(self, folder: Path = REPOSITORY, patience: float = PATIENCE, **variables: str):
        self.patience = patience
        self._programs = tempfile.TemporaryDirectory()
        (Path(self._programs.name) / "identity-gateway").symlink_to(BINARY)
        path = f"{self._programs.name}{os.pathsep}{os.environ['PATH']}"
        self.shell = subprocess.Popen(
            ["bash"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(PATH=path, **variables),
            cwd=folder,
            # A process group of its own, so that all that was started ends with it.
            start_new_session=True,
        )

    def run(self, line: str) -> tuple[str, int]:
        """Runs a command; what it prints until it ends, and its exit code."""
        mark = uuid.uuid4().hex
        assert self.shell.stdin and self.shell.stdout
        self.shell.stdin.write(f"eval {shlex.quote(line)} </dev/null\nprintf '%s %d\\n' {mark} $?\n".encode())
        self.shell.stdin.flush()
        printed, end = b"", time.monotonic() + self.patience
        while not (done := re.search(rf"{mark} (\d+)\n".encode(), printed)):
            if not select.select([self.shell.stdout], [], [], max(end - time.monotonic(), 0))[0]:
                raise AssertionError(f"$ {line}\n--- does not end within {self.patience:.0f} s\n{printed.decode()}")
            if not (more := os.read(self.shell.stdout.fileno(), 1 << 16)):
                raise AssertionError(f"$ {line}\n--- ends the shell\n{printed.decode()}")
            printed += more
        return printed[: done.start()].decode(), int(done[1])

    def difference(self, command: Command) -> str | None:
        """Runs a command; what is wrong with it, if anything."""
        # The binary under test may be elsewhere than the document says.
        printed, code = self.run(command.line.replace("target/release/identity-gateway", str(BINARY)))
        if not matches(command.shown, printed):
            shown = "\n".join(command.shown)
            return f"$ {command.line}\n--- shown\n{shown}\n--- printed\n{printed}"
        if code != 0 and not command.shown:
            return f"$ {command.line}\n--- fails with exit code {code}"
        return None

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        # Until nothing of the group is left: the next session may want the same ports. What has ended and is not
        # collected by its new parent still counts, so this is not waited for without end.
        end = time.monotonic() + 5
        try:
            while time.monotonic() < end:
                os.killpg(self.shell.pid, signal.SIGKILL)
                self.shell.wait(timeout=PATIENCE)
                time.sleep(0.01)
        except ProcessLookupError:
            pass
        assert self.shell.stdin and self.shell.stdout
        self.shell.stdout.close()
        try:
            self.shell.stdin.close()
        except BrokenPipeError:
            pass
        self._programs.cleanup()


def difference(command: Command, folder: Path = REPOSITORY, **variables: str) -> str | None:
    """Runs one command in a session of its own; what is wrong with it, if anything."""
    with Session(folder, **variables) as session:
        return session.difference(command)


def matches(shown: list[str], printed: str) -> bool:
    """Whether a command printed what the document shows."""
    pattern = ""
    for line in shown:
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*?".join(map(re.escape, line.rstrip().split("..."))) + "\n"
    text = "".join(f"{line.rstrip()}\n" for line in printed.rstrip().splitlines())
    return re.fullmatch(pattern, text) is not None
