"""What the recipe makes is what it says, and it makes nothing where it would not be."""

import json
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
from google.protobuf import json_format
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement

import version
from conftest import Key, Published
from harness import REPOSITORY, run
from registry import Registry
from release import bare, made_ready, make, path_with, statement

SIGNATURES = {"SHA256SUMS", "SHA256SUMS.sig", "SHA256SUMS.sigstore.json", "provenance.intoto.jsonl", "provenance.sigstore.json"}


def git(folder: Path, *words: str) -> None:
    settings = ("-c", "user.name=A Person", "-c", "user.email=person@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *settings, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository at its release 1.2.3."""
    chart = tmp_path / "helm" / "identity-gateway"
    chart.mkdir(parents=True)
    (tmp_path / "Cargo.toml").write_text('[package]\nname = "identity-gateway"\nversion = "1.2.3"\n')
    (chart / "Chart.yaml").write_text("version: 1.2.3\nappVersion: 1.2.3\n")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## [1.2.3] - 2026-11-28\n\n- x\n\n## 1.2.2 - 2026-11-27\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "a commit")
    git(tmp_path, "tag", "v1.2.3")
    return tmp_path


def amend(tree: Path, file: str, old: str, new: str, *, commit: bool = True) -> None:
    text = (tree / file).read_text()
    assert old in text
    (tree / file).write_text(text.replace(old, new))
    if commit:
        git(tree, "commit", "--quiet", "--amend", "-am", "a commit")
        git(tree, "tag", "--force", "v1.2.3")


def test_a_tree_that_agrees_is_a_release(tree: Path):
    assert version.problems(tree) == ("1.2.3", [], [])


def test_a_heading_without_brackets_is_a_section_too(tree: Path):
    amend(tree, "CHANGELOG.md", "## [1.2.3] - ", "## 1.2.3 - ")
    assert version.problems(tree) == ("1.2.3", [], [])


@pytest.mark.parametrize(
    ("file", "old", "new", "wrong", "open_"),
    [
        ("helm/identity-gateway/Chart.yaml", "version: 1.2.3\n", "version: 1.2.4\n", "Chart.yaml: version is 1.2.4", None),
        ("helm/identity-gateway/Chart.yaml", "appVersion: 1.2.3", "appVersion: 1.2.2", "Chart.yaml: appVersion is 1.2.2", None),
        ("CHANGELOG.md", "## [1.2.3] - 2026-11-28", "## Unreleased", None, "CHANGELOG.md has no section `## 1.2.3 - DATE`"),
        ("CHANGELOG.md", "[1.2.3] - 2026-11-28", "[1.2.3]", None, "CHANGELOG.md has no section"),
        ("CHANGELOG.md", "[1.2.3]", "[1x2.3]", None, "CHANGELOG.md has no section"),
    ],
)
def test_what_differs_is_named(tree: Path, file: str, old: str, new: str, wrong: str | None, open_: str | None):
    amend(tree, file, old, new)
    _, never, trial = version.problems(tree)
    for said, expected in ((never, wrong), (trial, open_)):
        assert len(said) == (expected is not None) and (expected or "") in "".join(said)


def test_the_tag_is_the_versions(tree: Path):
    git(tree, "tag", "--delete", "v1.2.3")
    git(tree, "tag", "v1.2.4")
    [said] = version.problems(tree)[2]
    assert said == "the tag at HEAD is v1.2.4, and Cargo.toml's version 1.2.3 needs v1.2.3"


def test_a_changed_file_is_named(tree: Path):
    amend(tree, "Cargo.toml", "1.2.3", "1.2.3", commit=False)
    assert version.problems(tree)[2] == []
    (tree / "left").write_text("over")
    [said] = version.problems(tree)[2]
    assert said == "1 files are not as they are committed, the first: left"


def test_a_release_is_not_made_without_its_tag(tmp_path: Path):
    """Of this commit, in a clone that has no tag."""
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--no-tags", str(REPOSITORY), str(clone))
    refused = subprocess.run(
        [clone / "deploy" / "release" / "make"], env=bare(CARGO_TARGET_DIR=str(tmp_path)), capture_output=True, text=True
    )
    assert refused.returncode == 1
    assert "release: the tag at HEAD is none, and Cargo.toml's version" in refused.stderr
    assert "release: not made" in refused.stderr and not (tmp_path / "release-files").exists()


def test_a_trial_says_so(published: Published):
    assert f"A TRIAL (--unreleased), not the release {published.version}" in published.said.stderr
    build = statement(published.files / "provenance.intoto.jsonl")["predicate"]["buildDefinition"]
    assert build["externalParameters"]["arguments"] == ["--unreleased"]
    assert build["internalParameters"] == {"key": "given"}


def test_the_folder_has_what_the_document_lists(published: Published):
    v = published.version
    files = {f"identity-gateway-{v}{end}" for end in ("-linux-amd64.tar.gz", ".image.tar", ".tgz", ".cdx.json")}
    files |= {f"identity-gateway-client-{end}" for end in (f"go-{v}.tar.gz", f"npm-{v}.tgz", f"{v}.jar", f"kotlin-{v}.jar")}
    files |= {f"identity_gateway_client-{v}-py3-none-any.whl"}
    assert {path.name for path in published.files.iterdir()} == files | SIGNATURES | {
        "identity-gateway.binpb",
        "identity-gateway.pub",
    }
    document = (REPOSITORY / "docs" / "release.md").read_text()
    listed = document.partition("| File |")[2].partition("\n\n")[0].replace("VERSION", v)
    assert all(f"`{path.name}`" in listed for path in published.files.iterdir())


def test_the_provenance_is_a_statement_about_every_file_image_and_chart(published: Published):
    said = statement(published.files / "provenance.intoto.jsonl")
    parsed = json_format.ParseDict(said, statement_pb2.Statement())
    Statement.copy_from_pb(parsed).validate()
    listed = {subject["name"]: subject["digest"]["sha256"] for subject in said["subject"]}
    for path in published.files.iterdir():
        if path.name not in SIGNATURES:
            assert listed.pop(path.name) == sha256(path.read_bytes()).hexdigest(), path.name
    assert listed.keys() == {f"{what} identity-gateway:{published.version}" for what in ("image", "chart")}
    commit = said["predicate"]["buildDefinition"]["resolvedDependencies"][0]
    assert commit["digest"] == {"gitCommit": run("git", "rev-parse", "HEAD").stdout.strip()}
    assert ("annotations" in commit) == bool(run("git", "status", "--porcelain").stdout)


def test_the_sums_are_of_every_file_but_their_own_signatures(published: Published):
    listed = {line.split()[1] for line in (published.files / "SHA256SUMS").read_text().splitlines()}
    there = {path.name for path in published.files.iterdir()}
    assert listed == there - {name for name in SIGNATURES if name.startswith("SHA256SUMS")}


def test_the_bill_of_materials_names_the_program_and_its_crates(published: Published):
    bill = json.loads((published.files / f"identity-gateway-{published.version}.cdx.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    assert (bill["metadata"]["component"]["name"], bill["metadata"]["component"]["version"]) == (
        "identity-gateway",
        published.version,
    )
    assert {"tonic", "rustls", "aws-lc-rs"} <= {component["name"] for component in bill["components"]}


def test_the_same_commit_gives_the_same_files_and_may_be_pushed_again(published: Published, key: Key, tmp_path: Path):
    made_ready(tmp_path / "target")
    again = make(tmp_path / "target", "--unreleased", **published.variables, **key.variables)
    assert again.returncode == 0, again.stderr
    for path in published.files.iterdir():
        if path.name not in SIGNATURES:
            assert path.read_bytes() == (tmp_path / "target" / "release-files" / path.name).read_bytes(), path.name
    assert digests(again.stdout) == digests(published.said.stdout) and len(digests(again.stdout)) == 2


def digests(printed: str) -> list[str]:
    return [line.rpartition("@")[2] for line in printed.splitlines() if line.startswith("pushed ")]


@pytest.mark.parametrize("what", ["identity-gateway", "charts/identity-gateway"])
def test_what_is_in_the_registry_is_never_replaced(published: Published, registry: Registry, what: str, tmp_path: Path):
    """Another image, or chart, is there under this version."""
    there = f"{registry.address}/{what.replace('/', '-')}"
    other = subprocess.run(
        ["oras", "push", "--no-tty", f"{there}/{what}:{published.version}", "pytest.ini"],
        cwd=Path(__file__).parent,
        env=bare(**published.variables),
        capture_output=True,
        text=True,
    )
    assert other.returncode == 0, other.stderr
    made_ready(tmp_path / "target")
    refused = make(tmp_path / "target", "--unreleased", **published.variables | {"REGISTRY": there})
    assert refused.returncode == 1
    assert f"{there}/{what}:{published.version} is there already, as sha256:" in refused.stderr


def test_without_a_login_nothing_is_pushed_and_without_a_key_it_is_said_loudly(published: Published, tmp_path: Path):
    made_ready(tmp_path / "target")
    variables = published.variables | {"DOCKER_CONFIG": str(tmp_path)}
    refused = make(tmp_path / "target", "--unreleased", **variables)
    assert refused.returncode == 1 and "pushed" not in refused.stdout, refused.stdout
    assert f"{variables['REGISTRY']}/identity-gateway:{published.version}: " in refused.stderr
    assert "*** NO KEY WAS GIVEN" in refused.stderr and "not who made them" in refused.stderr
    said = statement(tmp_path / "target" / "release-files" / "provenance.intoto.jsonl")
    assert said["predicate"]["buildDefinition"]["internalParameters"] == {"key": "throw-away"}
    # The key was in memory only.
    text = b"".join(path.read_bytes() for path in (tmp_path / "target" / "release-files").iterdir())
    assert b"PRIVATE KEY" not in text


def test_a_trial_does_not_take_the_place_of_a_release(tmp_path: Path):
    made_ready(tmp_path / "target")
    refused = make(tmp_path / "target", "--unreleased", REGISTRY="registry.example.com/acme")
    assert refused.returncode == 1 and "a trial (--unreleased) is pushed to a registry on this machine only" in refused.stderr


def test_without_a_registry_the_chart_names_none_nothing_is_pushed_and_tools_run_without_the_key(
    key: Key, tmp_path: Path
):
    made_ready(tmp_path / "target")
    seen, tool = tmp_path / "seen", tmp_path / "bin" / "buildah"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nenv > {seen}\nexec {shutil.which("buildah")} "$@"\n')
    tool.chmod(0o755)
    pem = Path(key.variables["RELEASE_KEY_FILE"]).read_text()
    secrets = {"RELEASE_KEY": pem, "RELEASE_KEY_PASSWORD": key.variables["RELEASE_KEY_PASSWORD"]}
    made = make(tmp_path / "target", "--unreleased", PATH=path_with(tool.parent), **secrets)
    assert made.returncode == 0 and "NO KEY" not in made.stderr, made.stderr
    assert "RELEASE_KEY" not in seen.read_text() and "PATH=" in seen.read_text()
    said = statement(tmp_path / "target" / "release-files" / "provenance.intoto.jsonl")
    assert said["predicate"]["buildDefinition"]["internalParameters"] == {"key": "given"}
    assert "not pushed: REGISTRY is not set" in made.stdout
    [archive] = (tmp_path / "target" / "release-files").glob("identity-gateway-[0-9]*.tgz")
    values = subprocess.run(
        ["tar", "-xzOf", archive, "identity-gateway/values.yaml"], capture_output=True, text=True, check=True
    )
    assert values.stdout == (REPOSITORY / "helm" / "identity-gateway" / "values.yaml").read_text()


@pytest.mark.parametrize(
    ("options", "variables", "said"),
    [
        (["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], {}, "the key must be ECDSA P-256"),
        (["EC", "-pkeyopt", "ec_paramgen_curve:P-384"], {}, "the key must be ECDSA P-256"),
        (
            ["EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-aes-256-cbc", "-pass", "pass:right"],
            {"RELEASE_KEY_PASSWORD": "wrong"},
            "the key cannot be read",
        ),
    ],
)
def test_a_key_that_does_not_fit_signs_nothing(options: list[str], variables: dict, said: str, tmp_path: Path):
    pem = subprocess.run(["openssl", "genpkey", "-algorithm", *options], capture_output=True, text=True, check=True).stdout
    (tmp_path / "files").mkdir()
    refused = subprocess.run(
        ["python", REPOSITORY / "deploy" / "release" / "attest.py", tmp_path / "files", tmp_path, "--"],
        env=bare(RELEASE_KEY=pem, **variables),
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 1 and said in refused.stderr
    assert pem.splitlines()[1] not in refused.stderr
    assert not list((tmp_path / "files").iterdir())


def test_the_recipe_and_the_workflows_run_what_is_tested_here():
    shown = run("just", "--dry-run", "release", "--unreleased")
    assert "just release-parts\njust release-files --unreleased" in shown.stderr, shown.stderr
    assert "env -u RELEASE_KEY -u RELEASE_KEY_FILE -u RELEASE_KEY_PASSWORD just release-parts" in shown.stderr
    assert "deploy/release/make --unreleased" in run("just", "--dry-run", "release-files", "--unreleased").stderr
    workflows = REPOSITORY / ".github" / "workflows"
    steps = (workflows / "release.yml").read_text()
    # What compiles is done before there is a login or a key.
    places = [steps.index(step) for step in ("just release-parts", "oras login", "secrets.RELEASE_KEY_PASSWORD", "just release-files")]
    assert places == sorted(places)
    assert ".ci/run" in (workflows / "ci.yml").read_text()


def test_the_workflows_are_valid_and_a_mistake_would_be_found(tmp_path: Path):
    workflows = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
    assert len(workflows) == 2
    linted = run("actionlint", *workflows)
    assert linted.returncode == 0, linted.stdout
    broken = tmp_path / "broken.yml"
    broken.write_text(workflows[0].read_text().replace("runs-on:", "run-on:"))
    assert run("actionlint", broken).returncode == 1
