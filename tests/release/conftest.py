"""What the release's tests share: a registry, a key, a release made for trial and pushed, and a stranger."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path += [str(TESTS / "system"), str(TESTS.parent / "deploy" / "release")]
from harness import BINARY, run  # noqa: E402
from registry import Registry  # noqa: E402
from release import Stranger, make, made_ready, marked, path_with, served  # noqa: E402


def pytest_sessionstart() -> None:
    if not BINARY.is_file():
        pytest.exit(f"{BINARY} is not there: run the tests by `just release-test`", returncode=1)


@dataclass(frozen=True)
class Key:
    """A pair of keys, made as the document says, and the variables that give it to the recipe."""

    public: Path
    variables: dict[str, str]


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    folder = tmp_path_factory.mktemp("key")
    password = {"RELEASE_KEY_PASSWORD": "not-a-secret"}
    for command in marked("run")["new-key"].commands:
        subprocess.run(["bash", "-c", command.line], cwd=folder, env=password, check=True)
    return Key(folder / "identity-gateway.pub", {"RELEASE_KEY_FILE": str(folder / "release.pem")} | password)


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@dataclass(frozen=True)
class Published:
    """A release: its files, what the recipe said, its version, and how it was made."""

    files: Path
    said: subprocess.CompletedProcess[str]
    version: str
    variables: dict[str, str]


@pytest.fixture(scope="session")
def published(registry: Registry, key: Key, tmp_path_factory: pytest.TempPathFactory) -> Published:
    """A release for trial, of the binary and the image under test, by somebody who may push."""
    folder = tmp_path_factory.mktemp("publisher")
    registry.login(folder)
    made_ready(folder / "target")
    variables = {"REGISTRY": registry.name, "DOCKER_CONFIG": str(folder / ".docker")} | registry.trust
    said = make(folder / "target", "--unreleased", **variables, **key.variables)
    assert said.returncode == 0, said.stderr
    version = run(BINARY, "--version").stdout.split()[1]
    return Published(folder / "target" / "release-files", said, version, variables)


@pytest.fixture(scope="session")
def address(published: Published) -> Iterator[str]:
    """Where the release's files can be fetched."""
    with served(published.files) as address:
        yield address


@pytest.fixture(scope="session")
def stranger(
    published: Published, registry: Registry, key: Key, address: str, tmp_path_factory: pytest.TempPathFactory
) -> Stranger:
    """Somebody who has the public key, and may read from the registry."""
    return somebody(published, registry, key, address, tmp_path_factory.mktemp("stranger"))


def somebody(published: Published, registry: Registry, key: Key, address: str, folder: Path, *tools: Path) -> Stranger:
    home = folder / "home"
    registry.login(home)
    stranger = Stranger(
        folder / "work",
        HOME=str(home),
        PATH=path_with(*(tools or [TESTS / "release" / "bin"])),
        VERSION=published.version,
        RELEASE_URL=address,
        REGISTRY=registry.name,
        **registry.trust,
    )
    (stranger.folder / "identity-gateway.pub").write_bytes(key.public.read_bytes())
    return stranger
