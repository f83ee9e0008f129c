"""One control plane for all tests; the chart's own test helpers."""

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path += [str(TESTS / "chart"), str(TESTS / "system"), str(TESTS.parent / "helm")]

from control_plane import ControlPlane, wait_for  # noqa: E402
from node import Node  # noqa: E402
from schemas import definitions  # noqa: E402


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """With the definitions of the custom kinds, and a node."""
    with ControlPlane(tmp_path_factory.mktemp("k8s")) as cluster:
        for definition in definitions():
            cluster.ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?fieldValidation=Strict", definition)
        for definition in definitions():
            path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{definition['metadata']['name']}"

            def established() -> bool:
                conditions = cluster.ask("GET", path).get("status", {}).get("conditions", [])
                return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)

            wait_for(definition["metadata"]["name"], established)
        with Node(cluster) as cluster.node:
            yield cluster


@pytest.fixture
def namespace(cluster, request) -> str:
    """A namespace that enforces the Pod Security Standard `restricted`."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name.lower()).strip("-")[-60:].strip("-")
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
    cluster.ask("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})

    def account() -> bool:
        accounts = cluster.ask("GET", f"/api/v1/namespaces/{name}/serviceaccounts")["items"]
        return any(account["metadata"]["name"] == "default" for account in accounts)

    wait_for("the default service account", account)
    return name
