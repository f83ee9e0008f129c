"""What a person at a terminal gets beyond the words: colours, and how far something is. Nobody else gets any of it."""

import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import BINARY, Gateway, gateway
from terminal import Terminal, colours, plain

LOOKUP = ("call", "CheckCurp", '{"curp":"RAZR811011HVZXPB01"}', "--address")
WAITING = "waiting for 127.0.0.1:"
# What takes the line back that is written anew.
ERASED = "\r\x1b[K"


@pytest.fixture(scope="module")
def slow() -> Iterator[str]:
    """The address of a gateway whose providers take longer than somebody waits without wondering."""
    with Gateway(IDGW_SANDBOX__DELAY="3s") as gateway:
        yield gateway.address


def test_call_says_that_it_waits_and_takes_it_back(slow: str):
    with Terminal(BINARY, *LOOKUP, slow, "--timeout", "9s") as terminal:
        assert terminal.wait() == 0
    before, erased, after = terminal.raw.rpartition(ERASED)
    assert erased and re.search(r"waiting for 127\.0\.0\.1:\d+: \d+ s of 9s", plain(before))
    # Nothing is left of it on the answer's lines.
    assert WAITING not in after and '"outcome": "OUTCOME_FOUND"' in after


@pytest.mark.parametrize("variables", [{"CI": "true"}, {"TERM": "dumb"}], ids=lambda variables: next(iter(variables)))
def test_nothing_is_said_to_ci_or_a_terminal_that_cannot_take_it_back(variables: dict[str, str], slow: str):
    with Terminal(BINARY, *LOOKUP, slow, **variables) as terminal:
        assert terminal.wait() == 0
    assert WAITING not in terminal.raw and '"outcome": "OUTCOME_FOUND"' in terminal.raw


def test_a_pipe_gets_the_words_alone(slow: str):
    called = gateway(*LOOKUP, slow)
    assert (called.returncode, called.stderr) == (0, "") and "\x1b" not in called.stdout


def test_the_line_is_on_standard_error_where_that_alone_is_a_terminal(slow: str, tmp_path: Path):
    with open(tmp_path / "answer", "wb") as answer:
        with Terminal(BINARY, *LOOKUP, slow, stdout=answer.fileno()) as terminal:
            assert terminal.wait() == 0
    assert WAITING in terminal.raw and "OUTCOME" not in terminal.raw
    assert (tmp_path / "answer").read_text().startswith('{\n  "verification"')


def test_who_types_the_request_is_not_disturbed(shared_gateway: Gateway):
    with Terminal(BINARY, "call", "CheckCurp", "-", "--address", shared_gateway.address) as terminal:
        terminal.read(1.5)
        assert terminal.raw == ""
        terminal.type('{"curp": "RAZR811011HVZXPB01"}\n\x04')
        assert terminal.wait() == 0


def trail(folder: Path, key: Path) -> str:
    """An audit file of one call."""
    path = folder / "audit.log"
    with Gateway(IDGW_AUDIT__SINK="file", IDGW_AUDIT__PATH=str(path), IDGW_AUDIT__KEY_FILE=str(key)) as audited:
        called = gateway(*LOOKUP, audited.address)
        assert called.returncode == 0, called.stderr
        audited.terminate()
        assert audited.wait() == 0
    return path.read_text()


@pytest.mark.parametrize("command", ["verify", "find"])
def test_the_audit_commands_say_how_far_they_are(command: str, tmp_path: Path):
    """The file is a pipe that is filled slowly: so it takes as long as it must."""
    key = tmp_path / "key"
    key.write_text(secrets.token_hex(32))
    lines = trail(tmp_path, key)
    slow = tmp_path / "slow.log"
    os.mkfifo(slow)
    words = {
        "verify": ("verify", slow, "--key-file", key),
        "find": ("find", "--kind", "mx_curp", "--key-file", key, "-", slow),
    }[command]
    with Terminal(BINARY, "audit", *map(str, words)) as terminal:
        if command == "find":
            terminal.type("RAZR811011HVZXPB01\n\x04")
        with open(slow, "w") as pipe:
            terminal.wait_for("0 MiB read, ")
            pipe.write(lines)
        assert terminal.wait() == 0
    _, erased, after = terminal.raw.rpartition(ERASED)
    assert erased and "MiB read" not in after
    assert {"verify": "whole: ", "find": "identifier_hash"}[command] in plain(after)


# --- Colours ---

# A configuration that is refused, and one that is printed.
REFUSED, PRINTED = {"IDGW_SERVER__LAME_DUKC": "3s"}, {"IDGW_AUTH__MODE": "none"}
RED, BOLD = "31", "1"


def shown(*arguments: str, **variables: str) -> str:
    """What a terminal gets of a command."""
    with Terminal(BINARY, *arguments, **variables) as terminal:
        terminal.wait()
    return terminal.raw.replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"CLICOLOR": "0"}, False), ({"NO_COLOR": ""}, True)],
    ids=str,
)
def test_a_terminal_gets_colours_unless_it_wants_none(variables: dict[str, str], coloured: bool, shared_gateway: Gateway):
    wrong = ("call", "CheckCurp", '{"curp":"?"}', "--address", shared_gateway.address, "-v")
    for arguments, settings, needs in [
        (("check-config",), REFUSED, {RED, BOLD}),
        (("check-config",), PRINTED, {BOLD}),
        (("serve",), REFUSED, {RED, BOLD}),
        (wrong, {}, {RED, BOLD}),
        (("health", "--address", "127.0.0.1:1"), {}, {RED, BOLD}),
        (("no-such-command",), {}, {RED}),
    ]:
        raw = shown(*arguments, **settings, **variables)
        assert needs <= colours(raw) if coloured else "\x1b" not in raw, (arguments, raw)
        # Colours change no word.
        piped = gateway(*arguments, **settings)
        assert plain(raw) == piped.stderr + piped.stdout or arguments == wrong, arguments


def test_colours_can_be_kept_in_a_pipe():
    forced = gateway("check-config", **REFUSED, CLICOLOR_FORCE="1")
    assert {RED, BOLD} <= colours(forced.stderr)
    assert "\x1b" not in gateway("check-config", **REFUSED).stderr


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)], ids=str)
def test_the_log_of_a_terminal_is_for_people_and_in_colours_if_they_want(variables: dict[str, str], coloured: bool):
    ports = {"IDGW_SERVER__LISTEN": "127.0.0.1:0", "IDGW_ADMIN__LISTEN": "127.0.0.1:0"}
    with Terminal(BINARY, "serve", "--sandbox", **ports, **variables) as terminal:
        terminal.wait_for("Try:")
        terminal.type("\x03")
        assert terminal.wait() == 0
    assert " INFO serving " in plain(terminal.raw)
    assert ("32" in colours(terminal.raw)) == coloured
