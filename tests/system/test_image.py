"""The image holds what it must and nothing else, and works as a cluster would run it."""

import io
import json
import os
import re
import shlex
import shutil
import tarfile
import time
from datetime import datetime
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from clients import CallFailed, Python
from container import RESTRICTED, Container, gateway_container, image, inspect, podman
from harness import PATIENCE, REPOSITORY, TARGET, Sandbox, gateway, run, wait_for
from nameserver import Nameserver
from providers import TlsProvider

SANDBOX = {"IDGW_AUTH__MODE": "none"}
# What nobody is charged for twice is looked up here: a person of the sandbox.
LOOKUP = {"document_number": "005015372", "birthdate": "1993-08-16"}


def files(tmp_path: Path) -> dict[str, tarfile.TarInfo]:
    """Every entry of every layer of the image, by its path."""
    archive = tmp_path / "image.tar"
    saved = podman("save", "--quiet", "--format", "oci-archive", "--output", archive, image())
    assert saved.returncode == 0, saved.stderr
    found = {}
    with tarfile.open(archive) as outer:

        def blob(digest: str) -> bytes:
            member = outer.extractfile(f"blobs/{digest.replace(':', '/')}")
            assert member
            return member.read()

        index = outer.extractfile("index.json")
        assert index
        [manifest] = json.load(index)["manifests"]
        for layer in json.loads(blob(manifest["digest"]))["layers"]:
            with tarfile.open(fileobj=io.BytesIO(blob(layer["digest"]))) as inner:
                found |= {entry.name.strip("/"): entry for entry in inner}
    return found


def test_the_image_is_a_binary_and_the_ca_certificates(tmp_path: Path, figures):
    found = files(tmp_path)
    regular = {name: entry for name, entry in found.items() if not entry.isdir()}
    assert regular.keys() == {"identity-gateway", "etc/ssl/certs/ca-certificates.crt"}
    assert all(entry.isreg() and entry.uid == entry.gid == 0 for entry in regular.values())
    # Nobody but root may change them, no bit gives anybody more rights.
    assert {name: oct(entry.mode & 0o7777) for name, entry in regular.items()} == {
        "identity-gateway": "0o755",
        "etc/ssl/certs/ca-certificates.crt": "0o644",
    }
    assert found.keys() - regular.keys() <= {"etc", "etc/ssl", "etc/ssl/certs"}
    size = inspect()["Size"]
    figures["image size"] = f"{size / 1e6:.1f} MB, compressed {sum_compressed(tmp_path) / 1e6:.1f} MB"
    assert size <= 25_000_000


def sum_compressed(tmp_path: Path) -> int:
    """What is pulled: the layers as gzip, which registries store."""
    pushed = tmp_path / "pushed"
    done = podman("push", "--quiet", "--compress", image(), f"dir:{pushed}")
    assert done.returncode == 0, done.stderr
    return sum(file.stat().st_size for file in pushed.iterdir())


def test_the_bundle_is_mozillas_and_not_the_build_machines():
    bundle = (TARGET / "static" / "ca-certificates.crt").read_text()
    certificates = bundle.count("-----BEGIN CERTIFICATE-----")
    packaged = list(Path("/usr/share/ca-certificates/mozilla").glob("*.crt"))
    assert certificates == len(packaged) > 100


def test_the_image_says_what_it_is_and_runs_as_a_numeric_user():
    described = inspect()
    config = described["Config"]
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["/identity-gateway"]
    assert config["Cmd"] == ["serve"]
    assert config["ExposedPorts"].keys() == {"50051/tcp", "9464/tcp"}
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in described["Labels"].items()}
    version = gateway("--version").stdout.split()[1]
    assert labels["title"] == "identity-gateway"
    assert labels["licenses"] == "Apache-2.0"
    assert labels["version"] == version
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", labels["revision"])
    # Who builds without arguments gets the right version too.
    assert f"ARG VERSION={version}\n" in (REPOSITORY / "Dockerfile").read_text()


