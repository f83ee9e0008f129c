#!/usr/bin/env python3
"""Packages the chart of a release with Helm's own engine, into FOLDER, and prints nothing.

    deploy/release/chart.py FOLDER sha256:… [REGISTRY]

The digest is the image's. With a registry the chart's defaults name it and the digest, so that who installs the chart runs
the image of the same release. FOLDER gets `identity-gateway/`, as packaged, and `config.json`, the chart's description
as a registry wants it.
"""

import json
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

import helm_python as helm
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "identity-gateway"


def with_image(values: str, registry: str, digest: str) -> str:
    """The chart's values with this image as their default."""
    for key, value in (("registry", registry), ("digest", digest)):
        line = f'  {key}: ""\n'
        if values.count(line) != 1:
            sys.exit(f"release: values.yaml has {values.count(line)} lines `{line.strip()}` for the image")
        values = values.replace(line, f"  {key}: {json.dumps(value)}\n")
    return values


def main() -> None:
    folder, digest, *registry = sys.argv[1:]
    with tempfile.TemporaryDirectory() as work:
        source = Path(work) / "identity-gateway"
        shutil.copytree(CHART, source)
        if registry:
            values = source / "values.yaml"
            values.write_text(with_image(values.read_text(), registry[0], digest))
        # Which files belong to a chart, and whether they are one, Helm knows; it also writes the time of day.
        with tarfile.open(helm.package(source, destination=work)) as package:
            package.extractall(folder, filter="data")
    description = yaml.safe_load((Path(folder) / "identity-gateway" / "Chart.yaml").read_text())
    (Path(folder) / "config.json").write_text(json.dumps(description))


if __name__ == "__main__":
    main()
