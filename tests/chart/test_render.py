"""Every values file of the matrix: lint, strict schemas, policies, and the text itself."""

import os
from pathlib import Path

import helm_python as helm
import jsonschema
import kubernetes_validate
import pytest
import yaml

from rendered import CHART, MATRIX, NAMESPACE, RELEASE, chosen, of_matrix, pods
from schemas import VERSIONS, custom, is_custom, validate

SNAPSHOTS = Path(__file__).parent / "snapshots"
everywhere = pytest.mark.parametrize("name", MATRIX)


def test_the_matrix_is_the_one_that_was_asked_for():
    asked = {"default", "production", "sandbox", "istio", "linkerd", "hpa-off", "existing-secret", "redis"}
    assert asked <= set(MATRIX)


@everywhere
def test_helm_lints_strictly(name):
    values = yaml.safe_load(MATRIX[name].read_text())
    for version in VERSIONS:
        report = helm.lint(CHART, values, strict=True, kube_version=f"v{version}.0", namespace=NAMESPACE)
        assert report["total_charts_linted"] == 1
        assert not report["messages"] and not report["errors"], report


def test_the_lint_finds_what_is_wrong():
    report = helm.lint(CHART, {"service": {"port": "https"}}, strict=True)
    assert report["errors"]


def test_four_minor_versions_are_known():
    assert len(VERSIONS) == 4


@pytest.mark.parametrize("version", VERSIONS)
@everywhere
def test_every_document_is_valid_strictly(name, version):
    documents = of_matrix(name).documents
    assert documents
    for document in documents:
        validate(document, version)


def test_a_field_that_a_kind_does_not_know_is_found():
    rendered = of_matrix("istio")
    for document in rendered.documents:
        if document["kind"] == "ConfigMap":
            continue
        wrong = document | {"spec": document.get("spec", {}) | {"somethingElse": 1}}
        with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
            validate(wrong, VERSIONS[-1])


def test_every_custom_kind_of_the_definitions_is_rendered_somewhere():
    kinds = {(d["apiVersion"], d["kind"]) for name in MATRIX for d in of_matrix(name).documents if is_custom(d)}
    assert kinds == set(custom())


@everywhere
def test_names_fit_and_are_there_once(name):
    seen = set()
    for document in of_matrix(name).documents:
        metadata = document["metadata"]
        identity = (document["apiVersion"], document["kind"], metadata["name"])
        assert identity not in seen
        seen.add(identity)
        assert len(metadata["name"]) <= 63
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "Helm"
        if document["kind"] != "PriorityClass":
            assert metadata["namespace"] == NAMESPACE, identity


def test_a_long_release_name_fits():
    with helm.Chart.load(CHART) as chart:
        values = chosen({"service": {"headless": True}, "linkerd": {"enabled": True}, "files": {"a": "b"}})
        for text in chart.render(values, name="r" * 53, namespace=NAMESPACE).values():
            for document in yaml.safe_load_all(text) if text.lstrip().startswith("apiVersion") else []:
                assert len((document or {"metadata": {"name": ""}})["metadata"]["name"]) <= 63


@everywhere
def test_pods_may_do_nothing_that_they_need_not(name):
    """The Pod Security Standard `restricted`, a read-only root, limits, an image that can be found again."""
    specs = pods(of_matrix(name))
    assert specs
    for spec in specs.values():
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] > 0 and security["runAsGroup"] > 0
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(spec)
        allowed = {"configMap", "secret", "emptyDir"}
        assert all(set(volume) - {"name"} <= allowed for volume in spec.get("volumes", []))
        for container in spec["containers"]:
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False and own["privileged"] is False
            assert own["readOnlyRootFilesystem"] is True
            assert own["capabilities"] == {"drop": ["ALL"]}
            for which in ("requests", "limits"):
                assert set(container["resources"][which]) >= {"cpu", "memory"}
            image = container["image"]
            assert "@sha256:" in image or (image.rpartition(":")[2] not in ("", "latest") and ":" in image)
            assert "hostPort" not in str(container.get("ports"))


@everywhere
def test_no_secret_is_in_a_config_map(name):
    rendered = of_matrix(name)
    for value in rendered.values.get("secrets", {}).get("values", {}).values():
        for document in rendered.documents:
            if document["kind"] != "Secret":
                assert value not in yaml.safe_dump(document)
        assert value not in rendered.notes


@everywhere
def test_the_text_is_as_it_was(name):
    """`UPDATE_SNAPSHOTS=1 just chart` writes them anew; a change is then seen in review."""
    path, text = SNAPSHOTS / f"{name}.yaml", of_matrix(name).text()
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.write_text(text)
    assert path.read_text() == text, f"{path.name}: run UPDATE_SNAPSHOTS=1 just chart"


def test_the_package_renders_the_same(tmp_path):
    """Everything that the templates read is in it; the matrix is not."""
    with helm.Chart.load(helm.package(CHART, destination=tmp_path)) as chart:
        values = of_matrix("production").values
        files = chart.render(values, name=RELEASE, namespace=NAMESPACE)
        assert not [file["name"] for file in chart.files if file["name"].startswith("ci/")]
    assert {path.removeprefix("identity-gateway/templates/"): text for path, text in files.items() if "NOTES" not in path} == (
        of_matrix("production").files
    )


def test_no_snapshot_is_left_over():
    assert {path.stem for path in SNAPSHOTS.iterdir()} == set(MATRIX)
