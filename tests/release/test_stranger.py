"""A stranger with an empty home follows docs/release.md: verifies, runs and installs what a release has; and is told what was
tampered with."""

import base64
import inspect
import json
import re
import shutil
import socket
from pathlib import Path

import pytest
import yaml

from clients import Command
from conftest import Key, Published
from container import gateway_container, podman
from harness import REPOSITORY, Program, run
from registry import Registry
from release import Stranger, bare, marked, statement

ARCHIVE = "identity-gateway-{}-linux-amd64.tar.gz"
PERSON = {"curp": "RAZR811011HVZXPB01"}


@pytest.fixture(scope="module")
def verified(stranger: Stranger) -> Stranger:
    """The stranger, who has fetched the files, checked signature and sums, and unpacked the program."""
    for name in ("key", "files", "provenance", "unpack"):
        stranger.follow(name)
    return stranger


@pytest.fixture(scope="module")
def serving(verified: Stranger, published: Published):
    """The unpacked program, started as the document says, without reflection."""
    for port in (50051, 9464):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, f"port {port} is taken"
    [line] = [line for line in re.findall(r"^\./identity-gateway-.*$", document(), re.MULTILINE) if "serve" in line]
    binary, *arguments = line.replace("$VERSION", published.version).split()

    class Unpacked(Program):
        program = (str(verified.folder / binary),)

    with Unpacked(*arguments, IDGW_SERVER__REFLECTION="false") as program:
        program.wait_for_log("serving")
        yield program


def document() -> str:
    return (REPOSITORY / "docs" / "release.md").read_text()


def test_every_block_of_the_document_is_followed():
    here = (Path(__file__).parent / "conftest.py").read_text() + Path(__file__).read_text()
    here = here.replace(inspect.getsource(test_every_block_of_the_document_is_followed), "")
    assert marked("run").keys() >= {
        *("key", "files", "provenance", "unpack", "call", "wheel", "module", "image", "load", "chart", "new-key")
    }
    assert all(f'"{name}"' in here for name in marked("run"))


def test_the_unpacked_binary_serves_and_answers_with_and_without_reflection(verified: Stranger, serving: Program):
    verified.follow("call")
    # That it is off: without the descriptor set nothing can be asked.
    assert verified.run("grpcurl -plaintext localhost:50051 list").returncode != 0


def test_the_program_of_the_readme_runs_with_the_package(verified: Stranger, serving: Program, published: Published):
    verified.follow("wheel")
    readme = (REPOSITORY / "README.md").read_text()
    [wheel] = re.findall(r"`pip install (\S+)`", readme)
    assert wheel == f"identity_gateway_client-{published.version}-py3-none-any.whl"
    [program] = re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    (verified.folder / "program.py").write_text(program)
    ran = verified.run("venv/bin/python program.py")
    assert (ran.returncode, ran.stdout.split()[-1]) == (0, "True"), ran.stdout


def test_a_module_of_ones_own_builds_with_the_package_for_go(verified: Stranger, serving: Program):
    [program] = re.findall(r"^<!-- file: main.go -->\n```go\n(.*?)^```$", document(), re.MULTILINE | re.DOTALL)
    (verified.folder / "main.go").write_text(program)
    assert verified.run("go mod init example.com/first").returncode == 0
    verified.follow("module")
    # This machine's caches: nothing is fetched or compiled twice.
    caches = run("go", "env", "GOMODCACHE", "GOCACHE").stdout.split()
    ran = verified.run("export GOMODCACHE={} GOCACHE={}; go mod tidy && go run .".format(*caches))
    assert (ran.returncode, ran.stdout.split()[-1]) == (0, "true"), ran.stdout


def test_the_archive_holds_licence_and_readme(verified: Stranger, published: Published):
    folder = verified.folder / ARCHIVE.format(published.version).removesuffix(".tar.gz")
    assert {path.name for path in folder.iterdir()} == {"identity-gateway", "LICENSE", "README.md", "CHANGELOG.md"}
    assert (folder / "LICENSE").read_bytes() == (REPOSITORY / "LICENSE").read_bytes()


@pytest.fixture
def tampered(verified: Stranger, key: Key, tmp_path: Path) -> Stranger:
    """A stranger of the same files, which a test may change; nothing is fetched again."""
    other = Stranger(tmp_path / "work", **{n: v for n, v in verified.variables.items() if n not in bare()})
    other.variables = dict(verified.variables)
    for path in verified.folder.iterdir():
        if path.is_file():
            shutil.copy(path, other.folder)
    return other


def checks(stranger: Stranger) -> dict[str, bool]:
    """What the document's three checks say, without fetching the files again."""
    signature, sums = [c.line for c in marked("run")["files"].commands if c.line.startswith(("openssl", "sha256sum"))]
    [provenance] = [command.line for command in marked("run")["provenance"].commands]
    lines = {"signature": signature, "sums": sums, "provenance": provenance}
    done = {name: stranger.run(line) for name, line in lines.items()}
    assert all(ran.returncode != 127 and "No such file" not in ran.stdout for ran in done.values()), done
    return {name: ran.returncode == 0 for name, ran in done.items()}


