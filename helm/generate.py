#!/usr/bin/env python3
"""Makes the chart's generated files, or says which of them are not current.

    helm/generate.py            fails if a file is not what it would write (`just chart`)
    helm/generate.py --write    writes them (`just chart-docs`)

The sources are the program's configuration schema (`identity-gateway check-config --schema`), chart-values.yaml with the
chart's own values, the method option idgw.gateway.v1.policy of proto/, and deploy/observability. From them come values.yaml,
values.schema.json, the table in the chart's README, and files/. IDGW_BINARY names another program than the release build.
"""

import copy
import json
import os
import subprocess
import sys
import tempfile
import textwrap
from importlib.resources import files
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "helm" / "identity-gateway"
OBSERVABILITY = ROOT / "deploy" / "observability"
# The oldest version of Kubernetes that the chart is tested with: what it knows, the later ones know too.
KUBERNETES = "v1.34.0"

# What the chart itself says; a value for it would be contradicted.
NOT_FOR_CHOICE = {("server", "listen"), ("admin", "listen"), ("sandbox", "listen")}
# Where the chart's default is not the program's.
CHART_DEFAULTS = {("server", "max_connection_age"): "5m"}
# What the templates ask of `config`.
ASKED = {
    ("audit", "sink"), ("server", "lame_duck"), ("server", "drain_timeout"), ("server", "reflection")
}
# What the chart has to add to the program's own words.
WHY = {
    ("auth", "mode"): "The chart refuses `none` where neither the network policy nor a mesh's authorization stands "
    "before the port.",
    ("server", "max_connection_age"): "The chart's default is `5m`: the Service distributes connections, not calls.",
}
# Durations as the templates can add them up; the program reads a few more ways to write them.
DURATION = r"^(0|([0-9]+(ms|s|m|h))+)$"
BEGIN, END = "<!-- generated: values -->\n", "<!-- end: values -->"


def program_schema() -> dict:
    """The schema of the program's configuration, as the program prints it."""
    target = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
    binary = os.environ.get("IDGW_BINARY", target / "static" / "identity-gateway")
    printed = subprocess.run(
        [Path(binary).absolute(), "check-config", "--schema"], capture_output=True, text=True, check=True
    )
    return json.loads(printed.stdout)


def own_values() -> dict:
    """The chart's own values."""
    return yaml.safe_load((ROOT / "helm" / "chart-values.yaml").read_text())


def leaves(schema: dict, path: tuple[str, ...] = ()):
    """Every key of a configuration schema that is no table, with its path."""
    for name, inner in schema.get("properties", {}).items():
        if "properties" in inner:
            yield from leaves(inner, (*path, name))
        else:
            yield (*path, name), inner


def credentials(program: dict) -> list[dict]:
    """Every credential: its key, its environment variable, and whether the program reads it from a file."""
    known = {path for path, _ in leaves(program)}
    return [
        {
            "key": ".".join(path),
            "variable": "IDGW_" + "__".join(path).upper(),
            "file": (*path[:-1], f"{path[-1]}_file") in known,
            "description": " ".join(leaf.get("description", "").split()),
        }
        for path, leaf in leaves(program)
        if leaf.get("x-secret")
    ]


def config_schema(program: dict, path: tuple[str, ...] = ()) -> dict:
    """The program's schema without credentials and without what is not for choice."""
    kept = {word: value for word, value in program.items() if not word.startswith(("x-", "$", "title"))}
    if "description" in kept:
        kept["description"] = " ".join(kept["description"].split())
    if "properties" in program:
        kept["properties"] = {}
        for name, inner in program["properties"].items():
            if inner.get("x-secret") or (*path, name) in NOT_FOR_CHOICE:
                continue
            inner = config_schema(inner, (*path, name))
            if inner.get("properties") != {}:
                kept["properties"][name] = inner
        kept["type"] = "object"
        kept["additionalProperties"] = False
        return kept
    if "properties" in program.get("items", {}):
        # A list of tables.
        kept["items"] = config_schema(program["items"], path)
    if isinstance(program.get("type"), list) and "items" in program:
        # A word, or a list of such words: each may only be one that the program knows.
        items = kept.pop("items")
        del kept["type"]
        kept["anyOf"] = [{"type": "array", "items": items}, items]
    if program.get("title", "").startswith("a duration"):
        kept["pattern"] = DURATION
    if path in CHART_DEFAULTS:
        kept["default"] = CHART_DEFAULTS[path]
    if path in WHY:
        kept["description"] = f"{kept['description']} {WHY[path]}"
    return kept


def kubernetes_types() -> dict:
    """The types of Kubernetes' API, as draft 7 and without their descriptions."""
    from kubernetes_validate import utils

    folder = Path(utils.__file__).parent / "kubernetes-json-schema" / f"{KUBERNETES}-local-strict"
    text = (folder / "_definitions.json").read_text().replace("#/$defs/", "#/definitions/")
    return without_descriptions(json.loads(text)["$defs"])


def without_descriptions(schema):
    if isinstance(schema, dict):
        return {
            word: without_descriptions(value)
            for word, value in schema.items()
            if word != "description" or not isinstance(value, str)
        }
    return [without_descriptions(item) for item in schema] if isinstance(schema, list) else schema


