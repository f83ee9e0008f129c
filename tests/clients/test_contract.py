"""proto/ is a buf module that others can build on, and docs/api.md is its reference."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

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


def file_options(path: str) -> dict[str, str | bool]:
    """How the languages call what they make of a file `idgw/AREA/VERSION/FILE.proto`."""
    idgw, area, version, file = path.removesuffix(".proto").split("/")
    words = (idgw.title(), area.title(), version.title())
    return {
        # A module of the reserved domain .example, whose packages are named as in AIP-191: `identityv1`.
        "goPackage": f"identity-gateway.example/gateway/{idgw}/{area}/{version};{area}{version}",
        "javaPackage": f"{idgw}.{area}.{version}",
        "javaMultipleFiles": True,
        # Without it the class has the file's name, or another one as soon as a message has that name.
        "javaOuterClassname": file.title().replace("_", "") + "Proto",
        "csharpNamespace": ".".join(words),
        "phpNamespace": "\\".join(words),
        # Beside the classes, where the same entry of an autoloader finds it.
        "phpMetadataNamespace": "\\".join((*words, "GPBMetadata")),
        "rubyPackage": "::".join(words),
        # Objective-C has no namespaces: the version is in the prefix, so that v2 can stand beside v1.
        "objcClassPrefix": "IDGW" + "".join(words[1:]),
        # What Swift makes of the package by itself, so that services, which have no option, are called the same.
        "swiftPrefix": "_".join(words) + "_",
    }


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.path)
def test_a_file_says_for_each_language_how_it_is_called(file: contract.File):
    assert file.options == file_options(file.path)


def test_no_file_needs_protos_that_no_compiler_brings():
    """Annotations of others (google.api, validate, openapi) would have to be fetched by each caller."""
    imports = {
        line.split('"')[1]
        for path in (REPOSITORY / "proto").rglob("*.proto")
        for line in path.read_text().splitlines()
        if line.startswith("import ")
    }
    assert {path for path in imports if not path.startswith(("idgw/", "google/protobuf/"))} == set()


@pytest.mark.parametrize(
    ("before", "now", "broken"),
    [
        ("message A {}", 'option go_package = "a";\nmessage A {}', None),
        ("message A {}", 'option go_package = "a";\nmessage B {}', 'message "A"'),
        ('option go_package = "a";\nmessage A {}', 'option go_package = "b";\nmessage A {}', "go_package"),
        ('option go_package = "a";\nmessage A {}', "message A {}", "go_package"),
    ],
    ids=["first names", "first names and a break", "another name", "a name that is gone"],
)
def test_what_the_languages_call_it_may_be_said_once_and_not_be_changed(
    tmp_path: Path, before: str, now: str, broken: str | None
):
    """`.ci/buf-breaking` in a repository with two commits."""
    own = tmp_path / "proto" / "consumer" / "v1" / "case.proto"
    own.parent.mkdir(parents=True)
    (tmp_path / ".ci").mkdir()
    for file in (".ci/buf-breaking", "buf.yaml"):
        shutil.copy(REPOSITORY / file, tmp_path / file)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run([*git, "init", "--quiet", "--initial-branch=main"], cwd=tmp_path, check=True)
    for words in (before, now):
        own.write_text(f'syntax = "proto3";\npackage consumer.v1;\n{words}\n')
        subprocess.run([*git, "add", "."], cwd=tmp_path, check=True)
        subprocess.run([*git, "commit", "--quiet", "--message=feat: a case"], cwd=tmp_path, check=True)
    done = subprocess.run([".ci/buf-breaking"], cwd=tmp_path, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert (done.returncode == 0) is (broken is None), said
    assert broken is None or broken in said


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
