"""The runner of the README's examples must find what is wrong, or it proves nothing."""

import pytest

from readme import Command, difference, examples, matches

DOCUMENT = """
# Made up

```console
$ not marked, not run
```

<!-- run: greeting -->
```console
$ echo 'hello  '; echo world >&2
hello
world
$ printf '%s\\n' \\
    one two
one
two
$ true
```

<!-- run: varying -->
```console
$ seq 1 9; echo id=4711
1
...
9
id=...
```
"""


def test_only_marked_blocks_are_examples_and_lines_go_on_after_a_backslash():
    greeting, varying = examples(DOCUMENT)
    assert (greeting.name, varying.name) == ("greeting", "varying")
    assert [command.shown for command in greeting.commands] == [["hello", "world"], ["one", "two"], []]
    assert greeting.commands[1].line == "printf '%s\\n' \\\n    one two"


def test_what_is_right_passes():
    commands = [command for example in examples(DOCUMENT) for command in example.commands]
    assert len(commands) == 4
    assert [difference(command) for command in commands] == [None] * 4


@pytest.mark.parametrize(
    "command",
    [
        Command("echo one", ["two"]),
        Command("echo one; echo two", ["one"]),
        Command("echo one", ["one", "two"]),
        Command("echo one", []),
        Command("false", []),
        Command("no-such-command", []),
        Command("seq 1 9", ["1", "...", "8"]),
        Command("echo id=4711!", ["id=...?"]),
    ],
    ids=lambda command: command.line,
)
def test_what_is_wrong_is_told(command: Command):
    found = difference(command)
    assert found is not None and command.line in found


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        (["..."], ""),
        (["a", "...", "b"], "a\nb\n"),
        (["...", "b"], "1\n2\nb\n"),
        (["[a.b] (...)"], "[a.b] (anything)"),
    ],
)
def test_dots_stand_for_whatever_varies(shown: list[str], printed: str):
    assert matches(shown, printed)


@pytest.mark.parametrize(
    "document",
    [
        "<!-- run: no block -->\ntext\n",
        "<!-- run: -->\n```console\n$ true\n```\n",
        "<!-- run: no command -->\n```console\n```\n",
        "<!-- run: output first -->\n```console\nhello\n$ true\n```\n",
    ],
)
def test_a_mark_without_a_command_is_an_error(document: str):
    with pytest.raises(ValueError):
        examples(document)
