"""The README's calls, and those of docs/call.md, give the answers that they show, from a server started as the README says."""

import re
import socket
import sys
from pathlib import Path

import pytest

from harness import REPOSITORY, Program, run
from readme import difference, examples

README = (REPOSITORY / "README.md").read_text()
CALL = (REPOSITORY / "docs" / "call.md").read_text()


@pytest.fixture(scope="module")
def server():
    """The README's first command, from the binary that it would build, on the README's ports."""
    started = re.search(r"^cargo run --release -- (serve .*)$", README, re.MULTILINE)
    assert started, "the README does not say how to start the server"
    for port in (50051, 9464):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, f"port {port} is taken"
    with Program(*started[1].split()) as serving:
        serving.wait_for_log("serving")
        yield serving


@pytest.mark.parametrize("example", examples(README) + examples(CALL), ids=lambda example: example.name)
def test_an_example_prints_what_the_readme_shows(server: Program, example):
    wrong = [found for command in example.commands if (found := difference(command))]
    assert not wrong, "\n\n".join(wrong)


def test_the_readme_has_examples_of_both_clients():
    lines = [command.line for example in examples(README) for command in example.commands]
    assert any("grpcurl" in line for line in lines)
    assert any("identity-gateway call" in line for line in lines)


def test_the_program_of_the_readme_prints_who_was_found(server: Program, contract, tmp_path):
    [program] = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    (tmp_path / "program.py").write_text(program)
    stubs = next(path for path in sys.path if (Path(path) / "idgw").is_dir())
    ran = run(sys.executable, tmp_path / "program.py", PYTHONPATH=stubs)
    assert (ran.returncode, ran.stdout.split()[-1]) == (0, "True"), ran.stderr


def test_the_readme_is_short():
    assert len(README.encode()) <= 10_000
