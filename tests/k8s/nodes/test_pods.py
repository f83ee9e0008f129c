"""The image and the chart on nodes: pods that are probed, replaced and evicted while callers call."""

import hashlib
import time
import urllib.request

import grpc
import pytest

from callers import Callers
from clients import Python
from cluster import IMAGE, NODES, TAGS
from container import image
from control_plane import Refused, wait_for
from pods import values
from rendered import CHART
from releases import RELEASE


@pytest.mark.parametrize("mode", ["http", "grpc"])
def test_the_kubelet_finds_every_pod_started_ready_and_alive_and_helm_test_passes(release, figures, mode):
    release.install(values(probes={"mode": mode}))
    pods = release.current()
    assert sorted(pod["spec"]["nodeName"] for pod in pods) == sorted(NODES), "one on each node, as the spread asks for"
    for pod in pods:
        [container] = pod["status"]["containerStatuses"]
        assert container["ready"] and container["started"] and container["restartCount"] == 0
        assert container["imageID"].endswith(image().removeprefix("sha256:")), container
        assert pod["status"]["qosClass"] == "Burstable"
        # The limits of the chart, as the program has read them from its control group.
        [line] = [line for line in release.log(pod).splitlines() if "limits" in line]
        assert str((512 << 20) // 5 * 4) in line and "workers" in line, line
        [admin] = [port["containerPort"] for port in pod["spec"]["containers"][0]["ports"] if port["name"] == "admin"]
        with urllib.request.urlopen(f"http://{pod['status']['podIP']}:{admin}/readyz", timeout=10) as answer:
            assert answer.status == 200
    figures[f"from the pod's scheduling to Ready, probes by {mode}"] = f"{max(map(readied, pods)):.0f} s"
    release.helm.test(RELEASE, timeout=60)


def readied(pod: dict) -> float:
    """The seconds from scheduling to readiness; Kubernetes knows whole ones."""
    at = {condition["type"]: condition["lastTransitionTime"] for condition in pod["status"]["conditions"]}
    start, end = (time.mktime(time.strptime(at[kind], "%Y-%m-%dT%H:%M:%SZ")) for kind in ("PodScheduled", "Ready"))
    return end - start


def keys(*callers: str) -> dict[str, str]:
    """A Secret's content: a line for the key of each."""
    lines = (f"{caller} {hashlib.sha256(key(caller).encode()).hexdigest()}\n" for caller in callers)
    return {"keys": "".join(lines)}


def key(caller: str) -> str:
    return f"{caller}-not-a-real-key-not-a-real-key"


def test_a_secret_is_read_by_the_programs_user_and_a_changed_one_without_a_restart(cluster, release, contract):
    """Owner, group and mode of the files are the kubelet's, and so is how one version takes the place of another."""
    secrets = f"/api/v1/namespaces/{release.namespace}/secrets"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "callers"}, "stringData": keys("payments")}
    cluster.ask("POST", secrets, secret)
    auth = {"mode": ["keys"], "keys": {"file": "/etc/identity-gateway/keys/keys"}}
    auth["policy_file"] = "/etc/identity-gateway/files/policy.toml"
    release.install(values(
        replicas=1, config={"auth": auth},
        secretMounts=[{"secretName": "callers", "mountPath": "/etc/identity-gateway/keys"}],
        files={"policy.toml": '[[allow]]\nname = "all"\nidentities = ["*"]\nrpcs = ["identity.curp.check"]\n'},
    ))
    stub = Python(release.address(), contract).stubs["idgw.identity.v1.IdentityService"]

    def code(caller: str) -> grpc.StatusCode:
        request = contract["idgw.identity.v1.CheckCurpRequest"](curp="RAZR811011HVZXPB01")
        call = stub.CheckCurp.future(request, metadata=[("authorization", f"Bearer {key(caller)}")], timeout=20)
        return call.code()

    assert (code("payments"), code("credit")) == (grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED)
    cluster.ask("PUT", f"{secrets}/callers", secret | {"stringData": keys("credit")})
    wait_for("the new key", lambda: code("credit") == grpc.StatusCode.OK)
    assert code("payments") == grpc.StatusCode.UNAUTHENTICATED
    assert release.restarts() == 0


