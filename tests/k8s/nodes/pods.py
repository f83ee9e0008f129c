"""A release of the chart, with the sandbox in place of the providers, whose pods are there."""

from pathlib import Path

from cluster import IMAGE, TAGS
from control_plane import wait_for
from rendered import CHART
from releases import RELEASE, Release

# The sandbox answers after a while, so that every pod has calls in flight when something is done to it.
DELAY = "300ms"
FIXED = {"autoscaling": {"enabled": False}, "replicas": 2}


def values(tag: str = TAGS[0], *, delay: str = DELAY, **more: object) -> dict:
    config = {"auth": {"mode": "none"}, "sandbox": {"delay": delay}} | more.pop("config", {})
    own = {"image": {"repository": IMAGE, "tag": tag}, "sandbox": {"enabled": True}, "config": config}
    return FIXED | own | more


class Pods(Release):
    """A release whose pods are there."""

    def install(self, wanted: dict) -> None:
        self.helm.install(CHART, RELEASE, wanted)
        self.until_rolled_out(wanted["replicas"])

    def until_rolled_out(self, replicas: int) -> None:
        wait_for(f"{replicas} pods", lambda: self.rolled_out(replicas), self.cluster.alive)

    def current(self) -> list[dict]:
        """Those that are not going; the pod of `helm test` is none of them."""
        return [
            pod for pod in self.pods()
            if "deletionTimestamp" not in pod["metadata"] and "pod-template-hash" in pod["metadata"]["labels"]
        ]

    def only(self) -> dict:
        [pod] = self.current()
        return pod

    def container(self) -> dict:
        [status] = self.only()["status"]["containerStatuses"]
        return status

    def address(self) -> str:
        """The Service's own, which kube-proxy's rules translate."""
        service = self.cluster.ask("GET", f"/api/v1/namespaces/{self.namespace}/services/{self.name}")["spec"]
        return f"{service['clusterIP']}:{service['ports'][0]['port']}"

    def restarts(self) -> int:
        return sum(status["restartCount"] for pod in self.current() for status in pod["status"]["containerStatuses"])

    def log(self, pod: dict) -> str:
        """What the containers of a pod have written, of all their lives."""
        node = self.cluster.folder / pod["spec"]["nodeName"] / "pods"
        [folder] = node.glob(f"*_{pod['metadata']['name']}_*")
        return "".join(path.read_text() for path in sorted(folder.rglob("*.log")))

    def highest_memory(self, pod: dict) -> int:
        """The most that the container has ever had, by its control group."""
        identifier = self.container()["containerID"].partition("//")[2]
        [group] = Path("/sys/fs/cgroup/memory", self.cluster.cgroup).rglob(identifier)
        return int((group / "memory.max_usage_in_bytes").read_text())

    def uninstall(self) -> None:
        self.helm.uninstall(RELEASE)
        wait_for("its pods to go", lambda: not self.pods())
