"""What is installed, how the server is, and the pages."""

import re
from importlib.metadata import version

import pytest

from regraft.api.docs_page import page


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("sources", "minilm-l6"),
        ("tasks", "text-classification"),
        ("strategies", "linear-probe"),
        ("plugins", "transfer"),
    ],
)
def test_what_plugins_offer_is_listed(site, kind, name):
    items = site.http.get(f"/v1/{kind}").json()["items"]
    assert name in [item["name"] for item in items]


def test_health_tells_the_version(site):
    found = site.http.get("/v1/health").json()
    assert found == {"status": "ok", "version": version("regraft")}


def test_metrics_are_prometheus_text(site):
    answer = site.http.get("/metrics")
    assert answer.text == "regraft_up 1\n"
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


def test_the_root_leads_to_the_documentation(site):
    assert site.http.get("/").url.path == "/docs"


def test_every_operation_field_and_parameter_is_documented(site):
    html = site.http.get("/docs").text
    for path, methods in site.http.get("/openapi.json").json()["paths"].items():
        for method, about in methods.items():
            article = re.search(
                rf'<b class="{method}">\w+</b> <code>{re.escape(path)}</code>', html
            )
            assert article, path
            for parameter in about.get("parameters", []):
                assert f"<code>{parameter['name']}</code>" in html
    assert "<code>label_column</code>" in html


def test_the_documentation_loads_nothing(site):
    answer = site.http.get("/docs")
    assert not re.search(r"<script|<link|<img|@import|url\(|https?:", answer.text)
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_every_index_entry_leads_somewhere(site):
    html = site.http.get("/docs").text
    links = re.findall(r'href="#([^"]+)"', html)
    assert links
    assert sorted(links) == sorted(re.findall(r'<article id="([^"]+)"', html))


def test_text_of_the_api_is_escaped_in_the_documentation():
    about = {"tags": ["<b>"], "description": "a < b", "responses": {}}
    info = {"title": "<t>", "version": "1", "description": "`<x>`"}
    html = page({"openapi": "3.1.0", "info": info, "paths": {"/<p>": {"get": about}}})
    assert "<code>&lt;x&gt;</code>" in html
    assert "a &lt; b" in html
    assert not re.search(r"<t>|<p>\"|<x>|/<p>", html)
