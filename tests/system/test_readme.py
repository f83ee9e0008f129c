"""The README's calls, and those of docs/call.md, give the answers that they show, from a server started as the README says."""

import re
import socket
from pathlib import Path

import pytest

from harness import REPOSITORY, Program
from readme import Session, examples, sessions

README = (REPOSITORY / "README.md").read_text()
CALL = (REPOSITORY / "docs" / "call.md").read_text()


@pytest.fixture(scope="module")
def server():
    """What the README's commands start, from the binary that they would build or fetch, on the README's ports."""
    started = re.findall(r"^(?:cargo run --release --|identity-gateway) (serve .*)$", README, re.MULTILINE)
    assert len(started) == 2 and len(set(started)) == 1, "the README does not say how to start the server"
    for port in (50051, 9464):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, f"port {port} is taken"
    with Program(*started[0].split()) as serving:
        serving.wait_for_log("serving")
        yield serving


@pytest.mark.parametrize(("name", "commands"), [*sessions(README).items(), *sessions(CALL).items()])
def test_an_example_prints_what_the_readme_shows(server: Program, name, commands):
    with Session() as session:
        wrong = [found for command in commands if (found := session.difference(command))]
    assert not wrong, "\n\n".join(wrong)


def test_the_readme_has_examples_of_both_clients():
    lines = [command.line for example in examples(README) for command in example.commands]
    assert any("grpcurl" in line for line in lines)
    assert any(line.startswith("identity-gateway call") for line in lines)


def test_the_readme_is_short():
    assert len(README.encode()) <= 10_000


def test_the_numbers_of_the_readme_are_those_of_what_it_names():
    """Those that are counted; the measured ones stand in the documents that it links."""
    documents = {name: (REPOSITORY / name).read_text() for name in ("docs/errors.md", "docs/sandbox.md", "SECURITY.md")}
    reasons = documents["docs/errors.md"].partition("## Every reason")[2].partition("\n## ")[0]
    counted = {
        r"(\d+) reasons": len(set(re.findall(r"^\| `(\w+)`", reasons, re.MULTILINE))),
        r"(\d+)\s+requests": len(re.findall(r"^\| (?:verifik|youverify|accuauth) \|", documents["docs/sandbox.md"], re.MULTILINE)),
        r"(\d+) attacks": len(re.findall(r"^\| `[\w-]+` \| ", documents["SECURITY.md"], re.MULTILINE)),
    }
    for words, count in counted.items():
        assert re.findall(words, README) == [str(count)], words
    chaos = (REPOSITORY / "docs" / "chaos.md").read_text()
    assert "at most 97 MiB" in README and "at most 97 MiB" in " ".join(chaos.split())
    rows = (REPOSITORY / "CONTRIBUTING.md").read_text().partition("Seven files are its own:")[2].partition("\n\nThe compiler")[0]
    assert "One RPC is seven files" in README and rows.count("\n| `") == 7
