"""What the chart works out from the values."""

import json
import math
import re
import shutil
import tomllib

import helm_python as helm
import pytest
import yaml

import generate
from rendered import CHART, MATRIX, NAMESPACE, REPOSITORY, chosen, of_matrix, refused, render

FREE = {"connect-failure", "refused-stream"}


def seconds(span: str) -> float:
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)(ms|s|m|h)", span))


def pre_stop(rendered) -> int:
    return rendered.container().get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)


@pytest.mark.parametrize("name", MATRIX)
def test_the_pod_is_given_the_time_that_its_process_takes(name):
    """grace >= preStop + lame duck + drain limit + margin, in every file of the matrix."""
    rendered = of_matrix(name)
    server, shutdown = rendered.merged["config"]["server"], rendered.merged["shutdown"]
    needed = pre_stop(rendered) + seconds(server["lame_duck"]) + seconds(server["drain_timeout"])
    assert rendered.pod()["terminationGracePeriodSeconds"] >= needed + shutdown["marginSeconds"]
    # New calls are taken as long as callers may not have heard.
    assert pre_stop(rendered) + seconds(server["lame_duck"]) >= shutdown["endpointSeconds"]


@pytest.mark.parametrize(
    ("lame_duck", "drain", "endpoints", "margin", "pre", "grace"),
    [
        ("3s", "30s", 10, 10, 7, 50),
        ("0s", "30s", 10, 10, 10, 50),
        ("0", "30s", 0, 5, 0, 35),
        ("15s", "30s", 10, 10, 0, 55),
        ("2500ms", "500ms", 10, 10, 8, 22),
        ("1m", "1m30s", 10, 10, 0, 160),
        ("10m", "1h", 0, 10, 0, 4210),
        ("999ms", "1ms", 1, 5, 1, 8),
    ],
)
def test_grace_and_pre_stop_come_from_the_same_values(lame_duck, drain, endpoints, margin, pre, grace):
    rendered = render(
        config={"server": {"lame_duck": lame_duck, "drain_timeout": drain}},
        shutdown={"endpointSeconds": endpoints, "marginSeconds": margin},
    )
    assert pre_stop(rendered) == pre
    assert ("lifecycle" in rendered.container()) == (pre > 0)
    assert rendered.pod()["terminationGracePeriodSeconds"] == grace
    assert grace >= pre + math.ceil(seconds(lame_duck)) + math.ceil(seconds(drain)) + margin


def test_a_mesh_s_proxy_stays_as_long_as_the_process():
    """Until the process is gone, and not past the pod's end."""
    for mesh, read in (
        ("linkerd", lambda a: int(a["config.alpha.linkerd.io/proxy-wait-before-exit-seconds"])),
        ("istio", lambda a: seconds(yaml.safe_load(a["proxy.istio.io/config"])["terminationDrainDuration"])),
    ):
        rendered = render(**{mesh: {"enabled": True}})
        stays = read(rendered.one("Deployment")["spec"]["template"]["metadata"]["annotations"])
        assert 7 + 3 + 30 <= stays < rendered.pod()["terminationGracePeriodSeconds"]


