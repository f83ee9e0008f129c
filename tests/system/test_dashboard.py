"""The dashboard is what Grafana's own schema describes: its Python models read it and lose nothing."""

import enum
import json
import types
import typing

from grafana_foundation_sdk.cog import encoder, plugins
from grafana_foundation_sdk.models import dashboard

from harness import REPOSITORY

DASHBOARD = REPOSITORY / "deploy/observability/grafana-dashboard.json"


def lost(ours, theirs, path="") -> list[str]:
    """Where a value of ours is not in what the models made of it: they drop what they do not know."""
    match ours, theirs:
        case dict(), dict():
            keys = ours.keys()
            return [
                place
                for key in keys
                for place in (
                    lost(ours[key], theirs[key], f"{path}.{key}") if key in theirs else [f"{path}.{key}"]
                )
            ]
        case list(), list() if len(ours) == len(theirs):
            return [
                place
                for index, pair in enumerate(zip(ours, theirs))
                for place in lost(*pair, f"{path}[{index}]")
            ]
        case _:
            return [] if ours == theirs else [path]


def fits(value, kind) -> bool:
    """Whether a value is of the kind that a model declares."""
    arguments = typing.get_args(kind)
    match typing.get_origin(kind):
        case typing.Union | types.UnionType:
            return any(fits(value, argument) for argument in arguments)
        case typing.Literal:
            return value in arguments
        case origin if origin is list:
            return isinstance(value, list) and all(fits(one, arguments[0]) for one in value)
        case origin if origin is dict:
            return isinstance(value, dict) and all(fits(one, arguments[1]) for one in value.values())
    match kind:
        case typing.Any:
            return True
        case type() if issubclass(kind, enum.Enum):
            return value in [one.value for one in kind]
        case type() if kind is float:
            return isinstance(value, int | float) and not isinstance(value, bool)
        case type() if kind is int:
            return isinstance(value, int) and not isinstance(value, bool)
        case type():
            return isinstance(value, kind)
    return True


def misfits(value, path="") -> list[str]:
    """Every field of the models below a value that is not of its declared kind."""
    match value:
        case list():
            return [wrong for i, one in enumerate(value) for wrong in misfits(one, f"{path}[{i}]")]
        case dict():
            return [wrong for name, one in value.items() for wrong in misfits(one, f"{path}.{name}")]
        case enum.Enum():
            return []
    if not type(value).__module__.startswith("grafana_foundation_sdk."):
        return []
    wrong = []
    for name, kind in typing.get_type_hints(type(value)).items():
        own = getattr(value, name)
        if not fits(own, kind):
            wrong.append(f"{path}.{name}: {own!r} is no {kind}")
        wrong.extend(misfits(own, f"{path}.{name}"))
    return wrong


def read(text: str):
    plugins.register_default_plugins()
    return dashboard.Dashboard.from_json(json.loads(text))


def written(model) -> dict:
    return json.loads(encoder.JSONEncoder().encode(model))


def test_grafanas_models_read_the_dashboard_and_lose_nothing():
    text = DASHBOARD.read_text()
    model = read(text)
    assert misfits(model) == []
    assert lost(json.loads(text), written(model)) == []
    assert len(model.panels) > 20


def test_the_comparison_finds_what_the_schema_does_not_know():
    wrong = json.loads(DASHBOARD.read_text())
    panel = next(panel for panel in wrong["panels"] if panel["type"] == "timeseries")
    panel["legendd"] = "odd"
    panel["options"]["legend"]["placement"] = "top"
    panel["gridPos"]["w"] = "8"
    panel["targets"][0]["expression"] = "up"
    model = read(json.dumps(wrong))
    assert len(misfits(model)) >= 2, misfits(model)
    places = lost(wrong, written(model))
    assert len(places) == 2 and all("legendd" in place or "expression" in place for place in places), places
