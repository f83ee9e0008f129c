"""docs/access-examples.md, followed to the letter in empty folders; and what docs/access.md has of keys."""

import os
import re
import signal

import pytest

from harness import BINARY, REPOSITORY, Gateway, gateway, run
from readme import difference, examples

DOCUMENT = (REPOSITORY / "docs" / "access-examples.md").read_text()
MODES = ("keys", "jwt", "mtls", "mesh")


def files(mode: str) -> dict[str, str]:
    """The files of an example: the blocks below `<!-- file: MODE/NAME -->`."""
    marks = rf"^<!-- file: {mode}/(\S+) -->\n```\w+\n(.*?)^```$"
    return dict(re.findall(marks, DOCUMENT, re.MULTILINE | re.DOTALL))


@pytest.fixture
def folder(tmp_path):
    """An empty folder; what was started in it and left is ended."""
    yield tmp_path
    pid = tmp_path / "gateway.pid"
    if pid.exists():
        try:
            os.kill(int(pid.read_text()), signal.SIGKILL)
        except ProcessLookupError:
            pass


@pytest.mark.parametrize("mode", MODES)
def test_an_example_does_what_it_shows(mode, folder, tmp_path_factory):
    programs = tmp_path_factory.mktemp("bin")
    (programs / "identity-gateway").symlink_to(BINARY)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    for name, text in files(mode).items():
        (folder / name).write_text(text)
    blocks = [example for example in examples(DOCUMENT) if example.name == mode]
    assert len(blocks) == 2
    for command in (command for block in blocks for command in block.commands):
        wrong = difference(command, folder, PATH=path)
        assert not wrong, wrong


def test_there_is_an_example_of_every_mode():
    assert {example.name for example in examples(DOCUMENT)} == set(MODES)
    schema = gateway("check-config", "--schema").stdout
    known = set(re.findall(r'"const": "(none|jwt|mtls|mesh|keys|\w+)"', schema[schema.index('"mode"'):][:2000]))
    assert set(MODES) <= known


def test_a_key_made_as_the_document_says_is_one_of_the_policy_it_shows(tmp_path):
    """docs/access.md: the key's name is that of a rule of deploy/access/policy.toml."""
    document = (REPOSITORY / "docs" / "access.md").read_text()
    [lines] = re.findall(r"```sh\n(openssl rand.*?)```", document, re.DOTALL)
    made = run("bash", "-c", f"cd {tmp_path} && {lines}")
    assert made.returncode == 0, made.stderr
    [key] = tmp_path.glob("*.key")
    settings = {
        "IDGW_AUTH__MODE": "keys", "IDGW_AUTH__KEYS__FILE": str(tmp_path / "keys"),
        "IDGW_AUTH__POLICY_FILE": str(REPOSITORY / "deploy" / "access" / "policy.toml"),
    }
    with Gateway(**settings) as serving:
        called = gateway("call", "ListPersons", "{}", "--address", serving.address, "--token-file", key)
        assert called.returncode == 0, called.stderr
