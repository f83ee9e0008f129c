"""Tab, pressed in the real shells: commands, options, methods, and what a request may go on with."""

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import BINARY, REPOSITORY, Gateway, free_port, gateway, wait_for
from terminal import Terminal

PROMPT = "READY> "
EMPTY = '{"curp": "", "include_document": false, "request_id": ""}'
SHELLS = {
    "bash": ("bash", "--norc", "--noprofile", "-i"),
    "zsh": ("zsh", "-f", "-i"),
    "fish": ("fish", "--no-config", "-i", "--features", "no-query-term"),
}
# As docs/call.md says.
READ = {
    "bash": "source <(identity-gateway completions bash)",
    "zsh": "source <(identity-gateway completions zsh)",
    "fish": "identity-gateway completions fish | source",
}
# What each of them reads before.
SETUP = {
    "bash": "PS1='PROMPT'; bind 'set bell-style none'; bind 'set enable-bracketed-paste off'",
    "zsh": "unsetopt zle_bracketed_paste PROMPT_SP; PS1='PROMPT'; autoload -Uz compinit && compinit -u -D",
    "fish": "function fish_prompt; echo -n 'PROMPT'; end; function fish_right_prompt; end; set -g fish_autosuggestion_enabled 0",
}


class Shell(Terminal):
    """An interactive shell with the completions of the program, which is on its PATH and writes down its arguments."""

    def __init__(self, name: str, folder: Path):
        self.name, self.folder = name, folder
        (folder / "bin").mkdir()
        (folder / "home").mkdir()
        program = folder / "bin" / "identity-gateway"
        # The line that is entered is looked at: what the shell makes of it is what counts.
        program.write_text(
            f"#!/bin/bash\n[ \"$1\" = completions ] && exec {BINARY} \"$@\"\nprintf '%s\\0' \"$@\" > {folder}/entered.new\n"
            f"mv {folder}/entered.new {folder}/entered\n"
        )
        program.chmod(0o755)
        path = f"{folder / 'bin'}:/usr/local/bin:/usr/bin:/bin"
        home = str(folder / "home")
        super().__init__(*SHELLS[name], cwd=folder, PATH=path, HOME=home, LC_ALL="C.UTF-8", XDG_CONFIG_HOME=home, XDG_DATA_HOME=home)
        # The prompt is not to be found where it is only typed.
        setup = SETUP[name].replace("PROMPT", PROMPT.replace("D", "D''"))
        self.type(f"{setup}; {READ[name]}\n")
        self.wait_for(PROMPT)

    def enter(self, typed: str) -> list[str]:
        """Types a line with its Tabs, and enters it; the arguments that the program got."""
        entered = self.folder / "entered"
        entered.unlink(missing_ok=True)
        since = len(self.raw)
        # Tab by Tab, as a person would: zsh takes what is typed at once for pasted.
        for part in re.split(r"(?<=\t)", typed + "\n"):
            self.type(part)
            self.read(0.1)

        def is_entered() -> bool | None:
            self.read()
            return entered.exists() or None

        try:
            wait_for(f"the program behind {typed!r}", is_entered)
        except AssertionError as late:
            raise AssertionError(f"{late}: {self.raw[since:]!r}") from None
        self.wait_for(PROMPT, since)
        return entered.read_text().split("\0")[:-1]


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shell]:
    with Shell(request.param, tmp_path) as shell:
        yield shell


@pytest.mark.parametrize("name", READ)
def test_the_document_says_what_the_shell_reads(name: str):
    assert READ[name] in (REPOSITORY / "docs" / "call.md").read_text()


