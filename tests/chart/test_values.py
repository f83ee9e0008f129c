"""The program's schema, values.yaml, values.schema.json and the README's table have the same keys, and keep them."""

import copy
import json
import os
import re
import shutil
import subprocess
import tomllib

import helm_python as helm
import pytest
import yaml

import generate
from rendered import CHART, REPOSITORY, chosen, refused, render


# A value of each kind that has a pattern: durations, prices, paths, addresses.
SAMPLES = {
    "least": ["0s", "0 USD", "/a", "0.0.0.0:0"],
    "most": ["1m30s", "1000000000.00 KES", '/v3/p"e/..a', "[1:2:3:4:5:6:255.255.255.255%4294967295]:65535"],
}


@pytest.fixture(scope="module")
def program() -> dict:
    return generate.program_schema()


@pytest.fixture
def own() -> dict:
    return generate.own_values()


def of_program(program: dict) -> set[str]:
    """The keys that `config` must have."""
    return {
        ".".join(path)
        for path, leaf in generate.leaves(program)
        if not leaf.get("x-secret") and path not in generate.NOT_FOR_CHOICE
    }


def of_values(tree: dict, path: tuple[str, ...] = ()) -> set[str]:
    keys = set()
    for name, value in tree.items():
        keys |= of_values(value, (*path, name)) if isinstance(value, dict) and value else {".".join((*path, name))}
    return keys


def of_schema(schema: dict) -> dict[str, dict]:
    return {".".join(path): leaf for path, leaf in generate.leaves(schema)}


def values_yaml() -> str:
    return (CHART / "values.yaml").read_text()


def uncommented(text: str) -> dict:
    """values.yaml with the keys that stand in comments, as null."""
    text = re.sub(r"^( *)# (\w+):$", r"\1\2: null", text, flags=re.MULTILINE)
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for number, (line, below) in enumerate(zip(lines, [*lines[1:], ""], strict=True)):
        depth = len(line) - len(line.lstrip())
        if line.endswith(": {}") and below.startswith(" " * (depth + 1)):
            # A table of such keys alone.
            lines[number] = line.removesuffix(" {}")
    return yaml.safe_load("\n".join(lines))


def test_the_generated_files_are_current(program, own):
    assert generate.stale(program, own) == []


def test_program_values_schema_and_table_have_the_same_keys(program):
    """Read by other code than that which writes them."""
    wanted = of_program(program)
    assert of_values(uncommented(values_yaml())["config"]) == wanted
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(of_schema(schema["properties"]["config"])) == wanted
    table = re.findall(r"^\| `config\.([\w.]+)` \|", (CHART / "README.md").read_text(), re.MULTILINE)
    assert set(table) == wanted and len(table) == len(wanted)


def test_every_description_of_the_program_is_a_comment_of_values_yaml(program):
    def plain(text: str) -> str:
        return re.sub(r"[\s#]+", " ", text)

    comments = plain(values_yaml())
    for path, leaf in generate.leaves(program):
        if not leaf.get("x-secret") and path not in generate.NOT_FOR_CHOICE:
            assert plain(leaf["description"]) in comments, path


def test_every_default_is_the_program_s(program):
    there = yaml.safe_load(values_yaml())["config"]
    for path, leaf in generate.leaves(program):
        if "default" in leaf and path not in generate.NOT_FOR_CHOICE and path not in generate.CHART_DEFAULTS:
            value = there
            for step in path:
                value = value[step]
            assert value == leaf["default"] and type(value) is type(leaf["default"]), path