def flip(path: Path, at: int) -> None:
    """One bit of a file."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


GOOD = {"signature": True, "sums": True, "provenance": True}


def test_a_trial_is_told_from_a_release(verified: Stranger):
    ran = verified.run("python ./verify.py identity-gateway.binpb")
    assert ran.returncode == 1 and ran.stdout.endswith("NOT A RELEASE: made for trial, or signed by nobody in particular\n")


def test_files_that_nobody_touched_pass(tampered: Stranger):
    assert checks(tampered) == GOOD


def test_a_file_with_one_bit_changed_fails_sums_and_provenance(tampered: Stranger, published: Published):
    flip(tampered.folder / ARCHIVE.format(published.version), 1000)
    assert checks(tampered) == GOOD | {"sums": False, "provenance": False}


def test_a_file_with_its_sum_changed_too_fails_signature_and_provenance(tampered: Stranger, published: Published):
    name = ARCHIVE.format(published.version)
    flip(tampered.folder / name, 1000)
    done = tampered.run(f"sed -i \"s/^.*  {name}$/$(sha256sum {name})/\" SHA256SUMS")
    assert done.returncode == 0, done.stdout
    assert checks(tampered) == GOOD | {"signature": False, "provenance": False}


def test_a_provenance_that_says_something_else_fails_signature_and_sums(tampered: Stranger):
    path = tampered.folder / "provenance.intoto.jsonl"
    envelope = json.loads(path.read_text())
    said = statement(path)
    said["predicate"]["buildDefinition"]["externalParameters"]["arguments"] = []
    envelope["payload"] = base64.b64encode(json.dumps(said).encode()).decode()
    path.write_text(json.dumps(envelope))
    assert checks(tampered) == GOOD | {"sums": False, "provenance": False}


def test_another_key_verifies_nothing(tampered: Stranger):
    made = tampered.run("openssl ecparam -name prime256v1 -genkey -noout | openssl pkey -pubout > identity-gateway.pub")
    assert made.returncode == 0, made.stdout
    assert checks(tampered) == {"signature": False, "sums": False, "provenance": False}


def test_the_image_of_the_registry_is_pulled_by_its_signed_digest_and_answers(verified: Stranger, registry: Registry):
    try:
        verified.follow("image")
        image = pulled(verified, registry)
        [line] = re.findall(r"^podman run (?:.*\\\n)*.*$", document(), re.MULTILINE)
        assert line.endswith("$IMAGE serve --sandbox") and {"--read-only", "--cap-drop=all"} <= set(line.split()), line
        with gateway_container("--sandbox", of=image, IDGW_AUTH__MODE="none") as container:
            answer = Command(container.serving()["grpc"]).call("CheckCurp", PERSON)
            assert answer["record"]["curp"] == PERSON["curp"]
            assert container.stop() == 0
    finally:
        podman("rmi", "--force", "--ignore", pulled(verified, registry))


def pulled(stranger: Stranger, registry: Registry) -> str:
    digest = stranger.run("python verify.py | sed -n 's/^image .* //p'").stdout.strip()
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest), digest
    return f"{registry.name}/identity-gateway@{digest}"


def test_who_may_not_read_the_registry_pulls_nothing(verified: Stranger, registry: Registry, tmp_path: Path):
    verified.variables["HOME"], home = str(tmp_path), verified.variables["HOME"]
    try:
        assert verified.fails("image") and verified.fails("chart")
    finally:
        verified.variables["HOME"] = home


def test_the_image_file_holds_the_same_image(verified: Stranger, registry: Registry):
    """The name that it loads is the one that `just image` gives, and so is the image: nothing is left that was not there."""
    loaded = verified.follow("load").split()[-1]
    try:
        verified.follow("image")
        ids = [podman("image", "inspect", "--format", "{{.Id}}", name) for name in (loaded, pulled(verified, registry))]
        assert ids[0].stdout == ids[1].stdout != "", ids
    finally:
        podman("rmi", "--force", "--ignore", pulled(verified, registry))


def test_the_chart_of_the_registry_renders_with_the_image_of_the_registry(verified: Stranger, registry: Registry):
    documents = [document for document in yaml.safe_load_all(verified.follow("chart")) if document]
    assert {"Deployment", "Service", "ConfigMap"} <= {document["kind"] for document in documents}
    [deployment] = [document for document in documents if document["kind"] == "Deployment"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == pulled(verified, registry)


@pytest.mark.parametrize("what", ["image", "chart"])
def test_signature_and_provenance_are_attached_in_the_registry(
    verified: Stranger, registry: Registry, published: Published, what: str, tmp_path: Path
):
    name = f"{registry.name}/{'charts/' if what == 'chart' else ''}identity-gateway:{published.version}"
    digest = verified.run(f"oras resolve {name}").stdout.strip()
    found = json.loads(verified.run(f"oras discover --format json {name}").stdout)["referrers"]
    types = {}
    for referrer in found:
        folder = tmp_path / referrer["digest"]
        assert verified.run(f"oras pull --no-tty --output {folder} {referrer['reference']}").returncode == 0
        [path] = folder.iterdir()
        bundle = json.loads(path.read_text())
        assert bundle["mediaType"] == referrer["artifactType"]
        envelope = folder / "envelope.json"
        envelope.write_text(json.dumps(bundle["dsseEnvelope"]))
        said = statement(envelope)
        assert digest in {f"sha256:{subject['digest']['sha256']}" for subject in said["subject"]}
        types[said["predicateType"]] = signed_by(envelope, verified)
    assert types == {"https://slsa.dev/provenance/v1": True, "https://sigstore.dev/cosign/sign/v1": True}


def signed_by(envelope: Path, stranger: Stranger) -> bool:
    """Whether it is signed with the stranger's key: by openssl, of the text that DSSE signs."""
    said = json.dumps(statement(envelope)).encode()
    kind = json.loads(envelope.read_text())["payloadType"]
    (envelope.parent / "text").write_bytes(b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(said), said))
    [signature] = json.loads(envelope.read_text())["signatures"]
    done = stranger.run(
        f"openssl dgst -sha256 -verify identity-gateway.pub -signature <(base64 -d <<<{signature['sig']})"
        f" {envelope.parent / 'text'}"
    )
    return (done.returncode, done.stdout) == (0, "Verified OK\n")