def expanded(own: dict, program: dict) -> dict:
    """The chart's own values in plain JSON schema, with the program's at their places."""
    probe = {
        word: {"type": "integer", "minimum": 1} for word in ("periodSeconds", "timeoutSeconds", "failureThreshold")
    } | {"initialDelaySeconds": {"type": "integer", "minimum": 0}}
    known = credentials(program)

    def one(value: dict) -> dict:
        value = copy.deepcopy(value)
        if "properties" in value:
            value["properties"] = {name: one(inner) for name, inner in value["properties"].items()}
            return {"type": "object", "additionalProperties": False} | value
        if value.pop("strings", None):
            return {"type": "object", "additionalProperties": {"type": "string"}, "default": {}} | value
        if value.pop("probe", None):
            return {"type": "object", "additionalProperties": False, "x-properties": probe} | value
        if "list" in value:
            item = {"$ref": f"#/definitions/{value.pop('list')}"}
            return {"type": "array", "items": item, "default": []} | value
        if "k8s" in value:
            return {"allOf": [{"$ref": f"#/definitions/{value.pop('k8s')}"}]} | value
        return value

    values = {name: one(value) for name, value in own.items()}
    values["config"] = config_schema(program) | {"description": own["config"]["description"]}
    secrets = values["secrets"]["properties"]
    words = {entry["key"]: entry["description"] for entry in known}
    secrets["keys"] |= {
        "type": "array", "uniqueItems": True, "items": {"type": "string", "enum": list(words)}, "default": []
    }
    secrets["values"] |= {
        "type": "object", "additionalProperties": False, "default": {},
        "x-properties": {
            key: {"type": "string", "minLength": 1, "description": about} for key, about in words.items()
        },
    }
    text = {"type": "string", "minLength": 1}
    reference = {
        "type": "object", "required": ["key"], "additionalProperties": False,
        "properties": {"key": text, "property": text, "version": text},
    }
    secrets["externalSecret"]["properties"]["remoteRefs"] |= {
        "type": "object", "additionalProperties": False, "default": {},
        "x-properties": {key: reference for key in words},
    }
    return values


