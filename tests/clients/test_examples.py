"""Every language's example builds, runs against the sandbox and prints what docs/clients.md shows."""

import re
import shutil
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from builds import LANGUAGES, Build, run
from harness import REPOSITORY, Gateway, wait_for

DOCUMENT = (REPOSITORY / "docs" / "clients.md").read_text()
# The parent that docs/clients.md starts the examples with.
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
# What the gateway must have been asked: calls by RPC and code. GetPerson is repeated by the service config.
CALLS = {
    ("CheckCurp", "OK"): 1,
    ("ScrubKenyaId", "OK"): 1,
    ("VerifyPeForeignerId", "INVALID_ARGUMENT"): 1,
    ("ScrubKenyaId", "FAILED_PRECONDITION"): 1,
    ("CheckCurp", "UNAVAILABLE"): 1,
    ("ScrubKenyaId", "DEADLINE_EXCEEDED"): 1,
    ("CreatePerson", "OK"): 2,
    ("GetPerson", "OK"): 1,
    ("GetPerson", "UNAVAILABLE"): 3,
    ("CheckCurp", "RESOURCE_EXHAUSTED"): 1,
}
SERVICE_CONFIG = REPOSITORY / "deploy" / "client" / "service-config.json"
TOKEN = "a-token-of-the-tests"

language = pytest.mark.parametrize("name", LANGUAGES)


def shown() -> str:
    """What docs/clients.md says that each example prints."""
    found = re.search(r"^<!-- output -->\n```text\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert found, "docs/clients.md does not show what the examples print"
    return found[1]


@language
def test_the_document_says_how_to_build_and_start_it(name: str):
    example = LANGUAGES[name]
    row = next(line for line in DOCUMENT.splitlines() if f"[examples/{name}]" in line)
    # The tests use their own Python, which has the requirements already.
    build, start = (re.sub(r"/\S+/python\S*", "python", words) for words in (example.build, example.start))
    assert build in row and start in row


@language
def test_it_prints_what_is_documented_and_asks_what_it_says(name: str, builds: dict[str, Build], gateway: Gateway):
    example = builds[name].finished()
    done = run(example, GATEWAY_ADDRESS=gateway.address, TRACEPARENT=TRACEPARENT)
    assert (done.stdout, done.returncode) == (shown(), 0), done.stderr

    gateway.terminate()
    gateway.wait()
    calls = gateway.log("call")
    asked = Counter((call["rpc"].rpartition("/")[2], call["code"]) for call in calls)
    assert asked == CALLS
    assert {call["trace_id"] for call in calls} == {TRACE}, "trace context has not arrived"


@language
def test_it_sends_its_token_over_tls(name: str, builds: dict[str, Build], tls: "TlsFront"):
    example = builds[name].finished()
    settings = {"GATEWAY_ADDRESS": tls.address, "GATEWAY_CA_FILE": str(tls.authority), "TRACEPARENT": TRACEPARENT}

    done = run(example, **settings, GATEWAY_TOKEN_FILE=str(tls.token))
    assert (done.stdout, done.returncode) == (shown(), 0), done.stderr

    refused = run(example, **settings)
    assert refused.returncode != 0, "without a token it was served"


@language
def test_it_does_not_trust_a_stranger(name: str, builds: dict[str, Build], tls: "TlsFront", tmp_path: Path):
    example = builds[name].finished()
    stranger = make_authority(tmp_path, "stranger")
    # Calls that wait for a connection would wait until their deadlines.
    hasty = tmp_path / "service-config.json"
    hasty.write_text(SERVICE_CONFIG.read_text().replace('"waitForReady": true', '"waitForReady": false'))
    done = run(
        example,
        GATEWAY_ADDRESS=tls.address,
        GATEWAY_CA_FILE=str(stranger),
        GATEWAY_TOKEN_FILE=str(tls.token),
        GATEWAY_SERVICE_CONFIG=str(hasty),
    )
    assert done.returncode != 0
    assert "found:" not in done.stdout


@language
def test_it_sends_no_token_in_the_clear(name: str, builds: dict[str, Build], gateway: Gateway, tmp_path: Path):
    example = builds[name].finished()
    (tmp_path / "token").write_text(TOKEN)
    done = run(example, GATEWAY_ADDRESS=gateway.address, GATEWAY_TOKEN_FILE=str(tmp_path / "token"))
    assert done.returncode != 0
    assert "a token is not sent in the clear" in done.stderr
    assert gateway.log("call") == []


class TlsFront:
    """An address that speaks TLS and wants the token, with a gateway and its sandbox behind it."""

    def __init__(self, address: str, authority: Path, token: Path):
        self.address, self.authority, self.token = address, authority, token


@pytest.fixture
def tls(gateway: Gateway, tmp_path: Path) -> Iterator[TlsFront]:
    """Envoy in front of a gateway: it ends TLS and lets nobody pass without the token."""
    authority = make_authority(tmp_path, "authority")
    make_certificate(tmp_path)
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = (Path(__file__).parent / "envoy.yaml").read_text()
    for word, value in {
        "FRONT_PORT": str(port),
        "GATEWAY_PORT": gateway.address.rpartition(":")[2],
        "CERTIFICATE": str(tmp_path / "server.pem"),
        "PRIVATE_KEY": str(tmp_path / "server.key"),
        "TOKEN": TOKEN,
    }.items():
        config = config.replace(f"${{{word}}}", value)
    (tmp_path / "envoy.yaml").write_text(config)
    log = (tmp_path / "envoy.log").open("w")
    command = ["envoy", "--config-path", str(tmp_path / "envoy.yaml"), "--use-dynamic-base-id", "--concurrency", "1"]
    envoy = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    try:

        def listening() -> bool | None:
            assert envoy.poll() is None, (tmp_path / "envoy.log").read_text()[-4000:]
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0 or None

        wait_for("Envoy", listening)
        yield TlsFront(f"localhost:{port}", authority, token)
    finally:
        envoy.kill()
        envoy.wait()


def openssl(*words: str, folder: Path) -> None:
    program = shutil.which("openssl")
    assert program, "openssl is not on the PATH: run .ci/setup-tools"
    subprocess.run([program, *words], cwd=folder, check=True, capture_output=True)


def make_authority(folder: Path, name: str) -> Path:
    """A certificate authority of its own; the file with its certificate."""
    openssl(
        *f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={name}".split(),
        *f"-keyout {name}.key -out {name}.pem".split(),
        folder=folder,
    )
    return folder / f"{name}.pem"


def make_certificate(folder: Path) -> None:
    """server.pem and server.key for localhost, signed by `authority`."""
    (folder / "server.ext").write_text(
        "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n"
    )
    openssl(
        *"req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost".split(),
        *"-keyout server.key -out server.csr".split(),
        folder=folder,
    )
    openssl(
        *"x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2".split(),
        *"-extfile server.ext -out server.pem".split(),
        folder=folder,
    )
