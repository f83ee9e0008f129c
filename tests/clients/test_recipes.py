"""The shell recipes of docs/clients.md print what it shows, against the sandbox."""

from collections.abc import Iterator

import pytest

from harness import REPOSITORY, Gateway
from readme import difference, examples

DOCUMENT = (REPOSITORY / "docs" / "clients.md").read_text()
# Where the document's gateway is. The tests' own is on a free port.
ADDRESS = "localhost:50051"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with Gateway() as gateway:
        yield gateway.address


@pytest.mark.parametrize("example", examples(DOCUMENT), ids=lambda example: example.name)
def test_a_recipe_prints_what_the_document_shows(address: str, example):
    for command in example.commands:
        command.line = command.line.replace(ADDRESS, address)
    wrong = [found for command in example.commands if (found := difference(command))]
    assert not wrong, "\n\n".join(wrong)


def test_the_document_has_recipes_of_both_tools():
    lines = [command.line for example in examples(DOCUMENT) for command in example.commands]
    assert any(line.startswith("grpcurl") and ADDRESS in line for line in lines)
    assert any(line.startswith("buf curl") and ADDRESS in line for line in lines)
