"""The Helm commands of the documents: what is rendered of their values is valid, and what they name is there."""

import re
import shlex

import helm_python as helm
import pytest
import yaml

from rendered import CHART, REPOSITORY, StrictLoader
from schemas import VERSIONS, validate

DOCUMENTS = ("README.md", "docs/deploy.md", "helm/identity-gateway/README.md")
RELEASE, NAMESPACE = "identity", "identity"


def commands(document: str) -> list[list[str]]:
    """The words of every command in a block of shell lines."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", (REPOSITORY / document).read_text(), re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines]


HELM = {
    document: [words for words in commands(document) if words[:1] == ["helm"] and "helm/identity-gateway" in words]
    for document in DOCUMENTS
}
ALL = [pytest.param(words, id=f"{document} {words[1]}") for document, found in HELM.items() for words in found]


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


def test_the_documents_install_upgrade_and_render():
    verbs = {document: [words[1] for words in found] for document, found in HELM.items()}
    deploy = ["install", "upgrade", "template"]
    assert verbs == dict(zip(DOCUMENTS, (["install"], deploy, ["install"]), strict=True))
    for words in (words for found in HELM.values() for words in found):
        assert words[2] == RELEASE and f"--namespace {NAMESPACE}" in " ".join(words)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("words", ALL)
def test_what_a_command_makes_is_valid_strictly(words: list[str], version: str):
    documents = rendered(words)
    assert {"Deployment", "Service", "ConfigMap"} <= {document["kind"] for document in documents}
    for document in documents:
        validate(document, version)


def test_the_rendered_default_can_be_applied_without_helm():
    """`kubectl apply` runs no hooks and makes no namespace: nothing may need either."""
    [words] = [words for words in HELM["docs/deploy.md"] if words[1] == "template"]
    assert "--skip-tests" in words
    for document in rendered(words):
        assert "helm.sh/hook" not in (document["metadata"].get("annotations") or {})
        assert document["metadata"].get("namespace", NAMESPACE) == NAMESPACE
        assert document["kind"] != "Namespace" and document["metadata"]["name"]


def test_the_service_to_forward_to_is_there():
    [words] = [words for words in commands("docs/deploy.md") if "port-forward" in words]
    [service] = [word.removeprefix("service/") for word in words if word.startswith("service/")]
    made = rendered(HELM["docs/deploy.md"][0])
    assert service in {document["metadata"]["name"] for document in made if document["kind"] == "Service"}
