"""What docs/sandbox.md gives to a team's CI: recipes for testcontainers, and a compose file, with a real engine."""

import json
import re
import shutil
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from container import Container, image, podman
from engine import engine as started
from engine import redis_image
from harness import REPOSITORY, environment, free_port, gateway, run, wait_for

RECIPES = REPOSITORY / "examples" / "testcontainers"
COMPOSE = REPOSITORY / "deploy" / "compose"
DOCUMENT = (REPOSITORY / "docs" / "sandbox.md").read_text()
# Downloads included, on a machine that has nothing yet.
BUILD_LIMIT = 600
# How each is run in its folder, and how it says that both tests have passed.
COMMANDS = {
    "go": ("buf generate ../../.. && go test -v ./...", r"(--- PASS: Test\w+ [^\n]*\n.*){2}"),
    "java": ("mvn --batch-mode test", r"Tests run: 2, Failures: 0, Errors: 0, Skipped: 0"),
    "python": ("pytest -p no:cacheprovider", r"= 2 passed"),
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with started(tmp_path_factory.mktemp("engine")) as variables:
        yield variables


@pytest.fixture(scope="module")
def named_image() -> Iterator[str]:
    """The image under test, under a name: its id alone is none that could be pulled."""
    name = f"localhost/identity-gateway-of-tests:{uuid.uuid4()}"
    assert podman("tag", image(), name).returncode == 0
    yield name
    podman("untag", image(), name)


def left_behind(name: str) -> list[str]:
    """The containers of an image that are still there."""
    return podman("ps", "--all", "--quiet", "--filter", f"ancestor={name}").stdout.split()


# --- Testcontainers ---


@pytest.fixture(scope="module")
def recipes(engine: dict[str, str], named_image: str) -> Iterator[dict[str, subprocess.Popen]]:
    """All of them, begun at once: each waits for the network most of the time."""
    python = f"{Path(sys.executable).parent}:{environment()['PATH']}"
    variables = environment(**engine, GATEWAY_IMAGE=named_image, PATH=python)
    begun = {
        name: subprocess.Popen(
            ["bash", "-c", command], cwd=RECIPES / name, env=variables, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for name, (command, _) in COMMANDS.items()
    }
    yield begun
    for process in begun.values():
        process.kill()
        process.wait()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_recipe_for_testcontainers_passes(name: str, recipes: dict[str, subprocess.Popen]):
    said, _ = recipes[name].communicate(timeout=BUILD_LIMIT)
    command, passed = COMMANDS[name]
    assert recipes[name].returncode == 0 and re.search(passed, said, re.DOTALL), said[-6000:]
    assert f"`{command}`" in DOCUMENT and f"examples/testcontainers/{name}" in DOCUMENT


def test_the_recipes_leave_no_container_behind(recipes: dict[str, subprocess.Popen], named_image: str):
    assert all(process.wait(timeout=BUILD_LIMIT) == 0 for process in recipes.values())
    assert left_behind(named_image) == []


# --- Compose ---


@dataclass
class Composed:
    """What the compose file has started, with every profile."""

    project: str
    folder: Path
    ports: dict[str, int]

    def call(self, port: str, method: str, **request: object) -> dict:
        called = gateway("call", method, json.dumps(request), "--address", f"127.0.0.1:{self.ports[port]}")
        assert called.returncode == 0, called.stderr
        return json.loads(called.stdout)

    def ledger(self, port: str, provider: str) -> dict:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[port]}/_sandbox/ledger", timeout=10) as answer:
            return json.load(answer)[provider]


PORTS = [
    "GATEWAY_PORT", "SANDBOX_PORT", "ADMIN_PORT",
    "REPLICA_1_PORT", "REPLICA_1_SANDBOX_PORT", "REPLICA_2_PORT", "REPLICA_2_SANDBOX_PORT",
]


@pytest.fixture(scope="module")
def composed(engine: dict[str, str], named_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    folder = tmp_path_factory.mktemp("compose") / "compose"
    shutil.copytree(COMPOSE, folder)
    ports = {name: free_port() for name in PORTS}
    project = f"idgw-{uuid.uuid4().hex[:8]}"
    images = {"GATEWAY_IMAGE": named_image, "REDIS_IMAGE": redis_image(tmp_path_factory.mktemp("redis"))}
    variables = engine | images | {name: str(port) for name, port in ports.items()}

    def compose(*words: str) -> None:
        program = Path(sys.executable).parent / "podman-compose"
        done = run(program, "--file", folder / "compose.yaml", "--project-name", project, "--profile", "replicas", *words, **variables)
        assert done.returncode == 0, done.stderr

    try:
        compose("up", "--detach")
        yield Composed(project, folder, ports)
    finally:
        compose("down", "--timeout", "1")
        podman("rmi", images["REDIS_IMAGE"])
    assert left_behind(named_image) == []


def test_what_is_composed_becomes_healthy_by_its_own_command(composed: Composed):
    """systemd runs the checks by the clock, which is not here; Docker does by itself."""
    for service in ("gateway", "replica-1", "replica-2", "redis"):
        name = f"{composed.project}_{service}_1"
        wait_for(f"{service} to be healthy", lambda: podman("healthcheck", "run", name).returncode == 0 or None)
    described = json.loads(podman("container", "inspect", f"{composed.project}_gateway_1").stdout)[0]
    assert described["Config"]["Healthcheck"]["Test"] == ["CMD", "/identity-gateway", "health"]


def test_people_of_ours_are_served_and_changed_while_it_runs(composed: Composed):
    wait_for("the gateway", lambda: podman("healthcheck", "run", f"{composed.project}_gateway_1").returncode == 0 or None)
    before = composed.ledger("SANDBOX_PORT", "accuauth")["billed"]
    assert composed.call("GATEWAY_PORT", "CheckCurp", curp="GORE561231MDFDZL09")["record"]["given_name"] == "ELENA"
    assert composed.ledger("SANDBOX_PORT", "accuauth")["billed"] == before + 1

    # As an editor does it: a new file in the old one's place.
    fixtures = composed.folder / "fixtures" / "fixtures.toml"
    changed = fixtures.with_suffix(".new")
    changed.write_text(fixtures.read_text().replace("ELENA", "LUCIA"))
    changed.rename(fixtures)

    def renamed() -> bool | None:
        answer = composed.call("GATEWAY_PORT", "CheckCurp", curp="GORE561231MDFDZL09")
        return answer["record"]["given_name"] == "LUCIA" or None

    wait_for("the changed fixtures", renamed)


def test_replicas_share_through_redis_what_was_paid_for(composed: Composed):
    again = {"id": "1234567", "id_type": "KENYA_ID_TYPE_NATIONAL_ID", "subject_consent": True, "request_id": str(uuid.uuid4())}

    def asked(port: str) -> dict | None:
        try:
            return composed.call(port, "ScrubKenyaId", **again)
        except AssertionError as not_yet:
            # Where the way to Redis is not there yet nothing is asked, and nothing is paid for.
            assert "REQUEST_ID_UNAVAILABLE" in str(not_yet) or "refused" in str(not_yet)
            return None

    first = wait_for("an answer", lambda: asked("REPLICA_1_PORT"))
    second = wait_for("the same at the other replica", lambda: asked("REPLICA_2_PORT"))
    assert first["record"] == second["record"]
    assert second["verification"]["source"] == "SOURCE_RECOVERED"
    billed = [composed.ledger(f"REPLICA_{number}_SANDBOX_PORT", "youverify")["received"] for number in (1, 2)]
    assert billed == [1, 0]


def test_docker_composes_own_reader_takes_the_file(tmp_path: Path):
    """podman-compose takes much; the library that `docker compose` reads files with holds them to their schema."""
    # Read outside this repository: nothing of this machine stands in for what the file lacks.
    reader = REPOSITORY / "tests" / "system" / "compose"
    program = tmp_path / "reader"
    built = subprocess.run(
        ["go", "build", "-o", program, "github.com/compose-spec/compose-go/v2/cmd"],
        cwd=reader, capture_output=True, text=True, timeout=BUILD_LIMIT, env=environment(),
    )
    assert built.returncode == 0, built.stderr
    shutil.copytree(COMPOSE, tmp_path / "compose")
    taken = run(program, tmp_path / "compose" / "compose.yaml")
    assert taken.returncode == 0 and "/identity-gateway" in taken.stdout, taken.stderr
    wrong = tmp_path / "compose" / "wrong.yaml"
    wrong.write_text((COMPOSE / "compose.yaml").read_text().replace("healthcheck:", "healthchek:"))
    assert run(program, wrong).returncode != 0


# --- What both are told by default ---

IMAGES = {
    "deploy/compose/compose.yaml": r"image: \$\{GATEWAY_IMAGE:-(\S+)\}",
    "docs/sandbox.md": r"`GATEWAY_IMAGE` names the image \(default\s+`(\S+)`",
    "examples/testcontainers/go/sandbox_test.go": r'"GATEWAY_IMAGE"\), "(\S+)"',
    "examples/testcontainers/java/src/test/java/example/SandboxTest.java": r'"GATEWAY_IMAGE", "(\S+)"',
    "examples/testcontainers/python/test_sandbox.py": r'"GATEWAY_IMAGE", "(\S+)"',
}


def test_the_image_is_that_of_this_version_unless_another_is_named():
    version = gateway("--version").stdout.split()[1]
    found = {file: re.findall(pattern, (REPOSITORY / file).read_text()) for file, pattern in IMAGES.items()}
    assert found == dict.fromkeys(IMAGES, [f"localhost/identity-gateway:{version}"])
    assert f"/identity-gateway:{version} docker compose" in DOCUMENT


def test_the_composed_redis_has_a_whole_version():
    assert re.search(r"redis:\d+\.\d+\.\d+-alpine\}$", (COMPOSE / "compose.yaml").read_text(), re.MULTILINE)


# --- What people meet ---


def test_fixtures_that_the_images_user_cannot_read_are_named_with_that_user(tmp_path: Path):
    fixtures = tmp_path / "fixtures.toml"
    fixtures.write_text("seed = 1\n")
    fixtures.chmod(0o600)
    options = ("--network=none", f"--volume={fixtures}:/fixtures.toml:ro")
    settings = {"IDGW_AUTH__MODE": "none", "IDGW_SANDBOX__FIXTURES": "/fixtures.toml"}
    with Container("serve", "--sandbox", options=options, **settings) as refused:
        assert refused.wait() == 64
        problem = "sandbox.fixtures (from IDGW_SANDBOX__FIXTURES): cannot be read by user 65532: Permission denied"
        assert problem in refused.output() and problem in " ".join(DOCUMENT.split())
    fixtures.chmod(0o644)
    with Container("serve", "--sandbox", options=options, **settings) as served:
        served.serving()


def test_without_a_mode_a_container_says_which_variable_is_missing():
    with Container("serve", "--sandbox", options=("--network=none",)) as refused:
        assert refused.wait() == 64
        assert "auth.mode: is required (IDGW_AUTH__MODE)" in refused.output()