def test_commands_options_and_methods_are_completed(shell: Shell):
    for typed, entered in {
        "identity-gateway check-c\t": ["check-config"],
        "identity-gateway call --tls-n\t": ["call", "--tls-name"],
        # bash breaks words at colons and equals signs.
        "identity-gateway call --address 127.0.0.1:50051 CheckC\t": ["call", "--address", "127.0.0.1:50051", "CheckCurp"],
        "identity-gateway call --format=js\t": ["call", "--format=json"],
        "identity-gateway call idgw.identity.v1.IdentityService/Chec\t": ["call", "idgw.identity.v1.IdentityService/CheckCurp"],
        "identity-gateway call --list idgw.p\t": ["call", "--list", "idgw.person.v1.PersonService"],
        "identity-gateway call describe idgw.identity.v1.Outc\t": ["call", "describe", "idgw.identity.v1.Outcome"],
    }.items():
        assert shell.enter(typed) == entered, typed


def test_what_can_stand_there_is_listed_and_options_only_behind_a_dash(shell: Shell):
    # bash goes on as far as all agree, and shows them at the second Tab that changes nothing.
    shell.type("identity-gateway call Verify\t\t\t")
    # In an order of the shell's own.
    shell.wait_for("VerifyPeForeignerId")
    listed = shell.wait_for("VerifyPeDni")
    assert "--tls" not in listed


def test_an_empty_request_becomes_one_with_every_field(shell: Shell):
    assert shell.enter("identity-gateway call CheckCurp '\t") == ["call", "CheckCurp", EMPTY]
    # Without a quote the shell, or the script for it, sees to it that it stays one word.
    assert shell.enter("identity-gateway call CheckCurp \t") == ["call", "CheckCurp", EMPTY]


def test_a_request_is_written_by_tab(shell: Shell):
    """Each Tab goes on from what was typed; the line that is entered is a request that works."""
    typed = {
        # fish ends quote and word behind all but a few characters: it is given no more than can stand before one.
        "fish": """'{"id_t\t "KENYA_ID_TYPE_P\t "subj\t tru\t "id": "SBX000001"}'""",
    }.get(shell.name, """'{"id_t\tKENYA_ID_TYPE_P\t, "subj\ttru\t, "id": "SBX000001"}'""")
    [_, method, request] = shell.enter(f"identity-gateway call ScrubKenyaId {typed}")
    assert method == "ScrubKenyaId"
    assert json.loads(request) == {"id_type": "KENYA_ID_TYPE_PASSPORT", "subject_consent": True, "id": "SBX000001"}


def test_the_request_that_was_completed_is_the_one_that_is_sent(tmp_path: Path, shared_gateway: Gateway):
    """The whole way in one shell, with the program itself behind the name."""
    with Shell("bash", tmp_path) as shell:
        (tmp_path / "bin" / "identity-gateway").unlink()
        (tmp_path / "bin" / "identity-gateway").symlink_to(BINARY)
        address = shared_gateway.address
        shell.type(f"""identity-gateway call --address {address} CheckC\t'{{"cu\tRAZR811011HVZXPB01"}}'\n""")
        assert "RAZR811011HVZXPB01" in shell.wait_for('"billing": "BILLING_BILLED"')


def test_the_request_that_is_offered_for_an_empty_one_asks_no_provider():
    """Whoever presses Tab and Enter pays for nothing. Who lists persons names none of them."""
    def told(line: str) -> list[str]:
        return gateway("completions", "bash", "--line", f"identity-gateway {line}").stdout.splitlines()

    methods = [method.strip() for method in told("call ")]
    assert len(methods) == 10
    listen = f"127.0.0.1:{free_port()}"
    with Gateway(IDGW_SANDBOX__LISTEN=listen) as asked:
        for method in methods:
            [empty] = told(f"call {method} '")
            called = gateway("call", method, empty, "--address", asked.address)
            if method == "ListPersons":
                assert called.returncode == 0, called.stderr
            else:
                assert called.stderr.startswith("error: INVALID_ARGUMENT INVALID_FIELD\n"), (method, empty)
        with urllib.request.urlopen(f"http://{listen}/_sandbox/ledger", timeout=10) as answer:
            received = {name: counts["received"] for name, counts in json.load(answer).items()}
    assert received == {"verifik": 1, "youverify": 0, "accuauth": 0}