def test_the_dockerfile_builds_from_pinned_images_and_ends_from_scratch():
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    stages = re.findall(r"^FROM (\S+)(?: AS (\S+))?$", dockerfile, re.MULTILINE)
    assert stages == [("scratch", "frame"), ("frame", "prebuilt"), ("${RUST_IMAGE}", "build"), ("frame", "")]
    rust = re.search(r"^ARG RUST_IMAGE=\S+/rust:(\d+\.\d+)\.\d+-\S+$", dockerfile, re.MULTILINE)
    manifest = (REPOSITORY / "Cargo.toml").read_text()
    assert rust and f'rust-version = "{rust[1]}"' in manifest
    # Both ways copy the same files to the same places.
    copies = re.findall(r"^COPY (?:--from=build )?(--chmod=\d+) (?:/out/)?(\S+) (\S+)$", dockerfile, re.MULTILINE)
    assert len(copies) == 4 and copies[:2] == copies[2:]


def test_the_build_stages_context_is_enough_to_build_from(tmp_path: Path):
    """The image of the build stage cannot be pulled everywhere: its context is tried with cargo alone."""
    first, *rest = [line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line[:1] != "#"]
    assert first == "*" and all(line.startswith("!") for line in rest)
    for name in (line.removeprefix("!") for line in rest):
        source, copy = REPOSITORY / name, tmp_path / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy)
        elif source.exists():
            shutil.copy(source, copy)
    manifest = tmp_path / "Cargo.toml"
    read = run("cargo", "metadata", "--no-deps", "--format-version=1", "--offline", "--manifest-path", manifest)
    assert read.returncode == 0, read.stderr
    # Nothing that is compiled comes from elsewhere: the sandbox reads samples, which are in the context.
    included = re.compile(r"include_(?:str|bytes|dir)!\(\s*\"([^\"]+)\"")
    sources = [path for path in (tmp_path / "src").rglob("*.rs") if path.name != "tests.rs" and "tests" not in path.parts]
    paths = [path.parent / name for path in sources for name in included.findall(path.read_text())]
    assert len(paths) > 5
    assert not [path for path in paths if not path.resolve().is_relative_to(tmp_path.resolve()) or not path.exists()]


def test_the_same_files_give_the_same_image(tmp_path: Path):
    (tmp_path / "static").symlink_to(TARGET / "static")
    built = run(REPOSITORY / "deploy/image/build-image", tmp_path)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "image.id").read_text().strip() == image()


def test_a_configuration_is_held_against_a_version_before_it_rolls(tmp_path: Path):
    config = tmp_path / "config.toml"
    for text, code in (
        ('[auth]\nmode = "none"\n[server]\nlame_duck = "4s"\n', 0),
        ('[auth]\nmode = "none"\n[server]\nlame_dcuk = "4s"\n', 64),
    ):
        config.write_text(text)
        mounted = (f"--volume={config}:/c.toml:ro", "--network=none")
        with Container("check-config", options=mounted, IDGW_CONFIG="/c.toml") as checked:
            assert checked.wait() == code, checked.output()
            assert ("lame_dcuk" in checked.output()) == (code != 0)


def test_there_is_no_shell():
    for shell in ("/bin/sh", "sh", "/bin/bash", "/busybox/sh"):
        refused = podman("run", "--rm", "--network=none", f"--entrypoint={shell}", image(), "-c", "true")
        assert refused.returncode in (126, 127), f"{shell}: {refused}"


@pytest.mark.parametrize("document", ["README.md", "docs/deploy.md"])
def test_it_serves_as_the_documents_start_it_and_answers_its_health_command(document: str):
    """A network of its own: the ports are the image's, and the commands find them without being told."""
    lines = (REPOSITORY / document).read_text().replace("\\\n", " ")
    [line] = re.findall(r"^(?:podman|docker) run (.* serve --sandbox)\b", lines, re.MULTILINE)
    words = shlex.split(line)
    name = next(at for at, word in enumerate(words) if "identity-gateway" in word)
    options = list(zip(words[:name], words[1:], strict=False))
    assert ("-p", "127.0.0.1:50051:50051") in options
    variables = dict(value.split("=", 1) for option, value in options if option == "-e")
    with Container(*words[name + 1 :], options=("--network=none",), **variables) as container:
        serving = container.serving()
        assert (serving["grpc"], serving["admin"]) == ("0.0.0.0:50051", "0.0.0.0:9464")
        health = container.execute("health")
        assert (health.returncode, health.stdout) == (0, "SERVING\n")
        called = container.execute("call", "VerifyPeForeignerId", json.dumps(LOOKUP))
        assert json.loads(called.stdout)["verification"]["outcome"] == "OUTCOME_FOUND"


