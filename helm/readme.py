"""Writes the tables of tailrace/README.md from values.schema.json and values.yaml.

python helm/readme.py            # writes them
python helm/readme.py --check    # exits with 1 when they are not current
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent / "tailrace"
BEGIN, END = "<!-- values: made by helm/readme.py -->\n", "<!-- end of values -->\n"


def rows(
    schema: dict[str, Any], values: Any, defs: dict[str, Any], path: str = ""
) -> Iterator[str]:
    """A table row for each value that has no values of its own."""
    for name, child in schema.get("properties", {}).items():
        key = f"{path}.{name}" if path else name
        if key in ("components", "global"):
            continue
        default = values.get(name) if isinstance(values, dict) else None
        target = defs.get(child.get("$ref", "").removeprefix("#/$defs/"), {})
        whole = {**target, **child}
        # Resources and the like are understood as a whole.
        if "properties" in whole and "$ref" not in child:
            yield from rows(whole, default, defs, key)
            continue
        shown = "" if default is None else f"`{json.dumps(default, ensure_ascii=False)}`"
        yield f"| `{key}` | {kind(whole)} | {shown} | {whole['description']} |"


def kind(schema: dict[str, Any]) -> str:
    """The type of a value, in a word or two."""
    if "enum" in schema:
        return ", ".join(f"`{choice}`" for choice in schema["enum"])
    return str(schema["type"])


def component_rows(schema: dict[str, Any], defs: dict[str, Any], path: str = "") -> Iterator[str]:
    """The fields of a component, whose defaults stand in a table of their own."""
    for name, child in schema["properties"].items():
        key = f"{path}.{name}" if path else name
        target = defs.get(child.get("$ref", "").removeprefix("#/$defs/"), {})
        whole = {**target, **child}
        if "properties" in child:
            yield from component_rows(whole, defs, key)
        elif "patternProperties" in child:
            (each,) = child["patternProperties"].values()
            yield from component_rows(each, defs, f"{key}.<name>")
        else:
            yield f"| `{key}` | {kind(whole)} | {whole['description']} |"


def tables() -> str:
    """All that stands between the marks."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    defs = schema["$defs"]
    lines = ["", "### Components", ""]
    lines += ["| `components.` | kind | replicas | slots | needs | requests | |"]
    lines += ["|---|---|---|---|---|---|---|"]
    described = schema["properties"]["components"]["properties"]
    for name, it in values["components"].items():
        asked = it["resources"]["requests"]
        lines.append(
            f"| `{name}` | {it['kind']} | {it['replicas']} | {it['slots']}"
            f" | {', '.join(it['needs'])}"
            f" | {asked['cpu']} CPU, {asked['memory']} | {described[name]['description']} |"
        )
    lines += ["", "Each has these fields (`components.predictor.replicas`, …):", ""]
    lines += ["| field | type | |", "|---|---|---|", *component_rows(defs["component"], defs)]
    lines += ["", "### Values", "", "| value | type | default | |", "|---|---|---|---|"]
    lines += [*rows(schema, values, defs), ""]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the tables, or check that they are current."""
    path = CHART / "README.md"
    text = path.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    current = head + BEGIN + tables() + END + rest.split(END)[1]
    if "--check" not in sys.argv[1:]:
        path.write_text(current, encoding="utf-8")
    elif current != text:
        sys.exit(f"{path} is not what its schema and values say: run python helm/readme.py")


if __name__ == "__main__":
    main()
