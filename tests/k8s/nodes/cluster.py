"""A cluster whose nodes are real: kube-scheduler, kube-proxy, and two nodes, each a kubelet on a containerd and runc of its
own (`machine`). All of it shares one network namespace (`apart`): pods have addresses on a bridge per node, and a Service's
address is translated by kube-proxy's rules."""

import json
import os
import subprocess
from pathlib import Path

from control_plane import TOOLS, ControlPlane, Refused, free_port, wait_for
from nameserver import Nameserver

HERE = Path(__file__).resolve().parent
NODES = {"a": 1, "b": 2}
# One image by two names, so that there is something to update to.
IMAGE, TAGS = "localhost/identity-gateway", ("first", "second")
CONTAINERD = """\
version = 2
root = "{folder}/containerd"
[grpc]
address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "localhost/pause:1"
disable_apparmor = true
# Without CAP_SYS_RESOURCE, as on a virtual machine that keeps it for itself, a score cannot be lowered.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{folder}/cni"
"""


class Names(dict):
    """What a cluster's DNS knows: the Services."""

    def __init__(self, cluster: "Cluster"):
        super().__init__()
        self.cluster = cluster

    def get(self, name: str, default: str | None = None) -> str | None:
        service, _, rest = name.partition(".")
        namespace, _, zone = rest.partition(".")
        if zone != "svc.cluster.local":
            return default
        try:
            return self.cluster.ask("GET", f"/api/v1/namespaces/{namespace}/services/{service}")["spec"]["clusterIP"]
        except Refused:
            return default


class Cluster(ControlPlane):
    """Running from `with` to the end of it."""

    # A node's taints are taken away when it is ready.
    controllers = (*ControlPlane.controllers, "node-lifecycle-controller")

    def _start(self) -> None:
        super()._start()
        self.names = Nameserver(Names(self), self.address(1))
        (self.folder / "bin").symlink_to(TOOLS / "bin")
        for name, *flags in (
            ("kube-scheduler", "--leader-elect=false", "--bind-address=127.0.0.1", f"--secure-port={free_port()}"),
            (
                "kube-proxy", "--hostname-override=a", "--cluster-cidr=10.244.0.0/16",
                f"--healthz-bind-address=127.0.0.1:{free_port()}", f"--metrics-bind-address=127.0.0.1:{free_port()}",
                # These are the machine's.
                "--conntrack-max-per-core=0", "--conntrack-min=0",
            ),
        ):
            self.run(name, TOOLS / "bin" / name, f"--kubeconfig={self.kubeconfig}", *flags)
        self.cgroup = f"idgw-k8s-{os.getpid()}"
        for name, number in NODES.items():
            self._node(name, number)
        for name in NODES:
            self.until(f"node {name}", lambda: self._ready_node(name))

    @staticmethod
    def address(number: int) -> str:
        return f"10.99.0.{number}"

    def _node(self, name: str, number: int) -> None:
        folder = self.folder / name
        (folder / "cni").mkdir(parents=True)
        (folder / "containerd.toml").write_text(CONTAINERD.format(folder=folder))
        (folder / "resolv.conf").write_text("")
        (folder / "cni" / "bridge.conflist").write_text(json.dumps({
            "cniVersion": "1.0.0", "name": "pods",
            "plugins": [{
                "type": "bridge", "bridge": f"pods-{name}", "isGateway": True, "hairpinMode": True,
                "ipam": {
                    "type": "host-local", "ranges": [[{"subnet": f"10.244.{number}.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}],
                },
            }],
        }))
        cgroup = f"{self.cgroup}/{name}"
        (folder / "kubelet.json").write_text(json.dumps({
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
            "address": self.address(number), "healthzBindAddress": self.address(number), "readOnlyPort": 0,
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "clusterDNS": [self.address(1)], "clusterDomain": "cluster.local", "resolvConf": str(folder / "resolv.conf"),
            "cgroupDriver": "cgroupfs", "cgroupRoot": f"/{cgroup}", "failCgroupV1": False,
            "protectKernelDefaults": True, "maxOpenFiles": 4096, "podLogsDir": str(folder / "pods"),
            # A changed Secret is in its pods soon, not after a minute.
            "syncFrequency": "5s",
            # The machine's disk is not the cluster's business.
            "evictionHard": {"memory.available": "1Mi"}, "imageGCHighThresholdPercent": 100,
        }))
        namespaces = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
        self.run(f"node-{name}", *namespaces, HERE / "machine", folder, self.address(number), cgroup)

    def _ready_node(self, name: str) -> bool:
        try:
            node = self.ask("GET", f"/api/v1/nodes/{name}")
        except Refused:
            return False
        conditions = {condition["type"]: condition["status"] for condition in node["status"].get("conditions", [])}
        return conditions.get("Ready") == "True" and not node["spec"].get("taints")

    def __exit__(self, *_: object) -> None:
        for name, process in self.processes:
            if name.startswith("node-"):
                # `unshare` minds no other signal; all of the node ends with it.
                process.kill()
        super().__exit__()
        if hasattr(self, "names"):
            self.names.__exit__()
        # What the containers were in is empty now.
        leftovers = ("find", "/sys/fs/cgroup", "-depth", "-path", f"*/{self.cgroup}*", "-type", "d", "-exec", "rmdir", "{}", "+")
        wait_for("the control groups to go", lambda: subprocess.run(leftovers, capture_output=True).returncode == 0)