def test_it_runs_without_root_capabilities_or_a_place_to_write(contract: dict):
    with gateway_container("--sandbox", **SANDBOX) as container:
        python = Python(container.serving()["grpc"], contract)
        assert python.call("VerifyPeForeignerId", LOOKUP)["record"]
        proc = container.proc()
        status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines() if ":\t" in line)
        assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"65532"}
        assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
        assert status["NoNewPrivs"] == "1"
        mounts = [line.split() for line in (proc / "mountinfo").read_text().splitlines()]
        assert ["ro" in mount[5].split(",") for mount in mounts if mount[4] == "/"] == [True]
        assert set(RESTRICTED) <= set(container.program)


def test_it_says_not_serving_finishes_its_calls_and_exits_0_when_stopped(contract: dict):
    with Sandbox("--delay", "2s") as sandbox:
        with gateway_container(**verifik(sandbox.url, sandbox.token("verifik")), IDGW_SERVER__LAME_DUCK="1s") as container:
            address = container.serving()["grpc"]
            watch = health_pb2_grpc.HealthStub(grpc.insecure_channel(address)).Watch(
                health_pb2.HealthCheckRequest(), timeout=PATIENCE
            )
            assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
            python = Python(address, contract)
            pending = python.start("VerifyPeForeignerId", LOOKUP)
            wait_for("the call to arrive", lambda: sandbox.ledger()["verifik"]["received"] or None)
            assert container.stop() == 0
            assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
            assert python.read(pending)["verification"]["outcome"] == "OUTCOME_FOUND"
            assert [event["message"] for event in container.log()][-1] == "stopped"


def verifik(url: str, token: str) -> dict[str, str]:
    """The settings of a gateway that asks this instead of Verifik."""
    return {
        "IDGW_AUTH__MODE": "none",
        "IDGW_PROVIDERS__VERIFIK__BASE_URL": url,
        "IDGW_PROVIDERS__VERIFIK__TOKEN": token,
    }


# --- The limits of the container ---


@pytest.mark.parametrize(
    ("cpus", "workers"), [("1", 1), ("0.25", 1), ("1.9", 1), ("2", 2)], ids=lambda value: str(value)
)
def test_worker_threads_follow_the_cpu_limit(cpus: str, workers: int):
    with gateway_container("--sandbox", options=(f"--cpus={cpus}",), **SANDBOX) as container:
        container.serving()
        assert container.wait_for_log("limits")["workers"] == workers
        tasks = [(task / "comm").read_text().strip() for task in (container.proc() / "task").iterdir()]
        # On one CPU the program's first thread does all the work, and there is no worker beside it.
        beside = tasks.count("tokio-rt-worker")
        assert beside >= workers if workers > 1 else beside == 0, tasks


@pytest.mark.parametrize(("memory", "shed_above"), [("64m", 64 << 20), ("256m", 256 << 20)])
def test_the_memory_limit_is_four_fifths_of_the_containers(memory: str, shed_above: int):
    with gateway_container("--sandbox", options=(f"--memory={memory}",), **SANDBOX) as container:
        container.serving()
        assert container.wait_for_log("limits")["max_memory"] == shed_above // 5 * 4


def test_calls_are_refused_before_the_kernel_ends_the_container(contract: dict):
    """Calls with big images pile up before a slow provider, until the gateway says that it is enough."""
    face = {"face_image": "A" * 4_000_000}
    with Sandbox("--delay", "6s") as sandbox:
        settings = verifik(sandbox.url, sandbox.token("verifik"))
        with gateway_container(options=("--memory=192m", "--memory-swap=192m"), **settings) as container:
            python = Python(container.serving()["grpc"], contract)
            person = {"given_name": "Ada", "family_name": "Prueba", "biometric_data": face}
            pending = []

            def refused() -> CallFailed | None:
                pending.append(python.start("CreatePersonWithLiveness", {"person": person}))
                # The memory is looked at four times a second.
                time.sleep(0.3)
                for call in pending:
                    if call.done():
                        try:
                            python.read(call)
                        except CallFailed as failed:
                            return failed
                return None

            refusal = wait_for("a refusal", refused)
            assert refusal.code == "RESOURCE_EXHAUSTED"
            assert refusal.details["ErrorInfo"]["reason"] == "OVERLOADED"
            # By the budget of bytes that calls hold, or by what the process has.
            assert [event["short"] for event in container.log("memory")][:1] in ([], [True])
            # Those that were taken get their answers, and then there is room again.
            outcomes = [outcome(python, call) for call in pending]
            assert outcomes.count("OK") >= 1 and set(outcomes) <= {"OK", "OVERLOADED"}, outcomes
            wait_for("room", lambda: outcome(python, python.start("GetPerson", {"id": "person_123456789"})) == "OK" or None)
            assert container.state()["OOMKilled"] is False and container.stop() == 0


