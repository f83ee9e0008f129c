"""The commands of docs/deploy.md: what Helm renders of their values is valid, and what they name is there."""

import re
import shlex

import helm_python as helm
import pytest
import yaml

from rendered import CHART, REPOSITORY, StrictLoader
from schemas import VERSIONS, validate

DOCUMENT = (REPOSITORY / "docs" / "deploy.md").read_text()
RELEASE, NAMESPACE = "identity", "identity"


def commands() -> list[list[str]]:
    """The words of every command in a block of shell lines."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines]


HELM = [words for words in commands() if words[:1] == ["helm"] and "helm/identity-gateway" in words]


def values(words: list[str]) -> dict:
    """What `--set` says, in the forms that the document uses: `a.b=c` and `a.b={c,d}`."""
    found: dict = {}
    for option, setting in zip(words, words[1:], strict=False):
        if option == "--set":
            key, _, text = setting.partition("=")
            *path, last = key.split(".")
            inner = found
            for name in path:
                inner = inner.setdefault(name, {})
            inner[last] = text.strip("{}").split(",") if text.startswith("{") else yaml.safe_load(text)
    return found


def rendered(words: list[str]) -> list[dict]:
    """Every object, without the pods of `helm test`."""
    with helm.Chart.load(CHART) as chart:
        chart.validate_schema(values(words))
        files = chart.render(values(words), name=RELEASE, namespace=NAMESPACE)
    texts = [text for path, text in files.items() if not path.endswith("NOTES.txt") and "/tests/" not in path]
    return [document for text in texts for document in yaml.load_all(text, Loader=StrictLoader) if document]


def test_the_document_installs_upgrades_and_renders():
    assert [words[1] for words in HELM] == ["install", "upgrade", "template"]
    assert all(words[2] == RELEASE and f"--namespace {NAMESPACE}" in " ".join(words) for words in HELM)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("words", HELM, ids=lambda words: words[1])
def test_what_a_command_makes_is_valid_strictly(words: list[str], version: str):
    documents = rendered(words)
    assert {"Deployment", "Service", "ConfigMap"} <= {document["kind"] for document in documents}
    for document in documents:
        validate(document, version)


def test_the_rendered_default_can_be_applied_without_helm():
    """`kubectl apply` runs no hooks and makes no namespace: nothing may need either."""
    [words] = [words for words in HELM if words[1] == "template"]
    assert "--skip-tests" in words
    for document in rendered(words):
        assert "helm.sh/hook" not in (document["metadata"].get("annotations") or {})
        assert document["metadata"].get("namespace", NAMESPACE) == NAMESPACE
        assert document["kind"] != "Namespace" and document["metadata"]["name"]


def test_the_service_to_forward_to_is_there():
    [words] = [words for words in commands() if "port-forward" in words]
    [service] = [word.removeprefix("service/") for word in words if word.startswith("service/")]
    assert service in {document["metadata"]["name"] for document in rendered(HELM[0]) if document["kind"] == "Service"}