def test_a_rollout_takes_no_pod_before_another_is_ready():
    spec = of_matrix("default").one("Deployment")["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert spec["minReadySeconds"] > 0


def annotations(rendered) -> dict:
    return rendered.one("Deployment")["spec"]["template"]["metadata"]["annotations"]


def test_another_configuration_is_another_pod():
    first = annotations(render())
    assert first == annotations(render())
    assert first != annotations(render(config={"log": {"filter": "debug"}}))
    secret = {"secrets": {"values": {"providers.verifik.token": "one"}}}
    other = {"secrets": {"values": {"providers.verifik.token": "two"}}}
    assert annotations(render(**secret)) != annotations(render(**other))
    assert annotations(render(files={"a": "1"})) != annotations(render(files={"a": "2"}))
    assert "one" not in json.dumps(annotations(render(**secret)))


def test_connections_grow_old_unless_the_values_say_otherwise():
    """Behind the Service a client would else stay with one replica for as long as it runs."""

    def age(**values) -> str:
        return tomllib.loads(render(**values).config())["server"]["max_connection_age"]

    assert age() == "5m"
    assert age(config={"server": {"max_connection_age": "0s"}}) == "0s"


def test_zero_and_false_arrive():
    rendered = of_matrix("zero")
    config = tomllib.loads(rendered.config())
    assert config["server"]["reflection"] is False and config["server"]["lame_duck"] == "0s"
    assert config["providers"]["verifik"]["errors_are_free"] is False
    assert config["providers"]["verifik"]["queue"] == 0 and config["cache"]["max_bytes"] == 0
    deployment = rendered.one("Deployment")["spec"]
    assert deployment["replicas"] == 0 and deployment["minReadySeconds"] == 0
    assert deployment["revisionHistoryLimit"] == 0
    assert rendered.one("PriorityClass")["value"] == 0
    outlier = rendered.one("DestinationRule")["spec"]["trafficPolicy"]["outlierDetection"]
    assert outlier["consecutiveLocalOriginFailures"] == 0 and outlier["maxEjectionPercent"] == 0
    assert [route["retries"] for route in rendered.one("VirtualService")["spec"]["http"]] == [{"attempts": 0}] * 3
    policy = rendered.one("NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert not rendered.of_kind("Pod")


def test_the_autoscaler_s_metric_is_one_that_the_program_has():
    golden = (REPOSITORY / "tests" / "telemetry" / "names.golden").read_text()
    metrics = of_matrix("production").one("HorizontalPodAutoscaler")["spec"]["metrics"]
    by_type = {metric["type"]: metric for metric in metrics}
    assert set(by_type) == {"ContainerResource", "Pods"}
    name = by_type["Pods"]["pods"]["metric"]["name"]
    assert re.search(rf"^ +series {name}$", golden, re.MULTILINE)
    assert by_type["Pods"]["pods"]["target"] == {"type": "AverageValue", "averageValue": "500"}


def test_a_fixed_number_of_pods_and_the_autoscaler_exclude_each_other():
    for name in MATRIX:
        rendered = of_matrix(name)
        fixed = "replicas" in rendered.one("Deployment")["spec"]
        assert fixed != bool(rendered.of_kind("HorizontalPodAutoscaler")), name


CREDENTIALS = yaml.safe_load((CHART / "files" / "credentials.yaml").read_text())["credentials"]


@pytest.mark.parametrize("credential", CREDENTIALS, ids=lambda credential: credential["key"])
def test_a_credential_is_a_file_where_the_program_reads_one_and_else_a_variable(credential):
    key = credential["key"]
    rendered = render(secrets={"existingSecret": "theirs", "keys": [key]})
    assert not rendered.of_kind("Secret")
    table = tomllib.loads(rendered.config())
    for step in key.split(".")[:-1]:
        table = table[step]
    variables = {entry["name"]: entry for entry in rendered.container()["env"]}
    mounted = [volume["secret"] for volume in rendered.pod()["volumes"] if volume["name"] == "secrets"]
    if credential["file"]:
        assert table[f"{key.rpartition('.')[2]}_file"] == f"/etc/identity-gateway/secrets/{key}"
        assert [secret["items"] for secret in mounted] == [[{"key": key, "path": key}]]
        assert mounted[0]["secretName"] == "theirs" and credential["variable"] not in variables
    else:
        assert variables[credential["variable"]]["valueFrom"] == {"secretKeyRef": {"name": "theirs", "key": key}}
        # An empty list of items would mount all of the Secret.
        assert mounted == []


def test_a_credential_without_a_file_is_a_variable(tmp_path):
    """Whether or not the program has such a one today."""
    folder = tmp_path / "identity-gateway"
    shutil.copytree(CHART, folder)
    one = {"key": "cache.url", "variable": "IDGW_CACHE__URL", "file": False}
    (folder / "files" / "credentials.yaml").write_text(yaml.safe_dump({"credentials": [one]}))
    with helm.Chart.load(folder) as chart:
        files = chart.render(chosen({"secrets": {"values": {"cache.url": "redis://redis:6379"}}}), name="x", namespace="y")
    pod = yaml.safe_load(files["identity-gateway/templates/deployment.yaml"])["spec"]["template"]["spec"]
    assert [volume["name"] for volume in pod["volumes"]] == ["config"]
    [variable] = [entry for entry in pod["containers"][0]["env"] if entry["name"] == "IDGW_CACHE__URL"]
    assert variable["valueFrom"]["secretKeyRef"]["key"] == "cache.url"
    assert "url" not in tomllib.loads(yaml.safe_load(files["identity-gateway/templates/configmap.yaml"])["data"]["config.toml"])["cache"]


def egress(rendered) -> list[set[int]]:
    rules = rendered.one("NetworkPolicy")["spec"]["egress"]
    assert all(rule["to"] and rule["ports"] for rule in rules), "a rule without peers or ports opens everything"
    return [{port["port"] for port in rule["ports"]} for rule in rules]


def test_the_network_policy_opens_what_is_used_and_nothing_else():
    assert egress(of_matrix("default")) == [{53, 5353}, {443}]
    # Providers, the issuer, the collector.
    assert egress(of_matrix("production")) == [{53, 5353}, {443}, {443}, {4317}]
    assert egress(of_matrix("redis")) == [{53, 5353}, {443}, {6380}]
    assert egress(of_matrix("istio")) == [{53, 5353}, {443}, {15012}]
    assert egress(render(sandbox={"enabled": True})) == [{53, 5353}]
    for name in MATRIX:
        for policy in of_matrix(name).of_kind("NetworkPolicy"):
            for rule in policy["spec"]["ingress"]:
                assert rule["from"] and rule["ports"], name
    closed = render(networkPolicy={"callers": [], "monitoring": [], "dns": [], "providers": []})
    assert closed.one("NetworkPolicy")["spec"]["ingress"] == closed.one("NetworkPolicy")["spec"]["egress"] == []


def test_providers_are_not_looked_for_on_private_addresses():
    [_, providers] = of_matrix("default").one("NetworkPolicy")["spec"]["egress"]
    excepted = {address for peer in providers["to"] for address in peer["ipBlock"]["except"]}
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7"} <= excepted


def test_the_test_s_pod_is_a_caller_and_no_server():
    rendered = of_matrix("default")
    test = rendered.one("Pod")["metadata"]["labels"]
    policy = rendered.one("NetworkPolicy")["spec"]
    [peer] = policy["ingress"][0]["from"]
    assert peer["podSelector"]["matchLabels"].items() <= test.items()
    for selector in (rendered.one("Service")["spec"]["selector"], policy["podSelector"]["matchLabels"]):
        assert not selector.items() <= test.items()
        assert selector.items() <= rendered.one("Deployment")["spec"]["template"]["metadata"]["labels"].items()


# What the contract says of each RPC, read from proto/.
RPCS = {f"/{rpc['service']}/{rpc['method']}": rpc for rpc in generate.rpcs()}


def test_istio_repeats_only_what_the_contract_allows():
    """Envoy may repeat a call that can be charged only where no pod can have begun it."""
    assert len(RPCS) == 10
    routes = of_matrix("istio").one("VirtualService")["spec"]["http"]
    seen = {}
    for route in routes[:-1]:
        for match in route["match"]:
            seen[match["uri"]["exact"]] = route["retries"]
    assert set(seen) == set(RPCS)
    for path, retries in seen.items():
        on = set(retries["retryOn"].split(","))
        assert retries["attempts"] == 2 and FREE <= on
        if RPCS[path]["repeat"] == "REPEAT_ALWAYS":
            assert RPCS[path]["charge"] == "CHARGE_NEVER" and "unavailable" in on
        else:
            assert on == FREE, path
    # Without a word, Istio's own default would repeat after UNAVAILABLE and CANCELLED.
    assert "match" not in routes[-1] and routes[-1]["retries"] == {"attempts": 0}
    assert all("retries" in route and "timeout" not in route for route in routes)


def test_istio_is_told_what_the_envoys_of_deploy_are_told():
    """tests/system/test_mesh.py drives deploy/envoy with real Envoys, so what is proved there holds for the chart."""
    envoy = yaml.safe_load((REPOSITORY / "deploy" / "envoy" / "caller.yaml").read_text())

    def found(tree, word):
        if isinstance(tree, dict):
            for name, inner in tree.items():
                if name == word:
                    yield inner
                yield from found(inner, word)
        elif isinstance(tree, list):
            for inner in tree:
                yield from found(inner, word)

    [routes] = [routes for routes in found(envoy, "routes") if len(routes) > 1]
    proved = {}
    for route in routes:
        retry = route["route"]["retry_policy"]
        path = route["match"].get("path", route["match"].get("prefix"))
        proved[path] = {"attempts": retry["num_retries"], "retryOn": retry["retry_on"]}
    *named, _ = of_matrix("istio").one("VirtualService")["spec"]["http"]
    for route in named:
        for match in route["match"]:
            path = match["uri"]["exact"]
            assert route["retries"] == proved.get(path, proved["/"]), path
    [outlier] = found(envoy, "outlier_detection")
    ours = of_matrix("istio").one("DestinationRule")["spec"]["trafficPolicy"]["outlierDetection"]
    assert outlier["split_external_local_origin_errors"] is ours["splitExternalLocalOriginErrors"] is True
    assert outlier["consecutive_local_origin_failure"] == ours["consecutiveLocalOriginFailures"]


def test_the_image_is_the_one_that_the_chart_expects():
    """User, program and ports, as the Dockerfile says them."""
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    security, container = of_matrix("default").pod()["securityContext"], of_matrix("default").container()
    assert f"USER {security['runAsUser']}:{security['runAsGroup']}\n" in dockerfile
    assert f"ENTRYPOINT {json.dumps(container['command'])}\n" in dockerfile
    ports = " ".join(str(port["containerPort"]) for port in container["ports"])
    assert f"EXPOSE {ports}\n" in dockerfile
    # What the image sets, the chart sets too: the image's variables would win over the configuration file.
    variables = {entry["name"] for entry in container["env"]}
    assert set(re.findall(r"IDGW_(?!REVISION)\w+(?==)", dockerfile)) <= variables


def test_an_unavailable_provider_leaves_no_pod_out():
    outlier = of_matrix("istio").one("DestinationRule")["spec"]["trafficPolicy"]["outlierDetection"]
    assert outlier["splitExternalLocalOriginErrors"] is True
    assert outlier["consecutive5xxErrors"] == outlier["consecutiveGatewayErrors"] == 0
    assert outlier["consecutiveLocalOriginFailures"] > 0


def test_istio_s_callers_reach_grpc_and_the_log_s_filter_is_nobody_s():
    rules = of_matrix("istio").one("AuthorizationPolicy", "demo-identity-gateway")["spec"]["rules"]
    *callers, admin = rules
    assert all(rule["from"] and rule["to"][0]["operation"]["ports"] == ["50051"] for rule in callers)
    [operation] = [to["operation"] for to in admin["to"]]
    assert operation["ports"] == ["9464"] and operation["methods"] == ["GET"] and "/log" not in operation["paths"]
    authentication = of_matrix("istio").one("PeerAuthentication")["spec"]
    assert authentication["mtls"] == {"mode": "STRICT"}
    assert authentication["portLevelMtls"] == {9464: {"mode": "PERMISSIVE"}} or authentication["portLevelMtls"] == {
        "9464": {"mode": "PERMISSIVE"}
    }


def test_linkerd_repeats_only_what_the_contract_allows():
    routes = of_matrix("linkerd").of_kind("GRPCRoute")
    repeated = [route for route in routes if "retry.linkerd.io/grpc" in route["metadata"].get("annotations", {})]
    [reads] = repeated
    assert reads["metadata"]["annotations"] == {"retry.linkerd.io/grpc": "unavailable", "retry.linkerd.io/limit": "1"}
    matches = [match["method"] for rule in reads["spec"]["rules"] for match in rule["matches"]]
    assert {f"/{method['service']}/{method['method']}" for method in matches} == {
        path for path, rpc in RPCS.items() if rpc["repeat"] == "REPEAT_ALWAYS"
    }
    # A Service with a route for some RPCs alone would refuse the others.
    [other] = [route for route in routes if route not in repeated]
    assert all("matches" not in rule for rule in other["spec"]["rules"])
    assert "retry.linkerd.io/grpc" not in yaml.safe_dump(of_matrix("linkerd").one("Service"))
    assert render(linkerd={"enabled": True, "retries": 0}).of_kind("GRPCRoute") == []


def test_linkerd_s_callers_must_be_of_the_mesh():
    rendered = of_matrix("linkerd")
    for server in rendered.of_kind("Server"):
        assert server["spec"]["accessPolicy"] == "deny"
        [policy] = [
            p for p in rendered.of_kind("AuthorizationPolicy") if p["spec"]["targetRef"]["name"] == server["metadata"]["name"]
        ]
        [required] = policy["spec"]["requiredAuthenticationRefs"]
        wanted = "MeshTLSAuthentication" if server["spec"]["port"] == "grpc" else "NetworkAuthentication"
        assert required["kind"] == wanted and rendered.one(wanted, required["name"])


def test_the_alerts_are_those_of_the_repository_with_links():
    rules = (REPOSITORY / "deploy" / "observability" / "prometheus-rules.yaml").read_text()
    wanted = yaml.safe_load(rules)["groups"]
    spec = of_matrix("production").one("PrometheusRule")["spec"]
    for group in spec["groups"]:
        for rule in group["rules"]:
            link = rule["annotations"].pop("runbook_url")
            assert link == f"https://git.example.com/identity-gateway/blob/main/{rule['annotations']['runbook']}"
    assert spec["groups"] == wanted


def test_the_dashboard_is_the_repository_s():
    dashboard = json.loads((REPOSITORY / "deploy" / "observability" / "grafana-dashboard.json").read_text())
    rendered = of_matrix("production").one("ConfigMap", "demo-identity-gateway-dashboard")
    assert json.loads(rendered["data"]["identity-gateway.json"]) == dashboard
    assert rendered["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_metrics_are_scraped_where_they_are():
    rendered = of_matrix("production")
    monitor = rendered.one("ServiceMonitor")["spec"]
    service = rendered.one("Service", "demo-identity-gateway-metrics")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert not monitor["selector"]["matchLabels"].items() <= rendered.one("Service", "demo-identity-gateway")["metadata"]["labels"].items()
    [port] = service["spec"]["ports"]
    assert monitor["endpoints"][0]["port"] == port["name"] and port["targetPort"] == "admin"
    [endpoint] = of_matrix("istio").one("PodMonitor")["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] in [port["name"] for port in of_matrix("istio").container()["ports"]]


def test_services_are_grpc_and_the_headless_one_has_the_pods_port():
    rendered = of_matrix("redis")
    for service in rendered.of_kind("Service"):
        [port] = service["spec"]["ports"]
        assert port["appProtocol"] == "grpc" and port["targetPort"] == "grpc"
    headless = rendered.one("Service", "idgw-headless")["spec"]
    assert headless["clusterIP"] == "None" and headless["ports"][0]["port"] == 50051
    assert rendered.one("Service", "idgw")["spec"]["ports"][0]["port"] == 443


def test_probes_ask_http_or_grpc():
    container = of_matrix("default").container()
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "admin"}
    assert container["livenessProbe"]["httpGet"] == container["startupProbe"]["httpGet"] == {"path": "/livez", "port": "admin"}
    container = of_matrix("grpc-probes").container()
    assert container["readinessProbe"]["grpc"] == container["startupProbe"]["grpc"] == {"port": 50051}
    # NOT_SERVING while it leaves must not have it killed.
    assert container["livenessProbe"]["tcpSocket"] == {"port": "grpc"}


def test_both_ports_listen_on_the_pod_s_address():
    """As variables: the image has them too, and they win over the file."""
    for name, address in (("default", "0.0.0.0"), ("grpc-probes", "[::]")):
        variables = {entry["name"]: entry.get("value") for entry in of_matrix(name).container()["env"]}
        assert variables["IDGW_SERVER__LISTEN"] == f"{address}:50051"
        assert variables["IDGW_ADMIN__LISTEN"] == f"{address}:9464"
        assert "listen" not in of_matrix(name).config()


def commands(rendered) -> dict[str, list[str]]:
    return {container["name"]: container["args"] for container in rendered.one("Pod")["spec"]["containers"]}


def test_helm_test_calls_what_it_may():
    assert set(commands(of_matrix("default"))) == {"health", "call"}
    assert set(commands(of_matrix("sandbox"))) == {"health", "call", "lookup"}
    assert set(commands(render(config={"auth": {"mode": "jwt"}}))) == {"health"}
    assert set(commands(render(config={"server": {"reflection": False}}))) == {"health"}
    told = commands(render(config={"auth": {"mode": "jwt"}}, tests={"arguments": ["--header", "x: y"]}))
    assert set(told) == {"health", "call"} and all(words[-2:] == ["--header", "x: y"] for words in told.values())
    assert all("demo-identity-gateway.identity.svc.cluster.local:50051" in words for words in told.values())


def test_spread_is_for_each_version_on_its_own():
    constraints = of_matrix("production").pod()["topologySpreadConstraints"]
    assert [(c["topologyKey"], c["whenUnsatisfiable"]) for c in constraints] == [
        ("kubernetes.io/hostname", "ScheduleAnyway"),
        ("topology.kubernetes.io/zone", "DoNotSchedule"),
    ]
    assert all(c["matchLabelKeys"] == ["pod-template-hash"] for c in constraints)
    assert "topologySpreadConstraints" not in of_matrix("hpa-off").pod()


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"networkPolicy": {"enabled": False}}, "config.auth.mode"),
        ({"networkPolicy": {"enabled": False}, "istio": {"enabled": True}}, "config.auth.mode"),
        ({"secrets": {"existingSecret": "x"}}, "secrets.keys"),
        ({"secrets": {"keys": ["cache.key"]}}, "secrets.existingSecret"),
        ({"secrets": {"existingSecret": "x", "keys": ["cache.key"], "values": {"cache.key": "y"}}}, "set only one of them"),
        ({"secrets": {"externalSecret": {"enabled": True}}}, "storeName"),
        ({"config": {"cache": {"key_file": "/x"}}, "secrets": {"values": {"cache.key": "y"}}}, "config.cache.key_file"),
        ({"config": {"audit": {"sink": "file"}}}, "config.audit.sink"),
        ({"istio": {"enabled": True}, "linkerd": {"enabled": True}}, "set only one of them"),
        ({"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}, "set only one of them"),
        ({"grpcRoute": {"enabled": True}}, "grpcRoute.parentRefs"),
        ({"autoscaling": {"minReplicas": 5, "maxReplicas": 4}}, "autoscaling.minReplicas"),
        ({"autoscaling": {"cpuPercent": 0}}, "cpuPercent or inFlight"),
        ({"ports": {"grpc": 9464}}, "ports.admin"),
        ({"linkerd": {"enabled": True}, "probes": {"mode": "grpc"}}, "probes.mode"),
        ({"rollout": {"maxSurge": 0}}, "rollout"),
        ({"rollout": {"maxSurge": "0%", "maxUnavailable": "0%"}}, "rollout"),
        ({"priorityClass": {"create": True}}, "priorityClass.name"),
    ],
)
def test_values_that_cannot_be_meant_are_refused_by_name(values, word):
    assert word in refused(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"sandbox": {"enabled": True}},
        {"istio": {"enabled": True, "authorization": [{"namespaces": ["onboarding"]}]}},
        {"linkerd": {"enabled": True}},
        {"config": {"auth": {"mode": "jwt"}}},
    ],
)
def test_without_a_network_policy_something_else_must_know_the_callers(values):
    assert not render(networkPolicy={"enabled": False}, **values).of_kind("NetworkPolicy")


