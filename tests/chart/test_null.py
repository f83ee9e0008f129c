"""`null` for a value: Helm takes it away, and every template still renders, or says in a sentence why it cannot."""

import functools
import re

import helm_python as helm
import pytest
import yaml

import generate
from rendered import CHART, NAMESPACE, RELEASE, Rendered, StrictLoader, render
from schemas import VERSIONS, validate

# Every part in use, so that each of its values is asked for.
FULL = {
    "config": {
        "auth": {"mode": ["jwt"], "policy_file": "/etc/identity-gateway/files/policy.toml",
                 "jwt": {"jwks_url": "https://issuer.example.com/keys"}},
        "audit": {"sink": "stdout"}, "server": {"lame_duck": "4s", "drain_timeout": "20s", "reflection": True},
    },
    "files": {"policy.toml": "# nobody"},
    "secrets": {"externalSecret": {"enabled": True, "storeName": "vault", "remoteRefs": {"cache.url": {"key": "redis"}}}},
    "service": {"headless": True},
    "image": {"pullSecrets": ["registry"]},
    "priorityClass": {"create": True, "name": "calls"},
    "otlp": {"endpoint": "http://collector.observability:4317", "resourceAttributes": {"team": "a"}},
    "serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}, "dashboard": {"enabled": True},
    "grpcRoute": {"enabled": True, "parentRefs": [{"name": "public"}]},
    "autoscaling": {"inFlight": 100}, "tests": {"arguments": ["--header", "x: y"]},
}
MESHES = {
    "istio": {"istio": {"enabled": True, "authorization": [{"namespaces": ["a"]}]}},
    "linkerd": {"linkerd": {"enabled": True}},
}


@functools.cache
def paths() -> list[tuple[str, ...]]:
    """Every key of the chart's own, and of `config` the tables, `auth` and what the templates ask for."""
    known = generate.expanded(generate.own_values(), generate.program_schema())
    every = [path for path, _, _ in generate.rows(known)]
    tables = {path[:2] for path in every if path[0] == "config"}
    asked = {path for path in every if path[:2] == ("config", "auth") and len(path) == 3 or path[1:] in generate.ASKED}
    return sorted({path for path in every if path[0] != "config"} | tables | asked | {("config",)})


def without(values: dict, path: tuple[str, ...]) -> dict:
    """A copy of the values with null at the path."""
    first, *rest = path
    inner = values.get(first)
    return values | {first: without(inner if isinstance(inner, dict) else {}, tuple(rest)) if rest else None}


def is_a_sentence(error: str, path: tuple[str, ...]) -> bool:
    """Whether it names a value and what is wrong with it, and no place in a template's code."""
    stack = re.search(r"nil pointer|error calling|wrong type|can't evaluate|incompatible types|<[.$]", error)
    return not stack and path[0] in error


@functools.cache
def outcomes() -> dict[tuple[str, ...], str | list[dict]]:
    """What each null leads to: why it is refused, or the objects."""
    found: dict[tuple[str, ...], str | list[dict]] = {}
    with helm.Chart.load(CHART) as chart:
        for path in paths():
            # The two meshes exclude each other.
            mesh = "linkerd" if path[0] in ("linkerd", "probes", "shutdown") else "istio"
            values = without(FULL | MESHES[mesh], path)
            try:
                if path[0] == "config":
                    # Others are gone before the schema is asked.
                    chart.validate_schema(values)
                files = chart.render(values, name=RELEASE, namespace=NAMESPACE)
            except helm.HelmError as error:
                found[path] = str(error)
                continue
            texts = [text for file, text in files.items() if not file.endswith("NOTES.txt")]
            found[path] = [d for text in texts for d in yaml.load_all(text, Loader=StrictLoader) if d]
    return found


def test_null_renders_or_is_refused_in_a_sentence():
    valid = set()
    for path, outcome in outcomes().items():
        if isinstance(outcome, str):
            assert is_a_sentence(outcome, path), (path, outcome)
            continue
        for document in outcome:
            text = yaml.safe_dump(document)
            if text in valid:
                continue
            try:
                validate(document, VERSIONS[-1])
            except Exception as error:
                raise AssertionError((path, document["kind"], str(error)[:600])) from error
            valid.add(text)


