"""The chart, rendered by Helm's own engine (helm-python-sdk carries it), and what the tests want to know of the result."""

from functools import cache
from pathlib import Path

import helm_python as helm
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "helm" / "identity-gateway"

MATRIX = {path.name.removesuffix("-values.yaml"): path for path in sorted((CHART / "ci").glob("*-values.yaml"))}
RELEASE, NAMESPACE = "demo", "identity"


class StrictLoader(yaml.SafeLoader):
    """YAML as Kubernetes wants it: a key twice is an error."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        assert not twice, f"{twice} twice, near line {node.start_mark.line}"
        return super().construct_mapping(node, deep)


class Rendered:
    """What one set of values renders to."""

    def __init__(self, values: dict):
        self.values = values
        with helm.Chart.load(CHART) as chart:
            chart.validate_schema(values)
            self.files = chart.render(values, name=RELEASE, namespace=NAMESPACE)
            self.merged = chart.merge_values(values)
        prefix = "identity-gateway/templates/"
        self.files = {path.removeprefix(prefix): text for path, text in sorted(self.files.items())}
        self.notes = self.files.pop("NOTES.txt")
        self.documents = [
            document
            for text in self.files.values()
            for document in yaml.load_all(text, Loader=StrictLoader)
            if document
        ]

    def text(self) -> str:
        """All of it, as `helm template` shows it, with the notes at the end. Of the dashboard only that it is there."""
        parts = []
        for path, text in self.files.items():
            if path == "dashboard.yaml" and text.strip():
                text = text[: text.index("    {")] + "    # files/grafana-dashboard.json"
            if text.strip():
                parts.append(f"---\n# Source: {path}\n{text.strip()}\n")
        notes = "".join(f"# {line}".rstrip() + "\n" for line in self.notes.splitlines())
        return "".join(parts) + "---\n# NOTES.txt\n" + notes

    def of_kind(self, kind: str, group: str | None = None) -> list[dict]:
        return [
            document
            for document in self.documents
            if document["kind"] == kind and group in (None, document["apiVersion"].partition("/")[0])
        ]

    def one(self, kind: str, name: str | None = None) -> dict:
        """The only object of that kind (and name)."""
        found = [d for d in self.of_kind(kind) if name in (None, d["metadata"]["name"])]
        assert len(found) == 1, f"{len(found)} {kind} {name or ''}"
        return found[0]

    def pod(self) -> dict:
        """The spec of the Deployment's pods."""
        return self.one("Deployment")["spec"]["template"]["spec"]

    def container(self) -> dict:
        [container] = self.pod()["containers"]
        return container

    def config(self) -> str:
        """The program's configuration file."""
        documents = self.of_kind("ConfigMap")
        [text] = [document["data"]["config.toml"] for document in documents if "config.toml" in document["data"]]
        return text


def chosen(values: dict) -> dict:
    """These values, with `auth.mode = none` where they choose none: the chart has no default for it."""
    config = values.get("config") or {}
    return values | {"config": config | {"auth": {"mode": "none"} | (config.get("auth") or {})}}


def render(**values) -> Rendered:
    """The chart with these values and an `auth.mode`."""
    return Rendered(chosen(values))


@cache
def of_matrix(name: str) -> Rendered:
    """The chart with one values file of the matrix."""
    return Rendered(yaml.safe_load(MATRIX[name].read_text()) or {})


def refused(**values) -> str:
    """Why the chart refuses these values."""
    try:
        Rendered(chosen(values))
    except helm.HelmError as error:
        return str(error)
    raise AssertionError(f"the chart takes {values}")


def pods(rendered: Rendered) -> dict[str, dict]:
    """Every pod spec in it, by the object it is of."""
    found = {}
    for document in rendered.documents:
        if document["kind"] == "Pod":
            found[f"Pod {document['metadata']['name']}"] = document["spec"]
        elif "template" in document.get("spec", {}) and "spec" in (document["spec"]["template"] or {}):
            found[f"{document['kind']} {document['metadata']['name']}"] = document["spec"]["template"]["spec"]
    return found