def test_names_follow_the_release():
    assert of_matrix("redis").one("Deployment")["metadata"]["name"] == "idgw"
    assert render(nameOverride="kyc").one("Deployment")["metadata"]["name"] == "demo-kyc"
    assert of_matrix("default").one("Service")["metadata"]["namespace"] == NAMESPACE


def test_users_and_groups_can_be_left_to_the_cluster():
    """As OpenShift's restricted-v2 wants it: it fills in what is not said, and refuses what is."""
    left = render(security={"runAsUser": None, "runAsGroup": None}).pod()["securityContext"]
    assert not {"runAsUser", "runAsGroup", "fsGroup"} & set(left)
    assert left["runAsNonRoot"] is True
    said = render().pod()["securityContext"]
    assert said["runAsUser"] == said["runAsGroup"] == said["fsGroup"] == 65532


@pytest.mark.parametrize("name", ["IDGW_SERVER__LISTEN", "OTEL_RESOURCE_ATTRIBUTES", "POD_NAME", "MINE"])
def test_a_variable_is_set_once(name):
    twice = [{"name": "MINE", "value": "1"}, {"name": name, "value": "2"}]
    assert f"extraEnv: {name} is set twice" in refused(extraEnv=twice)
    once = render(extraEnv=[{"name": "MINE", "value": "1"}, {"name": "OTHER", "value": "2"}])
    names = [variable["name"] for variable in once.container()["env"]]
    assert len(names) == len(set(names))