def test_values_schema_takes_no_key_that_it_does_not_know():
    schema = json.loads((CHART / "values.schema.json").read_text())

    def closed(part, where):
        if isinstance(part, dict):
            if "properties" in part and where[-1:] != ("properties",):
                assert part.get("additionalProperties") is False or isinstance(part.get("additionalProperties"), dict), where
            for word, inner in part.items():
                closed(inner, (*where, word))
        elif isinstance(part, list):
            for inner in part:
                closed(inner, where)

    closed(schema, ())
    for values in (
        {"imagee": {}},
        {"image": {"name": "x"}},
        {"config": {"server": {"lameduck": "1s"}}},
        {"config": {"providers": {"verifik": {"token": "x"}}}},
        {"config": {"server": {"listen": "127.0.0.1:1"}}},
        {"secrets": {"values": {"providers.verifik.tokens": "x"}}},
        {"tolerations": [{"kee": "x"}]},
        {"istio": {"authorization": [{"who": "x"}]}},
    ):
        assert "additional properties" in refused(**values), values
    for values in (
        {"config": {"server": {"lame_duck": 3}}},
        {"config": {"server": {"max_in_flight": "many"}}},
        {"config": {"auth": {"mode": "anybody"}}},
        {"image": {"tag": "latest"}},
        {"resources": {"limits": {"cpu": []}}},
    ):
        refused(**values)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A copy of the chart that may be changed."""
    folder = tmp_path / "identity-gateway"
    shutil.copytree(CHART, folder)
    monkeypatch.setattr(generate, "CHART", folder)
    return folder


def names(stale: list[str]) -> set[str]:
    return {entry.rpartition("/")[2].partition(":")[0] for entry in stale}


def test_a_key_added_to_the_program_alone_is_found(program, own, elsewhere):
    changed = copy.deepcopy(program)
    changed["properties"]["server"]["properties"]["brand_new"] = {
        "type": "boolean", "default": True, "description": "Whether it is new."
    }
    assert names(generate.stale(changed, own)) == {"values.yaml", "values.schema.json", "README.md"}


def test_a_credential_added_to_the_program_alone_is_found(program, own, elsewhere):
    changed = copy.deepcopy(program)
    changed["properties"]["auth"]["properties"]["pepper"] = {"type": "string", "x-secret": True, "description": "Hot."}
    stale = names(generate.stale(changed, own))
    assert stale == {"values.schema.json", "credentials.yaml"}


def test_a_key_added_to_the_chart_s_values_alone_is_found(program, own, elsewhere):
    own["somethingNew"] = {"type": "string", "default": "", "description": "New."}
    assert names(generate.stale(program, own)) == {"values.yaml", "values.schema.json", "README.md"}


@pytest.mark.parametrize(
    ("file", "line", "added"),
    [
        ("values.yaml", "  server:\n", "  server:\n    brand_new: true\n"),
        ("values.schema.json", '    "server": {\n', '    "brand_new": {},\n    "server": {\n'),
        ("README.md", "| Value | Default | Meaning |\n|---|---|---|\n", "| Value | Default | Meaning |\n|---|---|---|\n| `new` | | |\n"),
        ("files/rpcs.yaml", "rpcs:\n", "rpcs:\n- {service: a.B, method: C, repeat: REPEAT_ALWAYS}\n"),
        ("files/prometheus-rules.yaml", "groups:\n", "groups:\n  - {name: another, rules: []}\n"),
        ("files/grafana-dashboard.json", '"title": "identity-gateway"', '"title": "another"'),
    ],
)
def test_a_key_added_to_one_file_alone_is_found(program, own, elsewhere, file, line, added):
    path = elsewhere / file
    text = path.read_text()
    assert line in text
    path.write_text(text.replace(line, added, 1))
    assert names(generate.stale(program, own)) == {path.name}


def test_the_chart_s_version_of_the_program_is_cargo_s():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["package"]["version"]


def sample(leaf: dict, which: str):
    """A value for a key: the least or the most that it may be."""
    leaf = leaf.get("anyOf", [leaf])[0]
    kinds = leaf.get("type") if isinstance(leaf.get("type"), list) else [leaf.get("type")]
    if "integer" in kinds:
        return leaf["minimum" if which == "least" else "maximum"]
    if "boolean" in kinds:
        return which == "most"
    if "array" in kinds:
        return [] if which == "least" else [sample(leaf["items"], which)]
    if "object" in kinds:
        return {name: sample(inner, which) for name, inner in leaf.get("properties", {}).items()}
    if "oneOf" in leaf:
        return leaf["oneOf"][0 if which == "least" else -1]["const"]
    if leaf.get("format") == "uri":
        return "http://localhost" if which == "least" else "https://a.example.com/b%20c"
    if "pattern" in leaf:
        return next(text for text in SAMPLES[which] if re.search(leaf["pattern"], text))
    return "a" if which == "least" else 'a "quoted" \\ back\tslash, é, <b> & 名'


@pytest.mark.parametrize("which", ["least", "most"])
def test_every_value_of_config_arrives_as_it_is(which):
    """Zero and false too, whole numbers as whole numbers, strings letter by letter."""
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["config"]

    def tree(part):
        return {
            name: tree(inner) if "properties" in inner else sample(inner, which)
            for name, inner in part["properties"].items()
        }

    values = tree(schema)
    # The one list that may not be empty.
    values["auth"]["mode"] = values["auth"]["mode"] or ["none"]
    arrived = tomllib.loads(render(config=values, extraVolumeMounts=[{"name": "audit", "mountPath": "/audit"}]).config())
    assert arrived == values
    for path, leaf in of_schema(schema).items():
        value, there = values, arrived
        for step in path.split("."):
            value, there = value[step], there[step]
        assert type(value) is type(there), path


@pytest.mark.parametrize(
    ("key", "values"),
    {
        "providers.verifik.price": [
            "0 USD", "0.35 USD", "12 KES", ".5 MXN", "5. MXN", "007 USD", "1000000000 USD", "999999999.999 USD", " 1 USD ",
            "", "0.35", "USD", "0.35USD", "USD 1", "-1 USD", "+1 USD", "1 usd", "1 DOLLAR", "1e3 USD", "1,5 EUR", ". USD",
            "1000000001 USD", "1000000000.1 USD", "1 USD EUR", "1\tUSD", "1 USD\n",
        ],
        "providers.verifik.dni_path": [
            "/v3/pe/cedula", "/a", "/..a", "/a.b", "/.a", "", "/", "a", "/a/", "/a//b", "/.", "/..", "/a/../b", "/a?b", "/a#b",
            "/a%2e", "/a b", "/é", "/a\\b",
        ],
        "server.lame_duck": ["0s", "3s", "250ms", "1m", "1m30s", "", "3", "-3s", "3 parsecs", "s", "3s 4"],
    }.items(),
)
def test_the_patterns_of_the_schema_take_what_the_program_takes(key, values, tmp_path):
    """In the program's schema and in the chart's; for durations the chart takes fewer ways of writing them."""
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["config"]
    of_chart, of_program = (re.compile(of_schema(one)[key]["pattern"]) for one in (schema, generate.program_schema()))
    table, _, name = key.rpartition(".")
    for value in values:
        path = tmp_path / "config.toml"
        path.write_text(f"[{table}]\n{name} = {json.dumps(value, ensure_ascii=False)}\n")
        binary = os.environ.get("IDGW_BINARY", REPOSITORY / "target" / "static" / "identity-gateway")
        checked = subprocess.run(
            [binary, "check-config", "--config", path], capture_output=True, text=True, env={"IDGW_AUTH__MODE": "none"}
        )
        is_taken = key not in checked.stderr
        # `$` of Python matches before a line break at the end too; that of JSON schema does not.
        matches = [bool(one.search(value)) and not value.endswith("\n") for one in (of_program, of_chart)]
        assert matches[0] == is_taken, (value, checked.stderr)
        assert matches[1] <= is_taken, value
        assert matches[1] == is_taken or key == "server.lame_duck", value


def test_keys_of_other_shapes_need_only_be_generated(program, own, elsewhere):
    """A word or a list of words, a list of tables, a table of free names, a table of its own, a credential without a file."""
    changed = copy.deepcopy(program)
    words = [{"const": "none", "type": "string", "description": "Nobody."}, {"const": "jwt", "type": "string", "description": "A token."}]
    text = {"type": "string"}
    changed["properties"]["auth"] = {
        "type": "object", "additionalProperties": False, "description": "Callers.",
        "properties": {
            "mode": {"type": ["array", "string"], "items": {"oneOf": words}, "description": "How."},
            "issuers": {
                "type": "array", "description": "Who.",
                "items": {"type": "object", "additionalProperties": False, "properties": {"name": text, "leeway": {"type": "integer"}}},
            },
            "scopes": {"type": "object", "additionalProperties": {"type": "array", "items": text}, "description": "What."},
            "jwt": {
                "type": "object", "additionalProperties": False, "description": "Tokens.",
                "properties": {"leeway": {"type": "string", "default": "0s", "title": "a duration such as 5s", "description": "Late."}},
            },
            "keys": {
                "type": "object", "additionalProperties": False, "description": "Keys.",
                "properties": {"file": {"type": "string", "description": "Where."}},
            },
            "pepper": {"type": "string", "x-secret": True, "description": "Hot."},
        },
    }
    for path, text in generate.generated(changed, own).items():
        path.write_text(text)
    text = (elsewhere / "values.yaml").read_text()
    assert "`jwt`: A token." in text
    assert of_values(uncommented(text)["config"]) == of_program(changed)
    auth = {
        "mode": ["jwt"], "issuers": [{"name": "a", "leeway": 0}, {"name": "b", "leeway": 60}],
        "scopes": {"person.read": ["x"]}, "jwt": {"leeway": "1m"},
    }
    values = {"config": {"auth": auth}, "secrets": {"values": {"auth.pepper": "chili"}}}
    assert not helm.lint(elsewhere, values, strict=True)["errors"]
    with helm.Chart.load(elsewhere) as chart:
        chart.validate_schema(values)
        files = chart.render(values, name="x", namespace="y")
        for mode in ("jwt", "none", ["none"]):
            chart.validate_schema({"config": {"auth": {"mode": mode}}})
        for mode in ("anybody", ["jwt", "anybody"], 5):
            with pytest.raises(helm.HelmError):
                chart.validate_schema({"config": {"auth": {"mode": mode}}})
    config = yaml.safe_load(files["identity-gateway/templates/configmap.yaml"])["data"]["config.toml"]
    assert tomllib.loads(config)["auth"] == auth
    assert "IDGW_AUTH__PEPPER" in files["identity-gateway/templates/deployment.yaml"]


def test_nested_values_become_inline_tables(elsewhere):
    """Whatever shapes the program's configuration takes later: lists of tables, tables of free names."""
    template = '{{ include "identity-gateway.toml.table" (dict "path" "" "table" .Values.global.sample) }}'
    sample = {
        "zero": 0, "no": False, "half": 0.5, "none": None, "empty": "", "list": [1, 0, False, "x"],
        "tables": [{"name": "a", "n": 0}, {"name": "b", "deep": {"x": [True]}}],
        "free": {"a key": {"n": 5000000}, "b": {"odd.name": "x"}},
    }
    (elsewhere / "templates" / "sample.txt").write_text(template)
    with helm.Chart.load(elsewhere) as chart:
        text = chart.render(chosen({"global": {"sample": sample}}), name="x", namespace="y")
    del sample["none"]
    assert tomllib.loads(text["identity-gateway/templates/sample.txt"]) == sample


def test_every_credential_has_its_place(program):
    """In values.schema.json three times: by value, by key of an existing Secret, by reference to a store."""
    wanted = {entry["key"] for entry in generate.credentials(program)}
    assert wanted
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["secrets"]["properties"]
    assert set(schema["values"]["properties"]) == wanted
    assert set(schema["keys"]["items"]["enum"]) == wanted
    assert set(schema["externalSecret"]["properties"]["remoteRefs"]["properties"]) == wanted
