"""The real program with what the chart gives it: as a kubelet would start it, short of the container."""

import base64
import json
import re
import shlex
import shutil
import tomllib
import urllib.request
from pathlib import Path

import pytest

from harness import Program, gateway, run
from rendered import MATRIX, of_matrix

MOUNT = "/etc/identity-gateway"
# For Secrets that are not the chart's. Their values are nobody's.
STAND_INS = {"cache.url": "redis://127.0.0.1:1/0"}
STAND_IN = "not-a-real-credential-00000000000000"
# Secrets of which every key is mounted.
WHOLE = {"identity-callers": {"keys": "onboarding " + "5e" * 32 + "\n"}}


class Container:
    """A folder in place of /etc/identity-gateway, and the container's variables."""

    def __init__(self, rendered, folder: Path):
        self.rendered, self.folder = rendered, folder
        self.secrets = {
            document["metadata"]["name"]: document["data"]
            for document in rendered.of_kind("Secret")
        }
        volumes = {volume["name"]: volume for volume in rendered.pod()["volumes"]}
        for mount in rendered.container()["volumeMounts"]:
            self._fill(self._inside(mount["mountPath"]), volumes[mount["name"]])
        self.variables = {}
        for entry in rendered.container()["env"]:
            self.variables[entry["name"]] = self._variable(entry)
        self.variables["IDGW_CONFIG"] = str(self._inside(self.variables["IDGW_CONFIG"]))

    def _inside(self, path: str) -> Path:
        return self.folder / path.lstrip("/")

    def _secret(self, name: str, key: str) -> str:
        if name in self.secrets:
            return base64.b64decode(self.secrets[name][key]).decode()
        return STAND_INS.get(key, STAND_IN)

    def _fill(self, folder: Path, volume: dict) -> None:
        folder.mkdir(parents=True)
        if "configMap" in volume:
            data = self.rendered.one("ConfigMap", volume["configMap"]["name"])["data"]
            for name, text in data.items():
                # The files are elsewhere than in the container; nothing else is changed.
                (folder / name).write_text(re.sub(r'"(/(?:etc|var/lib)/identity-gateway/)', rf'"{self.folder}\1', text))
        elif "secret" in volume:
            for name, text in WHOLE.get(volume["secret"]["secretName"], {}).items():
                (folder / name).write_text(text)
            for item in volume["secret"].get("items", []):
                (folder / item["path"]).write_text(self._secret(volume["secret"]["secretName"], item["key"]))

    def _variable(self, entry: dict) -> str:
        source = entry.get("valueFrom", {})
        if "secretKeyRef" in source:
            return self._secret(source["secretKeyRef"]["name"], source["secretKeyRef"]["key"])
        if "fieldRef" in source:
            return "somewhere"
        return re.sub(r"\$\((\w+)\)", lambda found: self.variables[found[1]], entry["value"])


@pytest.fixture(params=MATRIX)
def container(request, tmp_path) -> Container:
    return Container(of_matrix(request.param), tmp_path)


def test_the_program_accepts_its_configuration(container):
    checked = gateway("check-config", **container.variables)
    assert checked.returncode == 0, checked.stderr
    effective = tomllib.loads(checked.stdout)
    given = tomllib.loads(Path(container.variables["IDGW_CONFIG"]).read_text())

    def holds(tree, part, path=()):
        for name, value in part.items():
            if isinstance(value, dict):
                holds(tree[name], value, (*path, name))
            elif not name.endswith("_file"):
                # Where the program takes a word or a list of them, it shows a list.
                shown = [value] if isinstance(tree[name], list) and isinstance(value, str) else value
                assert tree[name] == shown, (*path, name)

    # Written in the program's own units, a span looks different: those are compared by the chart's other tests.
    spans = re.compile(r"^\d+(ms|s|m|h)$")
    holds(
        json.loads(json.dumps(effective)),
        json.loads(json.dumps(given), object_hook=lambda part: {
            name: value for name, value in part.items() if not (isinstance(value, str) and spans.match(value))
        }),
    )


def test_the_program_serves_answers_its_probes_and_the_test_s_calls(container):
    """With the container's own arguments; only the ports are free ones, and it leaves at once."""
    [deployment] = container.rendered.of_kind("Deployment")
    arguments = container.rendered.container()["args"]
    ports = {"IDGW_SERVER__LISTEN": "127.0.0.1:0", "IDGW_ADMIN__LISTEN": "127.0.0.1:0", "IDGW_SERVER__LAME_DUCK": "0s"}
    # There is no collector; that it is told of one is enough.
    variables = container.variables | {"OTEL_SDK_DISABLED": "true"}
    with Program(*arguments, **(variables | ports)) as program:
        serving = program.wait_for_log("serving")
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            asked = container.rendered.container()[probe]
            if "httpGet" in asked:
                with urllib.request.urlopen(f"http://{serving['admin']}{asked['httpGet']['path']}", timeout=10) as answer:
                    assert answer.status == 200
        for pod in container.rendered.of_kind("Pod"):
            assert pod["spec"]["containers"]
            for test in pod["spec"]["containers"]:
                called = gateway(*at(test["args"], serving["grpc"]))
                assert called.returncode == 0, called.stderr
        for line in re.findall(r"^ +(grpcurl .*)$", container.rendered.notes, re.MULTILINE):
            if container.rendered.merged["config"]["server"]["reflection"]:
                called = run(*shlex.split(line.replace("localhost:50051", serving["grpc"])))
                if "$TOKEN" in line:
                    # Here it is nobody's token. That it is refused says that the line is read, and the door shut.
                    assert "Unauthenticated" in called.stderr, called.stderr
                    continue
                assert called.returncode == 0, called.stderr
                assert "idgw.identity.v1.IdentityService" in called.stdout or "OUTCOME_FOUND" in called.stdout
        program.terminate()
        assert program.wait() == 0
    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > 0


def at(arguments: list[str], address: str) -> list[str]:
    """The same arguments for another address."""
    place = arguments.index("--address") + 1
    return [*arguments[:place], address, *arguments[place + 1 :]]


def test_a_configuration_that_the_program_refuses_would_be_found(tmp_path):
    container = Container(of_matrix("default"), tmp_path)
    path = Path(container.variables["IDGW_CONFIG"])
    path.write_text(path.read_text().replace("max_in_flight = 4096", "max_in_flight = 4096.0"))
    assert gateway("check-config", **container.variables).returncode == 64


def test_variables_of_services_would_keep_the_program_from_starting(tmp_path):
    """Why `enableServiceLinks` is off: a Service named `idgw` in the namespace makes such variables in every pod."""
    container = Container(of_matrix("redis"), tmp_path)
    assert container.rendered.one("Service", "idgw")
    checked = gateway("check-config", **container.variables, IDGW_SERVICE_HOST="10.0.0.1")
    assert checked.returncode == 64 and "IDGW_SERVICE_HOST" in checked.stderr


def test_promtool_takes_the_rendered_alerts(tmp_path):
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps(of_matrix("production").one("PrometheusRule")["spec"]))
    assert shutil.which("promtool"), "promtool is missing: .ci/setup-tools installs it"
    checked = run("promtool", "check", "rules", rules)
    assert checked.returncode == 0, checked.stdout + checked.stderr