def test_resource_attributes_are_percent_encoded():
    rendered = render(otlp={"resourceAttributes": {"team": "KYC & AML, EU"}})
    value = next(v["value"] for v in rendered.container()["env"] if v["name"] == "OTEL_RESOURCE_ATTRIBUTES")
    assert "team=KYC%20%26%20AML%2C%20EU" in value.split(",")


def test_names_are_resolved_wherever_a_cluster_has_its_servers():
    rule = next(rule for rule in render().one("NetworkPolicy")["spec"]["egress"] if {"port": 53, "protocol": "UDP"} in rule["ports"])
    assert {(port["port"], port["protocol"]) for port in rule["ports"]} == {
        (port, protocol) for port in (53, 5353) for protocol in ("UDP", "TCP")
    }
    text = json.dumps(rule["to"])
    for server in ("kube-system", "openshift-dns", "169.254.20.10/32", "169.254.169.254/32"):
        assert server in text
    own = render(networkPolicy={"dnsPorts": [1053]}).one("NetworkPolicy")["spec"]["egress"]
    assert any(rule["ports"] == [{"port": 1053, "protocol": p} for p in ("UDP", "TCP")] for rule in own)


def test_the_issuer_s_keys_can_be_fetched_and_nat64_is_no_way_round():
    """Also with the sandbox, which needs no provider."""
    jwt = {"auth": {"mode": ["jwt"], "jwt": {"jwks_url": "https://issuer.example.com/keys", "issuer": "https://issuer.example.com", "audience": ["gateway"]}}}
    for sandbox in (False, True):
        for config, rules in ((jwt, 1), ({}, 0)):
            rendered = render(config=config, sandbox={"enabled": sandbox})
            egress = rendered.one("NetworkPolicy")["spec"]["egress"]
            public = [rule for rule in egress if {"port": 443, "protocol": "TCP"} in rule["ports"]]
            assert len(public) == rules + (not sandbox)
            for rule in public:
                blocks = {peer["ipBlock"]["cidr"]: peer["ipBlock"]["except"] for peer in rule["to"]}
                assert {"64:ff9b::/96", "64:ff9b:1::/48"} <= set(blocks["::/0"])