def test_only_what_was_not_chosen_or_contradicts_is_refused():
    """All others render: it is no way out to refuse every null."""
    refusals = {".".join(path) for path, outcome in outcomes().items() if isinstance(outcome, str)}
    required = {
        "config", "config.auth", "config.auth.mode", "priorityClass.name", "grpcRoute.parentRefs",
        "secrets.externalSecret.storeName", "secrets.externalSecret.remoteRefs",
    }
    assert {path for path in refusals if not path.startswith("config.")} <= required
    # Keys of the program without a default: the schema wants a value, or no key.
    schema = {".".join(("config", *path)) for path, leaf in generate.leaves(generate.program_schema()) if "default" not in leaf}
    assert {path for path in refusals if path.startswith("config.")} <= schema | required


def test_a_part_that_is_null_is_left_out():
    rendered = render(
        autoscaling=None, podDisruptionBudget=None, networkPolicy=None, tests=None, resources=None, security=None,
        topologySpread=None, sandbox={"enabled": True}, probes={"liveness": None},
    )
    for kind in ("HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy", "Pod"):
        assert not rendered.of_kind(kind), kind
    container, pod = rendered.container(), rendered.pod()
    assert "livenessProbe" not in container and "readinessProbe" in container and "resources" not in container
    assert "topologySpreadConstraints" not in pod and "runAsUser" not in pod["securityContext"]
    assert rendered.one("Deployment")["spec"]["replicas"] == 2
    assert not {"startupProbe", "readinessProbe", "livenessProbe"} & set(render(probes=None).container())


def test_what_cannot_be_left_out_has_its_default():
    rendered = render(ports=None, service=None, rollout=None, shutdown=None, image=None)
    assert [port["containerPort"] for port in rendered.container()["ports"]] == [50051, 9464]
    assert rendered.one("Service")["spec"]["ports"][0]["port"] == 50051
    assert rendered.one("Deployment")["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert rendered.container()["image"].startswith("identity-gateway:")
    # No rule of the network policy without its ports: it would open all of them.
    policy = render(networkPolicy={"dnsPorts": None, "providerPort": None}).one("NetworkPolicy")["spec"]
    assert all(rule["ports"] and all(port["port"] for port in rule["ports"]) for rule in policy["egress"])


@pytest.mark.parametrize("part", ["autoscaling", "probes", "networkPolicy", "resources", "service", "secrets"])
def test_a_parent_chart_may_say_null_too(part, tmp_path):
    """Helm keeps nulls for a chart inside another one that it takes away elsewhere."""
    parent = tmp_path / "parent"
    (parent / "charts").mkdir(parents=True)
    (parent / "charts" / "identity-gateway").symlink_to(CHART)
    values = {"identity-gateway": {"config": {"auth": {"mode": "none"}}, "sandbox": {"enabled": True}, part: None}}
    (parent / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "parent", "version": "1.0.0"}))
    (parent / "values.yaml").write_text(yaml.safe_dump(values))
    for given in ({}, values):
        with helm.Chart.load(parent) as chart:
            files = chart.render(given, name=RELEASE, namespace=NAMESPACE)
        texts = [text for path, text in files.items() if not path.endswith("NOTES.txt")]
        documents = [d for text in texts for d in yaml.load_all(text, Loader=StrictLoader) if d]
        assert documents
        for document in documents:
            validate(document, VERSIONS[-1])


def test_how_callers_are_identified_must_be_chosen():
    for values in ({}, {"sandbox": {"enabled": True}}, {"config": {"auth": {"mode": []}}}, {"config": None}):
        try:
            Rendered(values)
        except helm.HelmError as error:
            said = str(error)
        else:
            raise AssertionError(values)
        assert "config.auth.mode: is required" in said, said
        for word in ("`jwt`", "`keys`", "`mtls`", "`mesh`", "`none`", "policy_file", "docs/access.md"):
            assert word in said, word
