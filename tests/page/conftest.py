"""A browser, and gateways to look at."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from harness import BINARY, REPOSITORY, Gateway
from stage import Stage
from stubs import compiled

expect.set_options(timeout=20_000)

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
# Without those of the background networking it would look up hosts of its maker's.
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--force-color-profile=srgb",
]


def pytest_sessionstart() -> None:
    for needed in (BINARY, Path(CHROMIUM)):
        if not needed.is_file():
            pytest.exit(f"{needed} is not there: run `just setup-tools`, and the tests by `just page`", returncode=1)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A gateway that has seen calls of every kind, and has something to warn of."""
    stage = Stage(tmp_path_factory.mktemp("stage"), compiled(tmp_path_factory.mktemp("contract")))
    try:
        stage.some_calls(300)
        stage.spoil_the_policy()
        yield stage
    finally:
        stage.close()


@pytest.fixture(scope="session")
def quiet() -> Iterator[Gateway]:
    """A gateway that has no provider, and whom nobody calls."""
    with Gateway(flags=(), IDGW_AUTH__MODE="none") as gateway:
        yield gateway


class Watched:
    """A tab whose every request, error and word on the console is kept."""

    def __init__(self, context: BrowserContext):
        self.tab: Page = context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url}"))
        self.tab.on("console", lambda message: self.complaints.append(f"console: {message.text}"))
        self.tab.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))

    def open(self, url: str) -> Page:
        answer = self.tab.goto(url)
        assert answer is not None and answer.status == 200
        return self.tab


@pytest.fixture
def watched(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Watched]:
    """A tab; the test's parameter, if it has one, is what its context is made with."""
    context = browser.new_context(**getattr(request, "param", {}))
    context.set_default_timeout(20_000)
    yield Watched(context)
    context.close()