def test_the_admin_port_is_open_to_one_namespace():
    for rule in render().one("NetworkPolicy")["spec"]["ingress"]:
        for peer in rule["from"]:
            assert peer.get("namespaceSelector", {"matchLabels": 1}) != {}, peer


def test_what_others_want_of_a_pod_is_passed_on():
    more = render(
        initContainers=[{"name": "first", "image": "busybox"}],
        extraContainers=[{"name": "beside", "image": "busybox"}],
        extraEnvFrom=[{"secretRef": {"name": "more"}}],
        hostAliases=[{"ip": "10.0.0.1", "hostnames": ["redis"]}],
        dnsConfig={"options": [{"name": "ndots", "value": "2"}]},
        runtimeClassName="gvisor",
        image={"registry": "registry.example.com/", "repository": "idgw", "pullSecrets": ["one", {"name": "two"}]},
        **{"global": {"imagePullSecrets": [{"name": "two"}, "three"]}},
    )
    pod = more.pod()
    assert [container["name"] for container in pod["containers"]] == ["identity-gateway", "beside"]
    assert [container["name"] for container in pod["initContainers"]] == ["first"]
    assert pod["containers"][0]["envFrom"] == [{"secretRef": {"name": "more"}}]
    assert pod["hostAliases"][0]["hostnames"] == ["redis"]
    assert pod["dnsConfig"]["options"][0]["name"] == "ndots"
    assert pod["runtimeClassName"] == "gvisor"
    assert pod["containers"][0]["image"].startswith("registry.example.com/idgw:")
    assert pod["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}, {"name": "three"}]


def test_what_others_want_of_a_service_and_a_monitor_is_passed_on():
    rendered = render(
        service={
            "type": "LoadBalancer", "loadBalancerClass": "example.com/nlb", "loadBalancerSourceRanges": ["10.0.0.0/8"],
            "ipFamilyPolicy": "PreferDualStack", "trafficDistribution": "PreferClose",
        },
        serviceMonitor={
            "enabled": True, "scrapeTimeout": "5s", "relabelings": [{"action": "labeldrop", "regex": "pod"}],
            "metricRelabelings": [{"action": "keep", "regex": "idgw_.*", "sourceLabels": ["__name__"]}],
        },
    )
    service = next(d for d in rendered.documents if d["kind"] == "Service" and d["spec"].get("type"))["spec"]
    assert service["loadBalancerClass"] == "example.com/nlb"
    assert service["loadBalancerSourceRanges"] == ["10.0.0.0/8"]
    assert service["ipFamilyPolicy"] == "PreferDualStack"
    assert service["trafficDistribution"] == "PreferClose"
    endpoint = rendered.one("ServiceMonitor")["spec"]["endpoints"][0]
    assert endpoint["scrapeTimeout"] == "5s"
    assert endpoint["relabelings"][0]["action"] == "labeldrop"
    assert endpoint["metricRelabelings"][0]["action"] == "keep"


def test_a_parent_chart_may_switch_it_on():
    assert render(enabled=True).documents
