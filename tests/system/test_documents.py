"""The documents: every command is run and prints what is shown, or its block says why not; every link leads somewhere."""

import re
import socket
import subprocess
from pathlib import Path

import pytest

from harness import PATIENCE, REPOSITORY, wait_for
from readme import Session, files, sessions

# Every document for people.
DOCUMENTS = {
    str(path.relative_to(REPOSITORY)): path.read_text()
    for path in [
        *REPOSITORY.glob("*.md"),
        *REPOSITORY.glob("docs/*.md"),
        REPOSITORY / "helm" / "identity-gateway" / "README.md",
    ]
}
# Who runs the documents whose commands need more than an empty folder.
ELSEWHERE = {
    "README.md": "tests/system/test_readme.py",
    "docs/call.md": "tests/system/test_readme.py",
    "docs/clients.md": "tests/clients/test_recipes.py",
    "docs/release.md": "tests/release/release.py",
}
# How many blocks of commands say why they are not run. One more is a decision.
NOT_RUN = {
    "README.md": 2,
    "docs/README.md": 2,
    "docs/access.md": 1,
    "docs/call.md": 1,
    "docs/chaos.md": 1,
    "docs/deploy.md": 5,
    "docs/release.md": 4,
    "docs/sandbox.md": 2,
    "docs/upgrade.md": 1,
    "helm/identity-gateway/README.md": 3,
}
# What a block may be.
COMMANDS, OTHERS = {"console", "sh"}, {"text", "toml", "yaml", "json", "python", "go", "java", "kotlin", "javascript", "rust"}
HERE = [(document, name) for document, text in DOCUMENTS.items() if document not in ELSEWHERE for name in sessions(text)]


def are_free(*ports: int) -> bool | None:
    """Whether nothing listens there. Otherwise a document's commands would talk to somebody else's gateway."""
    for port in ports:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return None
    return True


@pytest.mark.parametrize(("document", "name"), HERE, ids=lambda word: word)
def test_the_commands_of_a_document_print_what_it_shows(document: str, name: str, tmp_path: Path):
    """Followed to the letter, in an empty folder beside a clone."""
    text = DOCUMENTS[document]
    if name != "clone":
        (tmp_path / "identity-gateway").symlink_to(REPOSITORY)
    for path, content in files(text, name).items():
        (tmp_path / path).write_text(content)
    # A contributor's first command may have to compile.
    patience = 900 if name == "contributor" else PATIENCE
    wait_for("the default ports to be free", lambda: are_free(50051, 9464))
    with Session(tmp_path, patience, REPOSITORY=str(REPOSITORY)) as session:
        for command in sessions(text)[name]:
            wrong = session.difference(command)
            logs = [f"--- {log.name}\n{log.read_text()}" for log in tmp_path.glob("*.log")]
            assert not wrong, "\n".join([wrong, *logs])


def blocks(text: str) -> list[tuple[int, str, str]]:
    """The line, the language and the mark of every block."""
    lines = text.splitlines()
    found, inside = [], False
    for number, line in enumerate(lines):
        if line.lstrip().startswith("```"):
            if not inside:
                mark = lines[number - 1].strip() if number else ""
                found.append((number + 1, line.strip().strip("`"), mark))
            inside = not inside
    return found


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_block_of_commands_is_run_or_says_why_not(document: str):
    not_run = 0
    for line, language, mark in blocks(DOCUMENTS[document]):
        assert language in COMMANDS | OTHERS, f"{document}:{line}: say what it is: {language!r}"
        if language not in COMMANDS or re.fullmatch(r"<!-- file: \S+/\S+ -->", mark):
            continue
        reason = re.fullmatch(r"<!-- not run: (\S.{15,}) -->", mark)
        # tests/release runs its document once more for those who have cosign.
        assert reason or re.fullmatch(r"<!-- (?:run|cosign): \S.* -->", mark), f"{document}:{line}: neither run nor with a reason"
        not_run += bool(reason)
    assert not_run == NOT_RUN.get(document, 0), f"{document}: {not_run} blocks are not run"


def test_every_mark_is_of_a_document_that_is_run():
    marked = {document for document, text in DOCUMENTS.items() if sessions(text)}
    assert set(ELSEWHERE) <= marked and len(HERE) > 8
    for document, test in ELSEWHERE.items():
        name = Path(document).name
        assert f'"{name}"' in (REPOSITORY / test).read_text(), f"{test} does not read {document}"


def anchors(text: str) -> set[str]:
    """The names of a document's headings, as forges make them."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_somewhere(document: str):
    text = re.sub(r"^```.*?^```$", "", DOCUMENTS[document], flags=re.MULTILINE | re.DOTALL)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if "://" in path:
            continue
        file = (REPOSITORY / document).parent / path if path else REPOSITORY / document
        if not file.exists() or anchor and anchor not in anchors(file.read_text()):
            broken.append(target)
    assert not broken


def test_every_recipe_that_is_named_is_one():
    recipes = set(subprocess.run(["just", "--summary"], capture_output=True, text=True, cwd=REPOSITORY).stdout.split())
    assert "system" in recipes
    named = {
        (document, recipe)
        for document, text in DOCUMENTS.items()
        for recipe in re.findall(r"(?:`|^|&& )just ([a-z][\w-]*)", text, re.MULTILINE)
    }
    assert not [f"{document}: just {recipe}" for document, recipe in named if recipe not in recipes]
