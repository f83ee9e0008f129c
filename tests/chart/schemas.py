"""Strict validation: Kubernetes' own kinds by kubernetes-validate, those of others by their custom resource definitions.

The definitions in crds/ are those of the projects' Go modules, without descriptions; each file says of which version.
Linkerd's are written by hand. A field that a schema does not list is an error, as with `kubectl --validate=strict`.
"""

from functools import cache
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml
from kubernetes_validate import utils

# The last four minor versions.
VERSIONS = sorted({utils.major_minor(version) for version in utils.all_versions()}, key=lambda v: int(v.split(".")[1]))[-4:]
CRDS = Path(__file__).parent / "crds"


def definitions() -> list[dict]:
    """Every custom resource definition."""
    found = [document for path in sorted(CRDS.glob("*.yaml")) for document in yaml.safe_load_all(path.read_text())]
    return [definition for definition in found if definition]


def strict(schema: dict) -> dict:
    """An OpenAPI v3 schema of a definition as strict JSON schema."""
    schema = dict(schema)
    if schema.pop("x-kubernetes-int-or-string", False):
        return {"type": ["integer", "string"]}
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if "properties" in schema:
        schema["properties"] = {name: strict(inner) for name, inner in schema["properties"].items()}
        if not open_ended:
            schema["additionalProperties"] = False
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            schema[word] = strict(schema[word])
    if schema.pop("nullable", False) and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    return schema


@cache
def custom() -> dict[tuple[str, str], dict]:
    """The schema of each custom kind, by apiVersion and kind."""
    found = {}
    for definition in definitions():
        spec = definition["spec"]
        for version in spec["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            schema["properties"] |= {"apiVersion": {}, "kind": {}, "metadata": {"type": "object"}}
            found[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = schema
    return found


def is_custom(document: dict) -> bool:
    group = document["apiVersion"].rpartition("/")[0]
    return "." in group and not group.endswith(".k8s.io") or group == "gateway.networking.k8s.io"


def validate(document: dict, version: str) -> None:
    """Raises if the document is not what that version of Kubernetes, or the kind's definition, knows."""
    if is_custom(document):
        schema = custom()[document["apiVersion"], document["kind"]]
        jsonschema.Draft202012Validator(schema).validate(document)
    else:
        kubernetes_validate.validate(document, version, strict=True)