def values_schema(values: dict) -> dict:
    """values.schema.json."""
    types = kubernetes_types()
    used: dict = {}

    def finish(schema):
        if isinstance(schema, list):
            return [finish(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema and isinstance(schema["$ref"], str):
            name = schema["$ref"].rsplit("/", 1)[1]
            if name not in used:
                used[name] = None
                used[name] = finish(types[name])
        return {"properties" if word == "x-properties" else word: finish(value) for word, value in schema.items()}

    properties = finish(values)
    # Helm's own: what a parent chart passes on to its parts.
    properties["global"] = {
        "type": "object", "description": "Values that Helm shares with parent charts; of them `imagePullSecrets` is read."
    }
    properties["enabled"] = {"type": "boolean", "description": "For the `condition` of a parent chart; not read."}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "identity-gateway",
        "description": "Generated by helm/generate.py.",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "definitions": {name: used[name] for name in sorted(used)},
    }


def rows(values: dict, path: tuple[str, ...] = ()):
    """Every value that is no group: its path, its schema, the groups above it that have something to say first."""
    for name, value in values.items():
        if "properties" in value:
            yield (*path, name), value, "group"
            yield from rows(value["properties"], (*path, name))
        else:
            yield (*path, name), value, "value"


def defaults(values: dict) -> dict:
    """What templates fall back to where a value is null: the groups, and the values that they cannot do without."""
    asked = {("config", *path) for path in ASKED}
    parts = [path for path, _, kind in rows(values) if kind == "group" and path[0] != "config"]
    parts += [("config",), ("config", "auth"), *sorted({path[:2] for path in asked})]
    found = {}
    for path, value, kind in rows(values):
        # Null takes away a switch, an empty default, what Kubernetes types, and these two groups' own.
        plain = isinstance(value.get("default"), (int, str, list)) and not isinstance(value.get("default"), bool)
        needed = plain and value["default"] not in ("", []) and "$ref" not in value.get("items", {})
        if path in asked or (needed and path[0] not in ("config", "security", "topologySpread")):
            found[".".join(path)] = value["default"]
    return {"parts": [".".join(path) for path in parts], "defaults": found}


def meaning(value: dict) -> str:
    """All that is to be said of a value: its description, the words it may be."""
    text = " ".join(value.get("description", "").split())
    worded = value.get("anyOf", [value])[0]
    for choice in worded.get("items", worded).get("oneOf", []):
        if "const" in choice:
            text += f" `{choice['const']}`: {' '.join(choice.get('description', '').split())}"
    return text


def written(value) -> str:
    """A default as YAML on one line."""
    return json.dumps(value, ensure_ascii=False)


def values_yaml(values: dict) -> str:
    """values.yaml: every key with its default; one without a default stands in a comment."""
    lines = [
        "# The chart's values. Generated by helm/generate.py from the program's configuration schema and",
        "# helm/chart-values.yaml; values.schema.json says the same and takes no key that is not here.",
    ]

    def comment(text: str, indent: str):
        lines.extend(textwrap.wrap(text, 116, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "))

    def put(group: dict, indent: str):
        for name, value in group.items():
            if not indent:
                lines.append("")
            comment(meaning(value), indent)
            if "properties" in value:
                has_defaults = any(kind == "value" and "default" in inner for _, inner, kind in rows(value["properties"]))
                lines.append(f"{indent}{name}:" if has_defaults else f"{indent}{name}: {{}}")
                put(value["properties"], indent + "  ")
            elif "default" in value:
                default = value["default"]
                if isinstance(default, (dict, list)) and default:
                    block = yaml.safe_dump(default, sort_keys=False, width=110).rstrip().splitlines()
                    lines.append(f"{indent}{name}:")
                    lines.extend(f"{indent}  {line}" for line in block)
                else:
                    lines.append(f"{indent}{name}: {written(default)}")
            else:
                lines.append(f"{indent}# {name}:")

    put(values, "")
    return "\n".join(lines) + "\n"


def table(values: dict) -> str:
    """The README's table."""
    lines = ["", "| Value | Default | Meaning |", "|---|---|---|"]
    for path, value, kind in rows(values):
        about = meaning(value).replace("|", "\\|")
        default = f"`{written(value['default'])}`".replace("|", "\\|") if "default" in value else ""
        if kind == "value":
            lines.append(f"| `{'.'.join(path)}` | {default} | {about} |")
        elif path[0] != "config" or len(path) == 1:
            lines.append(f"| **`{'.'.join(path)}`** | | {about} |")
    return "\n".join(lines) + "\n\n"


def rpcs() -> list[dict]:
    """Every RPC of the contract with its policy."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    from grpc_tools import protoc

    protos = sorted((ROOT / "proto").rglob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "contract"
        failed = protoc.main([
            "protoc", f"--proto_path={ROOT / 'proto'}", f"--proto_path={files('grpc_tools') / '_proto'}",
            "--include_imports", f"--descriptor_set_out={out}", *map(str, protos),
        ])
        if failed:
            sys.exit("protoc refuses the contract")
        found = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in found.file:
        pool.Add(file)
    extension = pool.FindExtensionByName("idgw.gateway.v1.policy")
    options = message_factory.GetMessageClass(pool.FindMessageTypeByName("google.protobuf.MethodOptions"))
    enums = extension.message_type.fields_by_name

    def word(policy, field: str) -> str:
        return enums[field].enum_type.values_by_number[getattr(policy, field)].name

    table = []
    for file in found.file:
        if file.package not in ("idgw.identity.v1", "idgw.person.v1"):
            continue
        for service in file.service:
            for method in service.method:
                policy = options.FromString(method.options.SerializeToString()).Extensions[extension]
                table.append({
                    "service": f"{file.package}.{service.name}", "method": method.name,
                    "charge": word(policy, "charge"), "repeat": word(policy, "repeat"),
                })
    return table


def generated(program: dict, own: dict) -> dict[Path, str]:
    """Every generated file with what it must hold."""
    values = expanded(own, program)
    readme = (CHART / "README.md").read_text()
    start, end = readme.index(BEGIN) + len(BEGIN), readme.index(END)
    note = "# Generated by helm/generate.py.\n"
    names = [{word: entry[word] for word in ("key", "variable", "file")} for entry in credentials(program)]
    copies = {
        CHART / "files" / name: (OBSERVABILITY / name).read_text()
        for name in ("grafana-dashboard.json", "prometheus-rules.yaml")
    }
    return copies | {
        CHART / "values.yaml": values_yaml(values),
        CHART / "values.schema.json": json.dumps(values_schema(values), indent=1, ensure_ascii=False) + "\n",
        CHART / "README.md": readme[:start] + table(values) + readme[end:],
        CHART / "files" / "rpcs.yaml": note + yaml.safe_dump({"rpcs": rpcs()}, sort_keys=False),
        CHART / "files" / "defaults.yaml": note + yaml.safe_dump(defaults(values), sort_keys=False),
        CHART / "files" / "credentials.yaml": note + yaml.safe_dump({"credentials": names}, sort_keys=False),
    }


def stale(program: dict, own: dict) -> list[str]:
    """The files that are not what they must be, each with its first line that differs."""
    found = []
    for path, text in generated(program, own).items():
        there = path.read_text() if path.exists() else ""
        if there != text:
            pairs = zip(there.splitlines() + [""], text.splitlines() + [""], strict=False)
            line = next((number for number, (old, new) in enumerate(pairs, 1) if old != new), 0)
            found.append(f"{os.path.relpath(path, ROOT)}:{line}")
    return found


def main() -> None:
    program, own = program_schema(), own_values()
    if sys.argv[1:] == ["--write"]:
        for path, text in generated(program, own).items():
            path.write_text(text)
    elif sys.argv[1:]:
        sys.exit(__doc__)
    elif found := stale(program, own):
        sys.exit(f"not current: {', '.join(found)}; run `just chart-docs`")


if __name__ == "__main__":
    main()
