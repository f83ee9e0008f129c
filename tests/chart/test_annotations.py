"""Annotations: of every object by `commonAnnotations`, and of each by values of its own."""

import pytest

from rendered import MATRIX, Rendered, chosen, of_matrix, render

COMMON = {"example.com/cost-centre": "kyc", "example.com/owner": "common"}


@pytest.mark.parametrize("name", MATRIX)
def test_common_annotations_are_on_every_object_and_take_nothing_away(name):
    values = of_matrix(name).values
    plain = {(d["kind"], d["metadata"]["name"]): d for d in of_matrix(name).documents}
    rendered = Rendered(values | {"commonAnnotations": COMMON})
    assert len(rendered.documents) == len(plain)
    for document in rendered.documents:
        before = plain[document["kind"], document["metadata"]["name"]]["metadata"].get("annotations", {})
        assert document["metadata"]["annotations"] == COMMON | before, document["kind"]
    pods = rendered.one("Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert COMMON.items() <= pods.items() and "checksum/config" in pods


# Each value, the objects that it is for, and what has to be enabled to see them.
OWN = [
    ("deploymentAnnotations", {}, ["Deployment"]),
    ("configAnnotations", {"files": {"a": "b"}}, ["ConfigMap", "ConfigMap"]),
    ("service.annotations", {}, ["Service"]),
    ("service.headlessAnnotations", {"service": {"headless": True}}, ["Service"]),
    ("serviceAccount.annotations", {}, ["ServiceAccount"]),
    ("secrets.annotations", {"secrets": {"values": {"cache.key": "x" * 32}}}, ["Secret"]),
    ("secrets.annotations",
     {"secrets": {"externalSecret": {"enabled": True, "storeName": "v", "remoteRefs": {"cache.key": {"key": "k"}}}}},
     ["ExternalSecret"]),
    ("autoscaling.annotations", {}, ["HorizontalPodAutoscaler"]),
    ("podDisruptionBudget.annotations", {}, ["PodDisruptionBudget"]),
    ("priorityClass.annotations", {"priorityClass": {"create": True, "name": "calls"}}, ["PriorityClass"]),
    ("networkPolicy.annotations", {}, ["NetworkPolicy"]),
    ("serviceMonitor.annotations", {"serviceMonitor": {"enabled": True}}, ["Service", "ServiceMonitor"]),
    ("podMonitor.annotations", {"podMonitor": {"enabled": True}}, ["PodMonitor"]),
    ("prometheusRule.annotations", {"prometheusRule": {"enabled": True}}, ["PrometheusRule"]),
    ("dashboard.annotations", {"dashboard": {"enabled": True}}, ["ConfigMap"]),
    ("grpcRoute.annotations", {"grpcRoute": {"enabled": True, "parentRefs": [{"name": "g"}]}}, ["GRPCRoute"]),
    ("istio.annotations", {"istio": {"enabled": True, "authorization": [{"namespaces": ["a"]}]}},
     ["AuthorizationPolicy", "DestinationRule", "PeerAuthentication", "VirtualService"]),
    ("linkerd.annotations", {"linkerd": {"enabled": True}},
     ["AuthorizationPolicy"] * 2 + ["GRPCRoute"] * 2 + ["MeshTLSAuthentication", "NetworkAuthentication"] + ["Server"] * 2),
    ("tests.annotations", {}, ["Pod"]),
]


@pytest.mark.parametrize(("key", "values", "kinds"), OWN, ids=[f"{key}-{kinds[0]}" for key, _, kinds in OWN])
def test_an_object_s_own_annotations_are_on_it_alone_and_win(key, values, kinds):
    own = {"example.com/owner": "own"}
    path, _, last = key.rpartition(".")
    more = {path: values.get(path, {}) | {last: own}} if path else {last: own}
    rendered = render(**values | more, commonAnnotations=COMMON)
    found = [d for d in rendered.documents if d["metadata"]["annotations"]["example.com/owner"] == "own"]
    assert sorted(d["kind"] for d in found) == kinds
    assert all(d["metadata"]["annotations"]["example.com/cost-centre"] == "kyc" for d in found)


def test_what_helm_and_a_mesh_read_stays():
    wrong = {"helm.sh/hook": "pre-install", "retry.linkerd.io/limit": "9"}
    rendered = Rendered(chosen({"commonAnnotations": wrong, "linkerd": {"enabled": True, "annotations": wrong},
                                "tests": {"annotations": wrong}}))
    assert rendered.one("Pod")["metadata"]["annotations"]["helm.sh/hook"] == "test"
    route = rendered.one("GRPCRoute", "demo-identity-gateway-repeat-always")
    assert route["metadata"]["annotations"]["retry.linkerd.io/limit"] == "2"


def test_every_kind_of_object_has_annotations_of_its_own():
    kinds = {kind for _, _, of in OWN for kind in of}
    assert {d["kind"] for name in MATRIX for d in of_matrix(name).documents} == kinds
