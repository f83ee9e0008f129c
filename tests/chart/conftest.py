"""What the chart's tests share."""

import os
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path += [str(TESTS / "system"), str(TESTS.parent / "helm")]
from harness import BINARY  # noqa: E402


def pytest_sessionstart() -> None:
    if not BINARY.is_file():
        pytest.exit(f"{BINARY} is not there: run the tests by `just chart`", returncode=1)
    # helm/generate.py asks the same program.
    os.environ["IDGW_BINARY"] = str(BINARY)