def test_a_rolling_update_fails_no_call(release, contract, figures):
    release.install(values())
    before = {pod["metadata"]["name"] for pod in release.current()}
    with Callers(release.address(), contract) as callers:
        time.sleep(2)
        release.helm.upgrade(CHART, RELEASE, values(TAGS[1]))
        release.until_rolled_out(2)
        wait_for("the old pods to go", lambda: before.isdisjoint(pod["metadata"]["name"] for pod in release.pods()))
        time.sleep(2)
    figures["a rolling update of two pods"] = callers.told()
    assert callers.failed[:5] == [] and callers.calls > 100
    assert {pod["spec"]["containers"][0]["image"] for pod in release.current()} == {f"{IMAGE}:{TAGS[1]}"}


def test_a_pod_that_is_given_no_time_fails_calls(cluster, release, contract, figures):
    """The counterpart: these callers notice."""
    release.install(values())
    pod = release.current()[0]["metadata"]["name"]
    with Callers(release.address(), contract) as callers:
        time.sleep(2)
        cluster.ask("DELETE", f"/api/v1/namespaces/{release.namespace}/pods/{pod}?gracePeriodSeconds=0")
        wait_for("a failed call", lambda: callers.failed, cluster.alive)
        release.until_rolled_out(2)
    figures["one pod of two deleted with a grace period of 0"] = callers.told()


def test_a_version_that_does_not_start_takes_no_call_from_the_one_before(release, contract):
    release.install(values())
    before = {pod["metadata"]["name"] for pod in release.current()}
    with Callers(release.address(), contract) as callers:
        release.helm.upgrade(CHART, RELEASE, values(TAGS[1], extraEnv=[{"name": "IDGW_NO_SUCH_SETTING", "value": "1"}]))

        def refused() -> bool:
            new = [pod for pod in release.current() if pod["metadata"]["name"] not in before]
            return any(s["restartCount"] > 0 for pod in new for s in pod["status"].get("containerStatuses", []))

        wait_for("the new pod to be restarted", refused)
        assert before < {pod["metadata"]["name"] for pod in release.current()}
        release.helm.rollback(RELEASE, version=1)
        release.until_rolled_out(2)
    assert callers.failed[:5] == [] and callers.calls > 20
    assert before == {pod["metadata"]["name"] for pod in release.current()}


def drain(cluster, node: str, namespace: str) -> int:
    """What `kubectl drain` does: no new pods, then an eviction of each, again while the budget refuses. The refusals."""
    schedulable(cluster, node, "no")
    path, refusals = f"/api/v1/namespaces/{namespace}/pods", 0

    def drained() -> bool:
        nonlocal refusals
        there = cluster.ask("GET", f"{path}?fieldSelector=spec.nodeName={node}")["items"]
        for name in (pod["metadata"]["name"] for pod in there if "deletionTimestamp" not in pod["metadata"]):
            eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
            try:
                cluster.ask("POST", f"{path}/{name}/eviction", eviction)
            except Refused as refused:
                assert refused.status == 429, refused
                refusals += 1
        return not there

    wait_for(f"node {node} to be empty", drained)
    return refusals


def schedulable(cluster, node: str, whether: str) -> None:
    content = "application/merge-patch+json"
    cluster.ask("PATCH", f"/api/v1/nodes/{node}", {"spec": {"unschedulable": whether == "no"}}, content=content)


def test_the_drain_of_one_node_after_the_other_fails_no_call(cluster, release, contract, figures):
    release.install(values())
    before = {pod["metadata"]["name"] for pod in release.current()}
    refusals = 0
    with Callers(release.address(), contract) as callers:
        for node in NODES:
            try:
                refusals += drain(cluster, node, release.namespace)
                assert all(pod["spec"]["nodeName"] != node for pod in release.current())
            finally:
                schedulable(cluster, node, "yes")
        release.until_rolled_out(2)
    figures["the drain of both nodes"] = f"{callers.told()}; the budget refused {refusals} evictions"
    assert callers.failed[:5] == [] and callers.calls > 100
    # When the second node is drained both pods are on it, and the budget lets go of one at a time.
    assert refusals > 0
    assert before.isdisjoint(pod["metadata"]["name"] for pod in release.current())
