"""The line that `serve` prints works, ends are as quick as they may be, and open set-ups are warned of."""

import os
import pty
import re
import secrets
import shlex
import signal
import subprocess
import time
import urllib.request

import pytest

from harness import BINARY, REPOSITORY, Gateway, Program, Sandbox, environment, gateway, run

POLICY = '[[allow]]\nname = "all"\nidentities = ["*"]\nrpcs = ["*"]\npersons = "all"\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A key, certificates and a policy that allows everybody who is known."""
    folder = tmp_path_factory.mktemp("look-in")
    (folder / "policy.toml").write_text(POLICY)
    (folder / "token").write_text(secrets.token_urlsafe(33))
    digest = run("sha256sum", folder / "token").stdout.split()[0]
    (folder / "keys").write_text(f"somebody {digest}\n")
    new = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    leaf = f"{new} -CA ca.crt -CAkey ca.key -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS"
    made = run("bash", "-c", f"""cd {folder} &&
        {new} -subj /CN=ca -keyout ca.key -out ca.crt &&
        {leaf}:gateway.example -subj /CN=gateway -keyout gateway.key -out gateway.crt &&
        {leaf}:caller.example -subj /CN=caller -keyout caller.key -out caller.crt""")
    assert made.returncode == 0, made.stderr
    return folder


KEYS = {"IDGW_AUTH__MODE": "keys", "IDGW_AUTH__KEYS__FILE": "keys", "IDGW_AUTH__POLICY_FILE": "policy.toml"}
TLS = {"IDGW_SERVER__TLS__CERT_FILE": "gateway.crt", "IDGW_SERVER__TLS__KEY_FILE": "gateway.key"}
MUTUAL = TLS | {"IDGW_SERVER__TLS__CLIENT_CA_FILE": "ca.crt", "IDGW_SERVER__TLS__CLIENT_AUTH": "required"}
SETUPS = {
    "loopback": {},
    "every address": {"IDGW_SERVER__LISTEN": "0.0.0.0:0", "IDGW_AUTH__MODE": "none"},
    "every address of both families": {"IDGW_SERVER__LISTEN": "[::]:0", "IDGW_AUTH__MODE": "none"},
    "no reflection": {"IDGW_SERVER__REFLECTION": "false"},
    "keys": KEYS,
    "keys over TLS": KEYS | TLS,
    "client certificates": MUTUAL | {"IDGW_AUTH__MODE": "mtls", "IDGW_AUTH__POLICY_FILE": "policy.toml"},
    "keys over mutual TLS": MUTUAL | KEYS,
    "mesh": {
        "IDGW_AUTH__MODE": "mesh", "IDGW_AUTH__MESH__PEERS": "127.0.0.6", "IDGW_AUTH__MESH__HEADERS": "l5d-client-id",
        "IDGW_AUTH__POLICY_FILE": "policy.toml",
    },
}


@pytest.mark.parametrize("setup", SETUPS)
def test_the_line_that_serve_prints_works(setup, folder):
    settings = {
        name: str(folder / value) if name.endswith("_FILE") else value for name, value in SETUPS[setup].items()
    }
    with Gateway(**settings) as serving:
        line = serving.log("serving")[0]["look_in"]
        assert "0.0.0.0" not in line and "[::]" not in line
        words = [str(folder / word) if word in ("caller.crt", "caller.key") else word for word in shlex.split(line)]
        # As it stands there: whoever builds from source has the program on no path.
        seen = run(*words, TOKEN=(folder / "token").read_text())
        assert seen.returncode == 0, (line, seen.stderr)
        assert "SERVING" in seen.stdout or "IdentityService/CheckCurp" in seen.stdout


def test_the_sandbox_s_own_port_is_said():
    with Gateway() as serving:
        address = serving.log("serving")[0]["sandbox"]
        with urllib.request.urlopen(f"http://{address}/_sandbox/ledger", timeout=10) as answer:
            assert answer.status == 200


