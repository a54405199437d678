"""The API's documentation as one HTML page, made from its OpenAPI document."""

import json
import re
from collections.abc import Iterable, Iterator
from html import escape
from importlib.resources import files
from itertools import groupby
from typing import Any, NamedTuple

from regraft.domain import JSON


class Operation(NamedTuple):
    """One method of one path."""

    method: str
    path: str
    about: JSON

    @property
    def tag(self) -> str:
        return str(self.about["tags"][0])

    @property
    def anchor(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", f"{self.method} {self.path}".lower()).strip("-")


def page(document: JSON) -> str:
    """The whole page; it needs neither scripts nor the network."""
    info, operations = document["info"], list(_operations(document))
    groups = [(tag, list(found)) for tag, found in groupby(operations, lambda one: one.tag)]
    style = files("regraft.api").joinpath("docs_page.css").read_text("utf-8")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(info['title'])} API</title><style>{style}</style></head><body>"
        f"<header><h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>"
        f'{_prose(info["description"])}<p>For programs: <a href="/openapi.json">'
        f"OpenAPI {escape(document['openapi'])}</a></p></header>"
        f"<nav>{''.join(_index(*group) for group in groups)}</nav>"
        f"<main>{''.join(_group(*group) for group in groups)}</main></body></html>"
    )


def _operations(document: JSON) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, about in methods.items():
            yield Operation(method.upper(), path, about)


def _index(tag: str, operations: list[Operation]) -> str:
    links = "".join(
        f'<li><a href="#{one.anchor}">{_method(one)} {escape(one.path)}</a></li>'
        for one in operations
    )
    return f"<section><h2>{escape(tag)}</h2><ul>{links}</ul></section>"


def _group(tag: str, operations: list[Operation]) -> str:
    return f"<h2>{escape(tag)}</h2>" + "".join(map(_article, operations))


def _article(one: Operation) -> str:
    return (
        f'<article id="{one.anchor}"><h3>{_method(one)} <code>{escape(one.path)}</code></h3>'
        f"{_prose(one.about.get('description', ''))}"
        f"{_table('Parameters', _parameters(one.about))}"
        f"{_body(one.about.get('requestBody', {}))}"
        f"{_table('Answers', _answers(one.about))}</article>"
    )


def _method(one: Operation) -> str:
    return f'<b class="{one.method.lower()}">{one.method}</b>'


def _parameters(about: JSON) -> Iterator[tuple[str, ...]]:
    for parameter in about.get("parameters", []):
        schema, words = parameter["schema"], parameter.get("description", "")
        presence = _presence(schema, parameter["required"])
        yield _code(parameter["name"]), parameter["in"], _type(schema), presence, _inline(words)


def _body(body: JSON) -> str:
    return "".join(
        _table(f"Body: {media}", _fields(content["schema"]))
        or f"<h4>Body: {escape(media)}</h4><p>{_type(content['schema'])}</p>"
        for media, content in body.get("content", {}).items()
    )


def _fields(schema: JSON) -> Iterator[tuple[str, ...]]:
    required = schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        yield _code(name), _type(field), _presence(field, name in required)


def _answers(about: JSON) -> Iterator[tuple[str, ...]]:
    for status, answer in about["responses"].items():
        media = ", ".join(answer.get("content", {}))
        words = "any other" if status == "default" else status
        yield words, _inline(answer["description"]), escape(media)


def _presence(schema: JSON, required: bool) -> str:
    if required:
        return "required"
    default = schema.get("default")
    return "optional" if default is None else f"default {_code(json.dumps(default))}"


def _type(schema: JSON) -> str:
    """A schema in words: its type and what limits it."""
    if "anyOf" in schema:
        kinds = [_type(one) for one in schema["anyOf"] if one != {"type": "null"}]
        return " or ".join(kinds)
    limits = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "pattern")
    words = [f"{_LIMITS[key]} {_code(str(schema[key]))}" for key in limits if key in schema]
    kind = schema.get("format") or schema.get("type", "any")
    return ", ".join([escape(kind), *words])


_LIMITS = {
    "minimum": "≥",
    "exclusiveMinimum": "&gt;",
    "maximum": "≤",
    "exclusiveMaximum": "&lt;",
    "pattern": "like",
}


def _table(title: str, rows: Iterable[tuple[str, ...]]) -> str:
    """A table of cells that are HTML already; nothing if there are no rows."""
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return lines and f"<h4>{escape(title)}</h4><table>{lines}</table>"


def _prose(text: str) -> str:
    return "".join(f"<p>{_inline(part)}</p>" for part in text.split("\n\n") if part.strip())


def _inline(text: str) -> str:
    """Text as HTML; what stands between backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _code(text: Any) -> str:
    return f"<code>{escape(text)}</code>"
