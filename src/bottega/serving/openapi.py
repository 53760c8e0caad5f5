"""What the service offers, as an OpenAPI document and as a page: both are made from the types that it decodes with."""

from __future__ import annotations

import html
import json
from collections.abc import Collection
from typing import Any

import msgspec

from bottega.serving.clicks import Click
from bottega.serving.refusals import Refused
from bottega.serving.spending import Clicked
from bottega.serving.wire import Answer

_REF = "#/components/schemas/{name}"


class Accepted(msgspec.Struct):
    """What events are answered with: they are on the disk."""

    accepted: int
    request_id: str


def document(design: str, version: str, request_type: type[msgspec.Struct], tables: Collection[str]) -> dict[str, Any]:
    """Write the OpenAPI 3.1 document of a design's service.

    design: its name. version: the build. request_type: of its requests. tables: of which events are accepted.
    Source: https://spec.openapis.org/oas/v3.1.0
    """
    (request, answer, refused, accepted, click, clicked), schemas = msgspec.json.schema_components(
        [request_type, Answer, Refused, Accepted, Click, Clicked], ref_template=_REF
    )
    event = {
        "type": "object",
        "required": ["table"],
        "properties": {
            "table": {"type": "string", "enum": list(tables)},
            "time": {
                "type": ["string", "number", "null"],
                "description": "ISO 8601, a time as the table's source has it, or whole microseconds since 1970 UTC",
            },
        },
        "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
    }
    schemas["Event"] = event
    events = {"$ref": "#/components/schemas/Event"}
    faults = {
        "400": "The body is no JSON",
        "413": "The body is longer than 1 MiB",
        "415": "The body says that it is no JSON",
        "422": "A field is unknown, of another type, or impossible",
        "503": "Nothing is loaded, or the log cannot be written",
    }
    refusals = {status: {"description": told, "content": _json(refused)} for status, told in faults.items()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": design,
            "version": version,
            "description": "Every answer that is none is JSON: {error: {where, found, allowed, fix}}.",
        },
        "paths": {
            "/rank": {
                "post": {
                    "summary": "Rank items for a request",
                    "requestBody": {"required": True, "content": _json(request)},
                    "responses": {"200": {"description": "Ranked items", "content": _json(answer)}, **refusals},
                }
            },
            "/clicks": {
                "post": {
                    "summary": "Charge a click on an item that an answer sold, once",
                    "requestBody": {"required": True, "content": _json(click)},
                    "responses": {
                        "200": {
                            "description": "What it costs, and whether it was charged now",
                            "content": _json(clicked),
                        },
                        "404": {"description": "No such sale, or one too old", "content": _json(refused)},
                        **refusals,
                    },
                }
            },
            "/events": {
                "post": {
                    "summary": "Take one event or a list of them; they are on the disk before the answer",
                    "requestBody": {
                        "required": True,
                        "content": _json({"anyOf": [events, {"type": "array", "items": events}]}),
                    },
                    "responses": {"202": {"description": "On the disk", "content": _json(accepted)}, **refusals},
                }
            },
            "/health": {"get": _told("The process is alive")},
            "/ready": {"get": _told("Every worker has loaded a build; 503 before")},
            "/metrics": {"get": _told("Counters of all workers, for Prometheus", "text/plain")},
            "/openapi.json": {"get": _told("This document")},
            "/docs": {"get": _told("The same as a page", "text/html")},
        },
        "components": {"schemas": schemas},
    }


def page(told: dict[str, Any]) -> str:
    """Write the document as one page of HTML that loads nothing from elsewhere."""
    schemas = told["components"]["schemas"]
    name = told["paths"]["/rank"]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    fields = schemas[name.rpartition("/")[2]]["properties"]
    own = [field for field in fields if field not in ("k", "candidates", "view", "request_id")]
    asked: dict[str, Any] = {**dict.fromkeys(own, "…"), "k": 20}
    if "Candidate" in schemas:  # numbers travel with them
        asked["candidates"] = [{name: "…" if name == "id" else 1.5 for name in schemas["Candidate"]["properties"]}]
    example = json.dumps(asked, ensure_ascii=False)
    rows = "".join(
        f"<tr><td><code>{method.upper()} {html.escape(path)}</code></td><td>{html.escape(what['summary'])}</td></tr>"
        for path, methods in told["paths"].items()
        for method, what in methods.items()
    )
    parts = "".join(
        f'<h3 id="{html.escape(key)}">{html.escape(key)}</h3><pre>{html.escape(json.dumps(schema, indent=2))}</pre>'
        for key, schema in schemas.items()
    )
    title = html.escape(told["info"]["title"])
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body{{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}
td{{padding:.2rem 1rem .2rem 0;vertical-align:top}}pre{{background:#f4f4f4;padding:1rem;overflow:auto}}</style></head>
<body><h1>{title}</h1><p>Build {html.escape(told["info"]["version"])}. {html.escape(told["info"]["description"])}
The same for machines: <a href="/openapi.json">/openapi.json</a>.</p>
<table>{rows}</table>
<h2>For example</h2>
<pre>curl -H 'content-type: application/json' -d '{html.escape(example)}' <span id="here">http://HOST:PORT</span>/rank</pre>
<h2>Types</h2>{parts}
<script>document.getElementById("here").textContent = location.origin</script></body></html>
"""


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _told(summary: str, kind: str = "application/json") -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": {"description": summary, "content": {kind: {}}}}}