def outcome(python: Python, call: grpc.Future) -> str:
    """OK, or the reason of the error."""
    try:
        python.read(call)
        return "OK"
    except CallFailed as failed:
        return failed.details.get("ErrorInfo", {}).get("reason", failed.code)


# --- What a static binary in an empty image could lack ---


@pytest.mark.parametrize(
    ("place", "told"),
    [("/etc/ssl/certs/ca-certificates.crt", {}), ("/own.pem", {"SSL_CERT_FILE": "/own.pem"})],
    ids=["in the bundle's place", "named"],
)
def test_it_reaches_a_provider_by_https_if_the_bundle_knows_it(
    place: str, told: dict[str, str], contract: dict, tmp_path: Path
):
    with TlsProvider(tmp_path) as provider:
        settings = verifik(provider.url, provider.token)
        mounted = f"--volume={provider.authority}:{place}:ro"
        with gateway_container(options=(mounted,), **settings, **told) as container:
            answer = Python(container.serving()["grpc"], contract).call("VerifyPeForeignerId", LOOKUP)
            assert answer["verification"]["outcome"] == "OUTCOME_FOUND"
        assert provider.received == 1
        # The image's own bundle does not know the test's authority: the request never leaves.
        with gateway_container(**settings, IDGW_PROVIDERS__VERIFIK__MAX_ATTEMPTS="1") as container:
            with pytest.raises(CallFailed) as failed:
                Python(container.serving()["grpc"], contract).call("VerifyPeForeignerId", LOOKUP)
            assert failed.value.code == "UNAVAILABLE"
            assert failed.value.details["ErrorInfo"]["metadata"]["billing"] == "not_billed"
        assert provider.received == 1


def test_it_finds_a_provider_by_dns(contract: dict, tmp_path: Path):
    """A static program has no name service modules to load: names must be found without them."""
    with TlsProvider(tmp_path, name="provider.test") as provider, Nameserver({"provider.test": "127.0.0.1"}) as names:
        resolver = tmp_path / "resolv.conf"
        resolver.write_text(f"nameserver {names.address}\n")
        options = (
            f"--volume={provider.authority}:/etc/ssl/certs/ca-certificates.crt:ro",
            f"--volume={resolver}:/etc/resolv.conf:ro",
        )
        with gateway_container(options=options, **verifik(provider.url, provider.token)) as container:
            answer = Python(container.serving()["grpc"], contract).call("VerifyPeForeignerId", LOOKUP)
            assert answer["verification"]["outcome"] == "OUTCOME_FOUND"
        assert "provider.test" in names.asked


def test_the_time_from_start_to_serving(figures):
    times = []
    for _ in range(3):
        began = time.time()
        with gateway_container("--sandbox", **SANDBOX) as container:
            address = container.serving()["grpc"]
            health = gateway("health", "--address", address)
            answered = time.time()
            assert health.stdout == "SERVING\n"
            serving = datetime.fromisoformat(container.serving()["timestamp"]).timestamp()
            times.append((answered - began, serving - began_at(container.proc())))
            [resident] = re.findall(r"^VmRSS:\s+(\d+) kB$", (container.proc() / "status").read_text(), re.MULTILINE)
    whole, own = (sorted(column)[1] for column in zip(*times, strict=True))
    figures["from `podman run` to an answer of SERVING"] = f"{whole * 1000:.0f} ms"
    figures["from the container's process to its line `serving`"] = f"{own * 1000:.0f} ms"
    figures["resident memory at rest"] = f"{int(resident) / 1024:.0f} MiB"
    # Only against something gone badly wrong: the machine may be busy.
    assert whole < 20 and own < 10


def began_at(proc: Path) -> float:
    """When a process began, as seconds since 1970: the kernel tells it in ticks since the boot."""
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    ticks = int((proc / "stat").read_text().rpartition(")")[2].split()[19])
    return boot + ticks / os.sysconf("SC_CLK_TCK")
