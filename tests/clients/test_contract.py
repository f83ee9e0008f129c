"""proto/ is a buf module that others can build on, and docs/api.md is its reference."""

import re
import subprocess
from pathlib import Path

import api_reference
import contract
from harness import REPOSITORY

FILES = contract.read()
REFERENCE = (REPOSITORY / "docs" / "api.md").read_text()
CONSUMER = """
// A file of somebody else's that uses the contract.
syntax = "proto3";

package consumer.v1;

import "idgw/identity/v1/identity_service.proto";
import "idgw/person/v1/person.proto";

// What somebody else keeps of a person.
message Case {
  // The person.
  idgw.person.v1.Person person = 1;
  // The answer of the registry.
  idgw.identity.v1.CheckCurpResponse answer = 2;
}
"""


def buf(*words: object, folder: Path = REPOSITORY) -> str:
    """Runs buf, which must have nothing to say against it; what it printed."""
    done = subprocess.run(["buf", *map(str, words)], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"buf {words}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_reference_is_what_the_comments_say():
    assert REFERENCE == api_reference.document(FILES), "run `just docs`"


def test_the_reference_has_every_rpc_with_its_policy_and_every_message_field_and_value():
    sections = dict(re.findall(r"^#### (\w+)\n(.*?)(?=^#|\Z)", REFERENCE, re.MULTILINE | re.DOTALL))
    for rpc in contract.rpcs(FILES):
        section = sections[rpc.name]
        assert f"`{rpc.service}/{rpc.name}`" in section
        assert f"- Scope: `{rpc.policy.scope}`" in section
        for word in ("At the provider", "The gateway retries it", "Consent"):
            assert re.search(rf"^- {word}: \S", section, re.MULTILINE), f"{rpc.name}: {word}"
    for file in FILES:
        members = {message.name: message.fields for message in file.messages}
        members |= {enum.name: enum.values for enum in file.enums}
        for name, expected in members.items():
            section = sections[name.rpartition(".")[2]]
            rows = re.findall(r"^\| (\d+) \| `(\w+)` \| .*\w.* \|$", section, re.MULTILINE)
            assert [(int(number), word) for number, word in rows] == [(m.number, m.name) for m in expected]


def test_every_link_of_the_reference_has_its_heading():
    headings = [heading.lower() for heading in re.findall(r"^#+ (.+)$", REFERENCE, re.MULTILINE)]
    anchors = re.findall(r"\]\(#([^)]+)\)", REFERENCE)
    assert len(set(headings)) == len(headings), "two headings with the same anchor"
    assert set(anchors) <= set(headings)


def test_the_module_builds_by_itself():
    assert "idgw/identity/v1/identity_service.proto" in buf("ls-files", REPOSITORY / "proto")
    buf("build", REPOSITORY / "proto", "-o", "/dev/null")


def test_a_workspace_builds_on_the_exported_module_and_lints(tmp_path: Path):
    buf("export", REPOSITORY, "--output", tmp_path / "identity-gateway")
    own = tmp_path / "proto" / "consumer" / "v1" / "case.proto"
    own.parent.mkdir(parents=True)
    own.write_text(CONSUMER.lstrip())
    (tmp_path / "buf.yaml").write_text(
        "version: v2\nmodules:\n  - path: proto\n  - path: identity-gateway\nlint:\n  use: [STANDARD, COMMENTS]\n"
    )
    buf("lint", folder=tmp_path)
    buf("build", "-o", tmp_path / "all.binpb", folder=tmp_path)
    assert "consumer/v1/case.proto" in buf("ls-files", "--include-imports", folder=tmp_path)
    # A module of the workspace that lost a file would be missed.
    (tmp_path / "identity-gateway" / "idgw" / "person" / "v1" / "person.proto").unlink()
    assert subprocess.run(["buf", "build"], cwd=tmp_path, capture_output=True).returncode != 0


def test_a_consumer_can_generate_straight_from_the_repository(tmp_path: Path):
    """By path here; by `git_repo:` it is the same input."""
    (tmp_path / "buf.gen.yaml").write_text(
        f"version: v2\ninputs:\n  - directory: {REPOSITORY}\n"
        "plugins:\n  - protoc_builtin: python\n    protoc_path: [python, -m, grpc_tools.protoc]\n    out: out\n"
    )
    buf("generate", folder=tmp_path)
    assert (tmp_path / "out" / "idgw" / "identity" / "v1" / "identity_service_pb2.py").is_file()
