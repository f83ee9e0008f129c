"""The chart against a real API server: what it refuses is refused, and releases come, change, go back and go."""

import helm_python as helm
import pytest
import yaml

from control_plane import Refused, wait_for
from harness import Gateway
from releases import RELEASE, FewestAvailable, Release
from rendered import CHART, MATRIX, of_matrix


def resource(cluster, document: dict) -> str:
    """The path of an object's kind."""
    version, namespace = document["apiVersion"], document["metadata"].get("namespace")
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    kinds = cluster.ask("GET", root)["resources"]
    [kind] = [kind for kind in kinds if kind["kind"] == document["kind"] and "/" not in kind["name"]]
    return f"{root}/namespaces/{namespace}/{kind['name']}" if kind["namespaced"] else f"{root}/{kind['name']}"


def rendered(name: str, namespace: str) -> list[dict]:
    """A file of the matrix as documents in that namespace."""
    values = yaml.safe_load(MATRIX[name].read_text())
    with helm.Chart.load(CHART) as chart:
        files = chart.render(values, name=RELEASE, namespace=namespace)
    texts = [text for path, text in files.items() if not path.endswith("NOTES.txt")]
    return [document for text in texts for document in yaml.safe_load_all(text) if document]


@pytest.mark.parametrize("name", MATRIX)
def test_the_server_takes_every_document_and_has_nothing_to_warn_of(cluster, namespace, name):
    """Strict validation by the server itself, with defaults, CEL rules of custom kinds and pod security."""
    cluster.warnings.clear()
    documents = rendered(name, namespace)
    assert len(documents) == len(of_matrix(name).documents)
    for document in documents:
        path = resource(cluster, document)
        if document["kind"] == "Pod" and document["spec"]["serviceAccountName"] != "default":
            # Its service account must be there for a dry run of the pod.
            account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": document["spec"]["serviceAccountName"]}}
            cluster.ask("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", account)
        cluster.ask("POST", f"{path}?dryRun=All&fieldValidation=Strict", document)
    assert cluster.warnings == []


def test_the_server_refuses_what_it_does_not_know(cluster, namespace):
    for document in rendered("istio", namespace):
        if "spec" in document and document["kind"] != "Pod":
            wrong = document | {"spec": document["spec"] | {"somethingElse": 1}}
            with pytest.raises(Refused, match="somethingElse"):
                cluster.ask("POST", f"{resource(cluster, document)}?dryRun=All&fieldValidation=Strict", wrong)


