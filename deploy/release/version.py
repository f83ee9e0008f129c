#!/usr/bin/env python3
"""Prints the version of this release, or says what speaks against it: the tag v<version> is at HEAD, nothing is changed since,
and Cargo.toml, Chart.yaml and CHANGELOG.md agree.

    deploy/release/version.py                 for a release
    deploy/release/version.py --unreleased    for a trial: no tag, no section of CHANGELOG.md, and changed files are only told
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def git(*words: str, root: Path = ROOT) -> list[str]:
    """The lines that git prints."""
    return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout.splitlines()


def problems(root: Path) -> tuple[str, list[str], list[str]]:
    """The version, what no form of the recipe may pass over, and what only a trial may."""
    version = tomllib.loads((root / "Cargo.toml").read_text())["package"]["version"]
    chart = yaml.safe_load((root / "helm" / "identity-gateway" / "Chart.yaml").read_text())
    wrong = [
        f"Chart.yaml: {key} is {chart[key]}, and Cargo.toml's version {version}"
        for key in ("version", "appVersion")
        if str(chart[key]) != version
    ]
    open_ = []
    heading = rf"^## (\[{re.escape(version)}\]|{re.escape(version)}) - \d{{4}}-\d{{2}}-\d{{2}}$"
    if not re.search(heading, (root / "CHANGELOG.md").read_text(), re.MULTILINE):
        open_.append(f"CHANGELOG.md has no section `## {version} - DATE`")
    tags = git("tag", "--points-at", "HEAD", root=root)
    if f"v{version}" not in tags:
        open_.append(f"the tag at HEAD is {' '.join(tags) or 'none'}, and Cargo.toml's version {version} needs v{version}")
    if changed := git("status", "--porcelain", root=root):
        open_.append(f"{len(changed)} files are not as they are committed, the first: {changed[0][3:]}")
    return version, wrong, open_


def main() -> None:
    trial = sys.argv[1:] == ["--unreleased"]
    if sys.argv[1:] and not trial:
        sys.exit("usage: version.py [--unreleased]")
    version, wrong, open_ = problems(ROOT)
    for problem in wrong + open_:
        print(f"release: {problem}", file=sys.stderr)
    if wrong or (open_ and not trial):
        sys.exit("release: not made; `just release --unreleased` makes one for trial")
    if trial:
        print(f"release: A TRIAL (--unreleased), not the release {version}; its provenance says so", file=sys.stderr)
    print(version)


if __name__ == "__main__":
    main()