@pytest.mark.parametrize("start", [lambda: Gateway(), lambda: Sandbox()], ids=["serve", "sandbox"])
def test_ctrl_c_ends_a_sandbox_at_once(start):
    """Not after three seconds of lame duck, and not when the last call has ended."""
    with start() as program:
        begun = time.monotonic()
        program.terminate(signal.SIGINT)
        assert program.wait() == 0
        assert time.monotonic() - begun < 2


def test_sigterm_still_begins_with_the_lame_duck():
    with Gateway(IDGW_SERVER__LAME_DUCK="500ms") as program:
        begun = time.monotonic()
        program.terminate(signal.SIGTERM)
        assert program.wait() == 0
        assert time.monotonic() - begun >= 0.5
        assert program.log("lame duck: health is NOT_SERVING, new calls are still accepted")


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "service"])
def test_ctrl_c_on_a_terminal_waits_for_nobody_to_look_elsewhere(terminal):
    """A supervisor that sends SIGINT gets what SIGTERM gets."""
    upper, lower = pty.openpty()
    variables = environment(
        IDGW_AUTH__MODE="none", IDGW_LOG__FORMAT="json", IDGW_SERVER__LAME_DUCK="500ms",
        IDGW_SERVER__LISTEN="127.0.0.1:0", IDGW_ADMIN__LISTEN="127.0.0.1:0",
    )
    with subprocess.Popen(
        [BINARY, "serve"], stdin=lower if terminal else subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, env=variables, cwd=REPOSITORY,
    ) as process:
        assert process.stdout is not None
        seen = ""
        while '"serving"' not in seen:
            seen += process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait() == 0
    os.close(upper)
    os.close(lower)
    assert ("lame duck" in rest) != terminal, rest
    assert "draining" in rest


def test_an_open_set_up_is_warned_of_by_name_at_start_and_by_check_config():
    settings = {
        "IDGW_AUTH__MODE": "none", "IDGW_SERVER__LISTEN": "0.0.0.0:0", "IDGW_ADMIN__LISTEN": "0.0.0.0:0",
        # Not signed by anybody, and expired in 2001.
        "IDGW_PROVIDERS__VERIFIK__TOKEN": "e30.eyJleHAiOjEwMDAwMDAwMDB9.c2ln",
    }
    wanted = ["open_to_all", "admin_open", "token_expired"]
    with Program("serve", **settings) as program:
        program.wait_for_log("serving")
        warned = program.log("set-up")
        assert [line["warning"] for line in warned] == wanted
        assert all(line["level"] == "WARN" and line["key"] and line["problem"] for line in warned)
        assert "eyJleHAi" not in program.output()
    checked = gateway("check-config", **settings)
    assert checked.returncode == 0
    assert re.findall(r"\((\w+)\)$", checked.stderr, re.MULTILINE) == wanted
    assert "eyJleHAi" not in checked.stderr
    quiet = gateway("check-config", "--quiet", **settings)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


def test_the_admin_port_lists_its_paths_for_whoever_is_no_browser():
    with Gateway() as serving:
        with urllib.request.urlopen(f"http://{serving.admin}/", timeout=10) as answer:
            page = answer.read().decode()
        assert answer.headers.get_content_type() == "text/plain"
        for path in ("/livez", "/readyz", "/metrics", "/log", "/runbook"):
            assert path in page
        browser = urllib.request.Request(f"http://{serving.admin}/", headers={"accept": "text/html"})
        with urllib.request.urlopen(browser, timeout=10) as answer:
            assert answer.headers.get_content_type() == "text/html"


def test_the_version_names_its_commit():
    version = gateway("--version").stdout
    assert re.fullmatch(r"identity-gateway \d+\.\d+\.\d+ \(commit ([0-9a-f]{40}(-dirty)?(, working tree)?|unknown)\)\n", version)


@pytest.mark.parametrize("shell", ["elvish", "powershell"])
def test_a_shell_is_told_what_can_be_completed(shell):
    """The others ask the program: test_completions.py."""
    script = gateway("completions", shell)
    assert script.returncode == 0 and "check-config" in script.stdout and "identity-gateway" in script.stdout
