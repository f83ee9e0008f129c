"""What several tests share: a gateway with its sandbox, and the contract's classes for Python."""

from collections.abc import Iterator

import pytest

from clients import Command, Grpcurl, Python
from stubs import compiled
from harness import BINARY, Gateway, Sandbox


def pytest_sessionstart() -> None:
    if not BINARY.is_file():
        pytest.exit(f"{BINARY} is not there: run the tests by `just system`", returncode=1)


# What tests have measured, for the last lines of a run.
FIGURES = pytest.StashKey[dict[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = {}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if figures := config.stash[FIGURES]:
        terminalreporter.section("figures")
        for name, value in figures.items():
            terminalreporter.write_line(f"{name}: {value}")


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> dict[str, str]:
    """Where a test notes what it has measured; printed at the end of the run."""
    return pytestconfig.stash[FIGURES]


@pytest.fixture(scope="session")
def contract(tmp_path_factory: pytest.TempPathFactory) -> dict:
    return compiled(tmp_path_factory.mktemp("contract"))


@pytest.fixture(scope="session")
def shared_gateway() -> Iterator[Gateway]:
    """One gateway for tests that change nothing which another test could see."""
    with Gateway() as gateway:
        yield gateway


@pytest.fixture
def own_gateway() -> Iterator[Gateway]:
    """A gateway that no other test has touched."""
    with Gateway() as gateway:
        yield gateway


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A provider sandbox that nobody has asked yet."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def grpcurl(shared_gateway: Gateway) -> Grpcurl:
    return Grpcurl(shared_gateway.address)


@pytest.fixture(params=["grpcurl", "call", "python"])
def client(request: pytest.FixtureRequest, shared_gateway: Gateway, contract: dict):
    """Each of the three clients in turn."""
    match request.param:
        case "grpcurl":
            return Grpcurl(shared_gateway.address)
        case "call":
            return Command(shared_gateway.address)
        case _:
            return Python(shared_gateway.address, contract)


@pytest.fixture
def python(own_gateway: Gateway, contract: dict) -> Python:
    """A Python client of a gateway of its own."""
    return Python(own_gateway.address, contract)
