"""What stands in for scheduler and kubelet: it binds every pod to one node, says that it runs and is ready, and lets it go
when it is deleted. No container is started: the rollouts are the controllers' own, the pods are only said to be there.
A pod that shall end, such as that of `helm test`, is another matter: its commands are run, with the program itself and the
gateway at `address` in place of the Service, and what the pod ends with is what they end with."""

import subprocess
import threading
import time
from datetime import datetime, timezone

from control_plane import ControlPlane, Refused
from harness import BINARY, environment

NODE = "here"


def now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Node:
    """Works from `with` to the end of it."""

    def __init__(self, cluster: ControlPlane):
        self.cluster = cluster
        # Where the commands of pods that shall end find the gateway.
        self.address = ""
        self.error: BaseException | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> "Node":
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
        self.cluster.ask("POST", "/api/v1/nodes", node)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(timeout=60)
        if self.error:
            raise self.error

    def _work(self) -> None:
        try:
            while not self._over.is_set():
                for pod in self.cluster.ask("GET", "/api/v1/pods")["items"]:
                    try:
                        self._look_after(pod)
                    except Refused as refused:
                        # It is gone, or somebody else wrote it in between: it is looked at again.
                        if refused.status not in (404, 409):
                            raise
                time.sleep(0.2)
        except BaseException as error:  # noqa: BLE001  shown where the test ends
            self.error = error

    def _look_after(self, pod: dict) -> None:
        name, path = pod["metadata"]["name"], f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/"
        path += name
        if "deletionTimestamp" in pod["metadata"]:
            self.cluster.ask("DELETE", f"{path}?gracePeriodSeconds=0")
        elif not pod["spec"].get("nodeName"):
            target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
            self.cluster.ask("POST", f"{path}/binding", binding)
        elif pod["spec"]["restartPolicy"] == "Never":
            if pod["status"].get("phase") == "Pending":
                self._run(pod, path)
        elif pod["status"].get("phase") != "Running":
            conditions = [
                {"type": kind, "status": "True", "lastTransitionTime": now()}
                for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
            ]
            containers = [
                {
                    "name": container["name"], "ready": True, "started": True, "restartCount": 0,
                    "image": container["image"], "imageID": "", "state": {"running": {"startedAt": now()}},
                }
                for container in pod["spec"]["containers"]
            ]
            status = {"phase": "Running", "conditions": conditions, "containerStatuses": containers, "startTime": now()}
            self.cluster.ask("PATCH", f"{path}/status", {"status": status}, content="application/merge-patch+json")

    def _run(self, pod: dict, path: str) -> None:
        """Runs a pod to its end."""
        containers = []
        for container in pod["spec"]["containers"]:
            assert container["command"] == ["/identity-gateway"]
            words = container["args"]
            place = words.index("--address") + 1
            ended = subprocess.run(
                [BINARY, *words[:place], self.address, *words[place + 1 :]],
                capture_output=True, timeout=60, env=environment(),
            )
            terminated = {"exitCode": ended.returncode, "startedAt": now(), "finishedAt": now()}
            containers.append({
                "name": container["name"], "ready": False, "restartCount": 0, "image": container["image"], "imageID": "",
                "state": {"terminated": terminated},
            })
        failed = any(container["state"]["terminated"]["exitCode"] for container in containers)
        status = {"phase": "Failed" if failed else "Succeeded", "containerStatuses": containers, "startTime": now()}
        self.cluster.ask("PATCH", f"{path}/status", {"status": status}, content="application/merge-patch+json")
