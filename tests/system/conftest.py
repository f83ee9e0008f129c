"""What several tests share: a gateway with its sandbox, and the contract's classes for Python."""

import importlib
import sys
from collections.abc import Iterator
from importlib.resources import files

import pytest
from google.rpc import error_details_pb2  # noqa: F401  makes the standard details known to protobuf
from grpc_tools import protoc

from clients import SERVICES, Command, Grpcurl, Python
from harness import BINARY, REPOSITORY, Gateway, Sandbox


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
    """Every class that grpcio-tools makes from proto/, by its full name."""
    out = tmp_path_factory.mktemp("contract")
    protos = sorted((REPOSITORY / "proto").rglob("*.proto"))
    failed = protoc.main(
        [
            "protoc",
            f"--proto_path={REPOSITORY / 'proto'}",
            f"--proto_path={files('grpc_tools') / '_proto'}",
            f"--python_out={out}",
            f"--grpc_python_out={out}",
            *map(str, protos),
        ]
    )
    assert not failed, "protoc refuses the contract"
    sys.path.insert(0, str(out))
    classes = {}
    for proto in protos:
        package = ".".join(proto.relative_to(REPOSITORY / "proto").parts[:-1])
        for suffix in ("pb2", "pb2_grpc"):
            module = importlib.import_module(f"{package}.{proto.stem}_{suffix}")
            for name, value in vars(module).items():
                if isinstance(value, type):
                    classes[f"{package}.{name}"] = value
    assert all(f"{service}Stub" in classes for service in SERVICES)
    return classes


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
