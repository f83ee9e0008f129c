"""Reads the examples of a document, runs them, and compares what they print with what it shows.

An example is a ```console block right after the comment `<!-- run: NAME -->`. Its lines that start with `$ `
are commands (one that ends in a backslash goes on in the next line); the lines below a command are what it
prints, standard output and standard error together. `...` stands for what varies: alone on a line for any
number of lines, within a line for any text. Blanks at the end of a line do not count.
"""

import re
import subprocess
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


def difference(command: Command, folder: Path = REPOSITORY, **variables: str) -> str | None:
    """Runs a command in a folder; what is wrong with it, if anything."""
    # The binary under test may be elsewhere than the document says.
    line = command.line.replace("target/release/identity-gateway", str(BINARY))
    done = subprocess.run(
        ["bash", "-c", line],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        env=environment(**variables),
        cwd=folder,
    )
    if not matches(command.shown, done.stdout):
        shown = "\n".join(command.shown)
        return f"$ {command.line}\n--- shown\n{shown}\n--- printed\n{done.stdout}"
    if done.returncode != 0 and not command.shown:
        return f"$ {command.line}\n--- fails with exit code {done.returncode}"
    return None


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
