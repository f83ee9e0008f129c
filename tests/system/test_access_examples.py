"""docs/access-examples.md has an example of every mode, and docs/access.md makes keys that work. Both are run by
test_documents.py."""

import re

from harness import REPOSITORY, Gateway, gateway
from readme import Session, sessions

DOCUMENT = (REPOSITORY / "docs" / "access-examples.md").read_text()
MODES = ("keys", "jwt", "mtls", "mesh")


def test_there_is_an_example_of_every_mode():
    assert set(sessions(DOCUMENT)) == set(MODES)
    schema = gateway("check-config", "--schema").stdout
    known = set(re.findall(r'"const": "(none|jwt|mtls|mesh|keys|\w+)"', schema[schema.index('"mode"'):][:2000]))
    assert set(MODES) <= known


def test_a_key_made_as_the_document_says_is_one_of_the_policy_it_shows(tmp_path):
    """docs/access.md: the key's name is that of a rule of deploy/access/policy.toml."""
    document = (REPOSITORY / "docs" / "access.md").read_text()
    with Session(tmp_path) as session:
        for command in sessions(document)["key"]:
            assert session.difference(command) is None
    [key] = tmp_path.glob("*.key")
    settings = {
        "IDGW_AUTH__MODE": "keys", "IDGW_AUTH__KEYS__FILE": str(tmp_path / "keys"),
        "IDGW_AUTH__POLICY_FILE": str(REPOSITORY / "deploy" / "access" / "policy.toml"),
    }
    with Gateway(**settings) as serving:
        called = gateway("call", "ListPersons", "{}", "--address", serving.address, "--token-file", key)
        assert called.returncode == 0, called.stderr
