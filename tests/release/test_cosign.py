"""The same page with cosign and the `helm` command, which .ci/release-tools builds."""

from pathlib import Path

import pytest

from conftest import Key, Published, somebody
from harness import REPOSITORY
from registry import Registry
from release import Stranger, marked

pytestmark = pytest.mark.cosign
TOOLS = REPOSITORY / ".tools" / "go" / "bin"


@pytest.fixture(scope="module")
def auditor(
    published: Published, registry: Registry, key: Key, address: str, tmp_path_factory: pytest.TempPathFactory
) -> Stranger:
    """A stranger who has cosign and helm."""
    for tool in ("cosign", "helm"):
        assert (TOOLS / tool).is_file(), f"{tool} is not there: run the tests by `just release-test-cosign`"
    auditor = somebody(published, registry, key, address, tmp_path_factory.mktemp("auditor"), TOOLS)
    auditor.follow("files")
    return auditor


@pytest.mark.parametrize("name", marked("cosign"))
def test_cosign_verifies_files_image_and_chart(auditor: Stranger, name: str):
    auditor.follow(name, "cosign")


@pytest.mark.parametrize("name", marked("cosign"))
def test_cosign_takes_no_other_key(auditor: Stranger, name: str):
    public = auditor.folder / "identity-gateway.pub"
    kept = public.read_bytes()
    made = auditor.run("openssl ecparam -name prime256v1 -genkey -noout | openssl pkey -pubout > identity-gateway.pub")
    assert made.returncode == 0, made.stdout
    try:
        lines = [command.line for command in marked("cosign")[name].commands if command.line.startswith("cosign")]
        assert lines and all(auditor.run(line).returncode not in (0, 127) for line in lines)
    finally:
        public.write_bytes(kept)


def test_cosign_finds_one_changed_bit(auditor: Stranger, published: Published):
    auditor.follow("blobs", "cosign")
    archive: Path = auditor.folder / f"identity-gateway-{published.version}-linux-amd64.tar.gz"
    kept = archive.read_bytes()
    archive.write_bytes(kept[:1000] + bytes([kept[1000] ^ 1]) + kept[1001:])
    try:
        [line] = [c.line for c in marked("cosign")["blobs"].commands if "verify-blob-attestation" in c.line]
        assert auditor.run(line).returncode not in (0, 127)
    finally:
        archive.write_bytes(kept)


def test_helms_own_command_renders_the_chart_of_the_registry(auditor: Stranger):
    assert "helm" in auditor.run("command -v helm").stdout and str(TOOLS) in auditor.run("command -v helm").stdout
    auditor.follow("chart")
