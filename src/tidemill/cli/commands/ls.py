"""`tidemill ls`: flows, tasks, assets and sources, as the modules define them, and what is shown of each asset."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from tidemill.cli.options import as_json, environment, in_project
from tidemill.cli.render.words import Style, clip, json_text, style_of
from tidemill.cli.versions import asset_list, line_data
from tidemill.project.places import find
from tidemill.project.project import Project


@click.command("ls")
@click.argument("target", nargs=-1)
@as_json
@environment
@in_project
def command(target: tuple[str, ...], json_: bool, environment: str, project: str) -> int:
    """The flows, tasks, assets and sources of the project, or of a file, folder or module."""
    place = find([project, *target] if project else target, Path.cwd())
    defined, assets = Project.at(place, environment).listed()
    if place.names:
        defined = {**defined, "flows": [flow for flow in defined["flows"] if flow["name"] in place.names]}
        assets = [one for one in assets if one.entry.name in place.names]
    if json_:
        click.echo(json_text({**defined, "assets": [line_data(one) for one in assets]}))
        return 0
    style = style_of(sys.stdout)
    for line in (*_lines(defined, style, any_assets=bool(assets)), *asset_list(assets, style)):
        click.echo(style.text(line))
    return 0


def _lines(defined: Mapping[str, Any], style: Style, *, any_assets: bool) -> Iterator[str]:
    for flow in defined["flows"]:
        yield f"{style.bold('flow ' + _called(flow))}  {style.dim(_where(flow))}"
        if flow.get("doc"):
            yield f"    {clip(flow['doc'].splitlines()[0], 120)}"
        for name, field in flow.get("parameters", {}).get("properties", {}).items():
            required = name in flow["parameters"].get("required", ())
            yield f"    --{name}  {_type(field)}{'' if required else _default(field)}"
    if not defined["flows"] and not any_assets:
        yield "There are no flows."
    for task in defined["tasks"]:
        doc = f"  {clip(task['doc'].splitlines()[0], 80)}" if task.get("doc") else ""
        yield f"task {_called(task)}  {style.dim(_where(task))}{doc}"
    for resource in defined["resources"]:
        yield f"resource {resource['name']}: {resource['type']}"


def _called(one: Mapping[str, Any]) -> str:
    """How it is called: its signature, which has the function's name, after its own if that is another."""
    signature, name = one.get("signature", ""), one["name"]
    return signature if signature.startswith(f"{name}(") else f"{name} = {signature}" if signature else name


def _default(field: Mapping[str, Any]) -> str:
    return f" (default {field.get('default')!r})"


def _type(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return "one of " + ", ".join(map(str, field["enum"]))
    if "anyOf" in field:
        return " or ".join(_type(one) for one in field["anyOf"])
    return str(field.get("format") or field.get("type") or field.get("$ref", "value").rpartition("/")[2])


def _where(one: Mapping[str, Any]) -> str:
    try:
        file = os.path.relpath(one["file"])
    except ValueError:
        file = one["file"]
    return f"{file}:{one['line']}"
