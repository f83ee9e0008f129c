"""What the tests of callers share: packages and examples, built once, and a gateway for each test."""

from collections.abc import Iterator

import pytest

from builds import Build, begin
from harness import BINARY, Gateway, Sandbox


def pytest_sessionstart() -> None:
    if not BINARY.is_file():
        pytest.exit(f"{BINARY} is not there: run the tests by `just clients`", returncode=1)


BUILDS = pytest.StashKey[dict[str, Build]]()


@pytest.fixture(scope="session")
def builds(pytestconfig: pytest.Config) -> Iterator[dict[str, Build]]:
    """The packages, the examples and the probe, being built."""
    begun = begin()
    pytestconfig.stash[BUILDS] = begun
    yield begun
    for build in begun.values():
        build.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for name, build in config.stash.get(BUILDS, {}).items():
        if build.seconds is not None:
            terminalreporter.write_line(f"built {name} in {build.seconds:.0f} s")


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """A gateway with its own sandbox that nobody has asked yet."""
    with Gateway() as gateway:
        yield gateway


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A provider sandbox that nobody has asked yet."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def at_the_sandbox(sandbox: Sandbox) -> dict[str, str]:
    """The settings of a gateway whose providers are that sandbox: its ledger then shows what each would have charged."""
    accuauth = sandbox.credentials()["accuauth"]
    urls = {f"IDGW_PROVIDERS__{provider}__BASE_URL": sandbox.url for provider in ("VERIFIK", "YOUVERIFY", "ACCUAUTH")}
    return urls | {
        "IDGW_AUTH__MODE": "none",
        "IDGW_PROVIDERS__VERIFIK__TOKEN": sandbox.token("verifik"),
        "IDGW_PROVIDERS__YOUVERIFY__TOKEN": sandbox.token("youverify"),
        "IDGW_PROVIDERS__ACCUAUTH__API_ID": accuauth["x-df-api-id"],
        "IDGW_PROVIDERS__ACCUAUTH__API_SECRET": accuauth["x-df-api-secret"],
    }


@pytest.fixture
def gateway_of(at_the_sandbox: dict[str, str]) -> Iterator[Gateway]:
    """A gateway whose providers are a sandbox with a ledger."""
    with Gateway(flags=(), **at_the_sandbox) as gateway:
        yield gateway