def test_pod_security_would_refuse_another_pod(cluster, namespace):
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "careless"},
        "spec": {"containers": [{"name": "x", "image": "x:1"}]},
    }
    with pytest.raises(Refused, match="restricted"):
        cluster.ask("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod)


@pytest.mark.parametrize("name", MATRIX)
def test_a_release_is_installed(cluster, namespace, name):
    release = Release(cluster, namespace, "idgw" if name == "redis" else f"{RELEASE}-identity-gateway")
    values = yaml.safe_load(MATRIX[name].read_text()) or {}
    if values.get("serviceAccount", {}).get("create") is False:
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": values["serviceAccount"]["name"]}}
        cluster.ask("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", account)
    installed = release.helm.install(CHART, RELEASE, values)
    assert installed["status"] == "deployed"
    wanted = {"zero": 0, "sandbox": 1, "hpa-off": 3, "redis": 4, "production": 3}.get(name, 2)
    wait_for(f"{wanted} pods", lambda: release.rolled_out(wanted) or wanted == 0)
    release.helm.uninstall(RELEASE)
    wait_for("its pods to go", lambda: not release.pods())


def test_a_release_is_upgraded_without_a_gap_rolled_back_and_taken_away(cluster, namespace):
    release = Release(cluster, namespace)
    open_to_all = {"auth": {"mode": "none"}}
    values = {
        "config": open_to_all, "autoscaling": {"enabled": False}, "replicas": 3, "rollout": {"minReadySeconds": 1},
    }
    release.helm.install(CHART, RELEASE, values, wait="watcher", timeout=120)
    wait_for("three pods", lambda: release.rolled_out(3))
    first, first_pods = release.config(), {pod["metadata"]["name"] for pod in release.pods()}
    slice_path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    assert any(item["metadata"]["labels"]["kubernetes.io/service-name"] == release.name for item in cluster.ask("GET", slice_path)["items"])

    changed = values | {"config": open_to_all | {"server": {"lame_duck": "20s"}}}
    with FewestAvailable(release) as seen:
        upgraded = release.helm.upgrade(CHART, RELEASE, changed, wait="watcher", timeout=120)
        wait_for("the new version", lambda: release.rolled_out(3))
    assert upgraded["revision"] == 2
    assert seen.looks > 10 and seen.fewest == 3, "maxUnavailable is 0"
    assert 'lame_duck = "20s"' in release.config()
    pod = release.deployment()["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 60
    assert first_pods.isdisjoint(pod["metadata"]["name"] for pod in release.pods() if "deletionTimestamp" not in pod["metadata"])

    # The chart refuses what the server would refuse only after the ConfigMap has changed.
    for wrong in ({"config": open_to_all | {"server": {"lameduck": "1s"}}}, {"rollout": {"maxSurge": 0, "maxUnavailable": 0}}):
        with pytest.raises(helm.HelmError):
            release.helm.upgrade(CHART, RELEASE, values | wrong)
        assert 'lame_duck = "20s"' in release.config()

    with FewestAvailable(release) as seen:
        release.helm.rollback(RELEASE, version=1, wait="watcher", timeout=120)
        wait_for("the old version", lambda: release.rolled_out(3))
    assert seen.fewest == 3
    assert release.config() == first
    history = release.helm.history(RELEASE)
    assert [entry["revision"] for entry in history][-1] >= 3

    release.helm.uninstall(RELEASE)
    wait_for("its pods to go", lambda: not release.pods())
    with pytest.raises(Refused, match="404"):
        release.deployment()


def test_the_disruption_budget_guards_the_pods(cluster, namespace):
    release = Release(cluster, namespace)
    release.helm.install(CHART, RELEASE, {"config": {"auth": {"mode": "none"}}, "rollout": {"minReadySeconds": 0}})
    wait_for("two pods, as the autoscaler's minimum says", lambda: release.rolled_out(2))
    path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/{release.name}"
    wait_for("the budget", lambda: cluster.ask("GET", path).get("status", {}).get("disruptionsAllowed") == 1)
    evicted = 0
    for pod in release.pods():
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod["metadata"]["name"]}}
        try:
            cluster.ask("POST", f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}/eviction", eviction)
            evicted += 1
        except Refused as refused:
            assert refused.status == 429, refused
    assert evicted == 1
    release.helm.uninstall(RELEASE)


def test_the_rendered_default_can_be_applied_as_it_is(cluster, namespace):
    """As by `helm template | kubectl apply --server-side`, twice."""
    for _ in range(2):
        for document in rendered("default", namespace):
            if document["kind"] == "Pod":
                continue
            path = f"{resource(cluster, document)}/{document['metadata']['name']}"
            cluster.ask("PATCH", f"{path}?fieldManager=kubectl&fieldValidation=Strict", document, content="application/apply-patch+yaml")
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{RELEASE}-identity-gateway"
    wait_for("two pods", lambda: cluster.ask("GET", path).get("status", {}).get("availableReplicas") == 2)


@pytest.mark.parametrize("name", ["default", "sandbox"])
def test_helm_test_says_whether_the_gateway_answers(cluster, namespace, name):
    """The pod's own commands, run by the stand-in for the kubelet against a gateway with the release's configuration."""
    release = Release(cluster, namespace)
    release.helm.install(CHART, RELEASE, yaml.safe_load(MATRIX[name].read_text()) or {})
    arguments = release.deployment()["spec"]["template"]["spec"]["containers"][0]["args"][1:]
    with Gateway(flags=tuple(arguments), IDGW_AUTH__MODE="none") as gateway:
        cluster.node.address = gateway.address
        release.helm.test(RELEASE, timeout=60)
    with pytest.raises(helm.HelmError):
        release.helm.test(RELEASE, timeout=60)
    release.helm.uninstall(RELEASE)
