"""A real Kubernetes control plane on loopback: etcd, kube-apiserver, kube-controller-manager. What starts pods is somebody
else: node.py stands in for it, nodes/ has the real thing."""

import json
import os
import secrets
import socket
import ssl
import stat
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = REPOSITORY / ".tools" / "k8s"
PATIENCE = 120


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Refused(Exception):
    """The API server's word for why not."""

    def __init__(self, status: int, body: str):
        super().__init__(f"{status}: {body}")
        self.status, self.body = status, body


class ControlPlane:
    """Running from `with` to the end of it."""

    # What the chart's objects need; none that would look for nodes that stopped talking.
    controllers: tuple[str, ...] = (
        "deployment-controller", "replicaset-controller", "serviceaccount-controller", "namespace-controller",
        "garbage-collector-controller", "disruption-controller", "endpointslice-controller",
        "horizontal-pod-autoscaler-controller", "root-ca-certificate-publisher-controller",
    )

    def __init__(self, folder: Path):
        self.folder = folder
        self.token = secrets.token_hex(16)
        self.processes: list[tuple[str, subprocess.Popen]] = []
        self.warnings: list[str] = []

    def __enter__(self) -> "ControlPlane":
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        etcd, peer, self.port, manager = (free_port() for _ in range(4))
        [binary] = self._etcd()
        self.run(
            "etcd", binary, f"--data-dir={self.folder / 'etcd'}", "--unsafe-no-fsync", "--log-level=error",
            f"--listen-client-urls=http://127.0.0.1:{etcd}", f"--advertise-client-urls=http://127.0.0.1:{etcd}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}", f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=default=http://127.0.0.1:{peer}",
        )
        key = self.folder / "service-account.key"
        subprocess.run(
            ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key],
            check=True, capture_output=True,
        )
        tokens = self.folder / "tokens.csv"
        tokens.write_text(f"{self.token},admin,admin,system:masters\n")
        certificates = self.folder / "certificates"
        self.run(
            "kube-apiserver", TOOLS / "bin" / "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{etcd}", "--bind-address=127.0.0.1", f"--secure-port={self.port}",
            "--advertise-address=127.0.0.1", f"--cert-dir={certificates}", f"--token-auth-file={tokens}",
            f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}",
            "--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=RBAC", "--endpoint-reconciler-type=none", "--audit-log-path=",
        )
        self.certificate = certificates / "apiserver.crt"
        self.until("the API server's certificate", self.certificate.is_file)
        self.trust = ssl.create_default_context(cafile=str(self.certificate))
        self.until("the API server", self._ready)
        self.kubeconfig = self.folder / "kubeconfig"
        self.kubeconfig.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "here", "cluster": {
                "server": f"https://127.0.0.1:{self.port}", "certificate-authority": str(self.certificate)}}],
            "users": [{"name": "admin", "user": {"token": self.token}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin"}}],
        }))
        self.run(
            "kube-controller-manager", TOOLS / "bin" / "kube-controller-manager",
            f"--kubeconfig={self.kubeconfig}", "--leader-elect=false", "--bind-address=127.0.0.1",
            f"--secure-port={manager}", f"--cert-dir={self.folder / 'manager'}",
            f"--service-account-private-key-file={key}", f"--root-ca-file={self.certificate}",
            f"--controllers={','.join(self.controllers)}", "--horizontal-pod-autoscaler-sync-period=2s",
        )

    @staticmethod
    def _etcd() -> list[Path]:
        found = [
            path for path in (TOOLS / "python").rglob("etcd") if path.is_file() and path.stat().st_size > 1_000_000
        ]
        for path in found:
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return found

    def run(self, name: str, *command: object) -> None:
        log = (self.folder / f"{name}.log").open("w")
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment
        )
        self.processes.append((name, process))

    def until(self, what: str, look) -> None:
        wait_for(what, look, self.alive)

    def alive(self) -> None:
        for name, process in self.processes:
            log = (self.folder / f"{name}.log").read_text()
            assert process.poll() is None, f"{name} ended:\n{log[-3000:]}"

    def _ready(self) -> bool:
        try:
            return self.ask("GET", "/readyz", raw=True) == "ok"
        except (OSError, Refused):
            return False

    def ask(self, method: str, path: str, body: object = None, *, raw: bool = False, content: str = "application/json"):
        """One request to the API server; its warnings are kept."""
        request = urllib.request.Request(
            f"https://127.0.0.1:{self.port}{path}",
            None if body is None else json.dumps(body).encode(),
            {"authorization": f"Bearer {self.token}", "content-type": content},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=30, context=self.trust) as answer:
                self.warnings += answer.headers.get_all("warning") or []
                text = answer.read().decode()
        except urllib.error.HTTPError as refused:
            raise Refused(refused.code, refused.read().decode()) from None
        return text if raw else json.loads(text)

    def __exit__(self, *_: object) -> None:
        for _, process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for(what: str, look, alive=lambda: None):
    """Asks again until there is something."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := look():
            return found
        alive()
        time.sleep(0.05)
    raise AssertionError(f"waited {PATIENCE} s for {what}")
