"""A release of the chart in the cluster, and what the cluster says of it."""

import threading
import time

import helm_python as helm

RELEASE = "demo"


class Release:
    """A release in a namespace, and what the cluster says of it."""

    def __init__(self, cluster, namespace: str, name: str = f"{RELEASE}-identity-gateway"):
        self.cluster, self.namespace, self.name = cluster, namespace, name
        self.helm = helm.Config(kubeconfig_path=cluster.kubeconfig, namespace=namespace, qps=200.0, burst_limit=400)

    def deployment(self) -> dict:
        return self.cluster.ask("GET", f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{self.name}")

    def config(self) -> str:
        path = f"/api/v1/namespaces/{self.namespace}/configmaps/{self.name}"
        return self.cluster.ask("GET", path)["data"]["config.toml"]

    def pods(self) -> list[dict]:
        return self.cluster.ask("GET", f"/api/v1/namespaces/{self.namespace}/pods")["items"]

    def rolled_out(self, replicas: int) -> bool:
        deployment = self.deployment()
        status = deployment.get("status", {})
        return (
            status.get("observedGeneration") == deployment["metadata"]["generation"]
            and status.get("updatedReplicas") == status.get("replicas") == status.get("availableReplicas") == replicas
        )


class FewestAvailable:
    """The fewest pods that were available at any moment that was looked at."""

    def __init__(self, release: Release):
        self.release, self.fewest, self.looks = release, 10**6, 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._over.is_set():
            self.fewest = min(self.fewest, self.release.deployment()["status"].get("availableReplicas", 0))
            self.looks += 1
            time.sleep(0.05)

    def __enter__(self) -> "FewestAvailable":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(timeout=30)
