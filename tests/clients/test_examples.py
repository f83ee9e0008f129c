"""Every language's example builds on the package, runs against the sandbox and prints what docs/clients.md shows."""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from builds import LANGUAGES, Build, run
from certificates import Authority
from harness import REPOSITORY, Gateway, Sandbox
from mesh import Envoy
from wire import Wire

DOCUMENT = (REPOSITORY / "docs" / "clients.md").read_text()
# The parent that docs/clients.md starts the examples with.
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
# What the gateway must have been asked: calls by RPC and code. GetPerson is repeated by the service config.
CALLS = {
    ("CheckCurp", "OK"): 1,
    ("ScrubKenyaId", "OK"): 2,
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
# For callers that set a request_id on every lookup, as the examples do.
WITH_REQUEST_IDS = SERVICE_CONFIG.with_name("service-config.request-id.json")
# What YouVerify is asked for: a number that nobody has, and the slow one, once.
KENYAN_LOOKUPS = 2
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
    assert f"`{example.build.replace(sys.executable, 'python')}`" in row and f"`{example.start}`" in row


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
@pytest.mark.parametrize(
    ("service_config", "lag"),
    [(SERVICE_CONFIG, 0.0), (SERVICE_CONFIG, 0.3), (WITH_REQUEST_IDS, 0.0)],
    ids=["told by the gateway", "told by the library's own clock", "service config for request ids"],
)
def test_a_lookup_that_came_too_late_is_paid_for_once(
    name: str,
    service_config: Path,
    lag: float,
    builds: dict[str, Build],
    gateway_of: Gateway,
    sandbox: Sandbox,
    tmp_path: Path,
):
    """With a lag the gateway's DEADLINE_EXCEEDED, and `recoverable_until` with it, arrives after the deadline."""
    example = builds[name].finished()
    with Wire(gateway_of.address, lag) as wire:
        settings = {"GATEWAY_ADDRESS": wire.address, "GATEWAY_SERVICE_CONFIG": impatient(tmp_path, service_config)}
        done = run(example, **settings, TRACEPARENT=TRACEPARENT)
    assert (done.stdout, done.returncode) == (shown(), 0), done.stderr
    assert sandbox.ledger()["youverify"]["received"] == KENYAN_LOOKUPS


@language
def test_it_gives_up_when_the_provider_has_not_answered(
    name: str, builds: dict[str, Build], at_the_sandbox: dict[str, str], sandbox: Sandbox
):
    """That is DEADLINE_EXCEEDED, too, but the provider's time has passed and not the call's."""
    example = builds[name].finished()
    with Gateway(flags=(), **at_the_sandbox, IDGW_PROVIDERS__YOUVERIFY__TIMEOUT="500ms") as gateway:
        done = run(example, GATEWAY_ADDRESS=gateway.address)
        assert done.returncode != 0 and "too slow" not in done.stdout
        gateway.terminate()
        gateway.wait()
        codes = [call["code"] for call in gateway.log("call") if call["rpc"].endswith("/ScrubKenyaId")]
    assert codes == ["OK", "FAILED_PRECONDITION", "DEADLINE_EXCEEDED"]
    assert sandbox.ledger()["youverify"]["received"] == KENYAN_LOOKUPS


@language
def test_it_speaks_tls_with_the_gateway(name: str, builds: dict[str, Build], tmp_path: Path):
    example = builds[name].finished()
    authority = Authority(tmp_path / "authority")
    server = authority.issue("server", "DNS:localhost")
    tls = {"IDGW_SERVER__TLS__CERT_FILE": str(server.certificate), "IDGW_SERVER__TLS__KEY_FILE": str(server.key)}
    with Gateway(**tls) as gateway:
        settings = {
            "GATEWAY_ADDRESS": f"localhost:{gateway.address.rpartition(':')[2]}",
            "GATEWAY_CA_FILE": str(authority.certificate),
            "GATEWAY_SERVICE_CONFIG": impatient(tmp_path),
            "TRACEPARENT": TRACEPARENT,
        }
        done = run(example, **settings)
    assert (done.stdout, done.returncode) == (shown(), 0), done.stderr


@language
def test_it_sends_its_token_over_tls(name: str, builds: dict[str, Build], tls: "TlsFront", tmp_path: Path):
    example = builds[name].finished()
    settings = {
        "GATEWAY_ADDRESS": tls.address,
        "GATEWAY_CA_FILE": str(tls.authority),
        "GATEWAY_SERVICE_CONFIG": impatient(tmp_path),
        "TRACEPARENT": TRACEPARENT,
    }

    done = run(example, **settings, GATEWAY_TOKEN_FILE=str(tls.token))
    assert (done.stdout, done.returncode) == (shown(), 0), done.stderr

    refused = run(example, **settings)
    assert refused.returncode != 0, "without a token it was served"


@language
def test_it_does_not_trust_a_stranger(name: str, builds: dict[str, Build], tls: "TlsFront", tmp_path: Path):
    example = builds[name].finished()
    stranger = Authority(tmp_path / "stranger").certificate
    # Calls that wait for a connection would wait until their deadlines.
    hasty = altered(tmp_path, '"waitForReady": true', '"waitForReady": false')
    done = run(
        example,
        GATEWAY_ADDRESS=tls.address,
        GATEWAY_CA_FILE=str(stranger),
        GATEWAY_TOKEN_FILE=str(tls.token),
        GATEWAY_SERVICE_CONFIG=hasty,
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


def altered(folder: Path, words: str, others: str, service_config: Path = SERVICE_CONFIG) -> str:
    """A file with the shipped service config, but for some words."""
    config = service_config.read_text()
    assert words in config
    (folder / "service-config.json").write_text(config.replace(words, others))
    return str(folder / "service-config.json")


def impatient(folder: Path, service_config: Path = SERVICE_CONFIG) -> str:
    """The service config without the seconds before a repeat, where they are not what is tested."""
    return altered(folder, '"initialBackoff": "1s"', '"initialBackoff": "0.01s"', service_config)


@dataclass
class TlsFront:
    """An address that speaks TLS and wants the token, with a gateway and its sandbox behind it."""

    address: str
    authority: Path
    token: Path


@pytest.fixture
def tls(gateway: Gateway, tmp_path: Path) -> Iterator[TlsFront]:
    """Envoy in front of a gateway: it ends TLS and lets nobody pass without the token."""
    authority = Authority(tmp_path / "authority")
    server = authority.issue("server", "DNS:localhost")
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    config = (Path(__file__).parent / "envoy.yaml").read_text()
    for word, value in {
        "GATEWAY_PORT": gateway.address.rpartition(":")[2],
        "CERTIFICATE": str(server.certificate),
        "PRIVATE_KEY": str(server.key),
        "TOKEN": TOKEN,
    }.items():
        config = config.replace(f"${{{word}}}", value)
    envoy = Envoy(tmp_path / "envoy", yaml.safe_load(config))
    try:
        yield TlsFront(f"localhost:{envoy.address.rpartition(':')[2]}", authority.certificate, token)
    finally:
        envoy.kill()
