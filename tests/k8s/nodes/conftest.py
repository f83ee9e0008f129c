"""The cluster of these tests has nodes: every other fixture is that of the folder above."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from cluster import IMAGE, TAGS, Cluster  # noqa: E402
from container import image  # noqa: E402
from stubs import compiled  # noqa: E402
from control_plane import TOOLS  # noqa: E402
from pods import Pods  # noqa: E402

FIGURES = pytest.StashKey[dict[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = {}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    terminalreporter.section("figures")
    for name, value in config.stash[FIGURES].items():
        terminalreporter.write_line(f"{name}: {value}")


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> dict[str, str]:
    """Where a test notes what it has measured; printed at the end of the run."""
    return pytestconfig.stash[FIGURES]


@pytest.fixture(scope="session")
def contract(tmp_path_factory: pytest.TempPathFactory) -> dict:
    return compiled(tmp_path_factory.mktemp("contract"))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory):
    """With the image that `just image` has built on both nodes."""
    folder = tmp_path_factory.mktemp("nodes")
    images = folder / "images"
    images.mkdir()
    (images / "pause.tar").symlink_to(TOOLS / "pause.tar")
    for tag in TAGS:
        archive = f"oci-archive:{images / tag}.tar:{IMAGE}:{tag}"
        subprocess.run(["buildah", "push", "--quiet", image(), archive], check=True, capture_output=True)
    with Cluster(folder) as cluster:
        yield cluster


@pytest.fixture
def release(cluster: Cluster, namespace: str):
    """What a test installs; taken away after it."""
    release = Pods(cluster, namespace)
    yield release
    release.uninstall()
