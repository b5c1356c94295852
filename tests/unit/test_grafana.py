"""What Prometheus and Grafana are given: valid as far as can be told without them, and nothing but what we show.

Whether each figure is really shown is asked of a running stack, in `tests/integration/test_metrics.py`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.metrics import KNOWN

ROOT = Path(__file__).parents[2]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/bellwether.json").read_text())
ALERTS: dict[str, Any] = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [rule["expr"] for rule in RULES] + [target["expr"] for panel in PANELS for target in panel["targets"]]
FUNCTIONS = {"rate", "increase", "delta", "deriv", "sum", "histogram_quantile", "predict_linear", "vector"}
WORDS = {"by", "and", "or"}
_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"[^"]*")|(?P<range>\[\d+[smhd]\])|(?P<number>\d+(?:\.\d+)?(?:e\d+)?)|(?P<name>[a-zA-Z_:][\w:]*)
    |(?P<sign>=~|!~|!=|==|>=|<=|[-+*/<>=(){},]))""",
    re.VERBOSE,
)


def tokens(expression: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(expression.rstrip()):
        match = _TOKEN.match(expression, at)
        assert match, f"not PromQL at {expression[at:]!r}"
        assert match.lastgroup
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


def metrics_of(expression: str) -> set[str]:
    """The figures that an expression asks for: names that are no function, word, label or grouping."""
    plain = re.sub(r"\{[^}]*\}|by \([^)]*\)", " ", expression)
    return {text for kind, text in tokens(plain) if kind == "name"} - FUNCTIONS - WORDS


@pytest.mark.parametrize("expression", sorted(set(EXPRESSIONS)))
def test_an_expression_is_promql(expression: str) -> None:
    """Brackets close in order, functions are Prometheus's, operators stand between operands, and rates have a range."""
    opened: list[str] = []
    previous = ("sign", "(")
    for kind, text in tokens(expression):
        if text in ")}":
            assert opened
            assert opened.pop() + text in {"()", "{}"}
        elif text in "({":
            opened.append(text)
            if text == "(" and previous[0] == "name":
                assert previous[1] in FUNCTIONS | WORDS
        operator = kind == "sign" and text not in "(){},"
        assert not (operator and previous[0] == "sign" and previous[1] not in ")}"), f"two operators before {text}"
        operand = kind in {"name", "number"} and text not in WORDS
        assert not (operand and previous[0] in {"name", "number"} and previous[1] not in WORDS), f"{previous[1]} {text}"
        previous = (kind, text)
    assert not opened
    assert previous[1] in ")}" or previous[0] in {"name", "number"}
    for function, inside in re.findall(r"\b(rate|increase|delta|deriv|predict_linear)\(([^()]*)\)", expression):
        assert re.search(r"\[\d+[smhd]\]", inside), f"{function} over no time"
    assert metrics_of(expression), "asks for nothing of ours"


def test_a_rate_is_of_what_only_grows_and_a_change_of_what_does_not() -> None:
    for expression in EXPRESSIONS:
        for function, name in re.findall(r"\b(rate|increase|delta|deriv|predict_linear)\(([\w:]+)", expression):
            assert name.endswith(("_total", "_bucket", "_count", "_sum")) == (function in {"rate", "increase"}), name


def test_alerts_say_how_urgent_they_are_and_what_is_the_matter() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    monitoring = (ROOT / "docs/monitoring.md").read_text()
    for rule in RULES:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"]
        assert f"`{rule['alert']}`" in monitoring, "nobody is told what to do about it"


def test_each_figure_of_the_api_is_told_of() -> None:
    monitoring = (ROOT / "docs/monitoring.md").read_text()
    for name, (label, _) in KNOWN.items():
        assert f"`{name}{{{label}}}`" in monitoring or f"`{name}`" in monitoring, name


def test_the_dashboard_is_of_one_piece() -> None:
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, f"{panel['title']} covers another"
        taken |= cells
    assert all(panel["description"] for panel in PANELS)
    assert {panel["datasource"]["uid"] for panel in PANELS} == {"${source}"}, "the reader's own source"


def test_what_is_provisioned_is_where_compose_puts_it() -> None:
    monitoring = yaml.safe_load((ROOT / "deploy/monitoring.yml").read_text())
    main = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    volumes = [volume for service in monitoring["services"].values() for volume in service.get("volumes", [])]
    for source in (volume.split(":")[0] for volume in volumes):
        assert source in monitoring["volumes"] or (ROOT / source).exists()
    provider = yaml.safe_load((ROOT / "deploy/grafana/provisioning/dashboards/bellwether.yml").read_text())
    (folder,) = {p["options"]["path"] for p in provider["providers"]}
    assert any(f":{folder}/" in volume for volume in volumes)
    scraped = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    targets = {target for job in scraped for static in job["static_configs"] for target in static["targets"]}
    port = monitoring["services"]["ingest"]["environment"]["BELLWETHER_METRICS_PORT"]
    assert targets == {f"api:{main['services']['api']['environment']['BELLWETHER_HTTP_PORT']}", f"ingest:{port}"}
    networks = {**main["networks"], **monitoring["networks"]}
    for name in ("prometheus", "grafana"):
        service = monitoring["services"][name]
        assert set(service["networks"]) <= set(networks)
        assert all(published.startswith("127.0.0.1:") for published in service["ports"])
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
    for job in scraped:  # each alert that asks whether a job is up names one
        assert any(f'job="{job["job_name"]}"' in rule["expr"] for rule in RULES)
