"""The rules as they are shipped: well formed, documented, and right about their times (promtool)."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from evs_operator.observe.metrics import Metrics
from support.alert_rules import RULES, alerts, shipped, shortened, state_metrics
from support.operator_process import ROOT
from support.prometheus import programs

RUNBOOKS = ROOT / "docs" / "runbooks" / "README.md"
METRIC = re.compile(r"(?:\b\w+:)?\b(?:evs_operator|process)_\w+(?::\w+)?|\bup\b|\b\w+_state\b")
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
CASES = Path(__file__).with_name("rules.test.yaml")


def promtool(*arguments: str, cwd: Path) -> str:
    done = subprocess.run([str(programs().promtool), *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_accepts_the_rules() -> None:
    assert "SUCCESS" in promtool("check", "rules", "--lint-fatal", str(RULES), cwd=RULES.parent)


def test_the_alerts_fire_at_their_times_and_not_before(tmp_path: Path) -> None:
    for file in (RULES, CASES):
        shutil.copy(file, tmp_path)
    assert "SUCCESS" in promtool("test", "rules", CASES.name, cwd=tmp_path)


def test_every_alert_is_tested_at_its_full_times() -> None:
    cases = CASES.read_text(encoding="utf-8")
    fires = re.findall(r'ALERTS\{alertname="(\w+)", alertstate="firing", severity|alertname: (\w+)', cases)
    assert {"".join(names) for names in fires} == {rule["alert"] for rule in alerts()}


def test_every_alert_says_how_bad_it_is_what_happened_and_where_its_runbook_is() -> None:
    text = RUNBOOKS.read_text(encoding="utf-8")
    for rule in alerts():
        assert rule["labels"]["severity"] in ("info", "warning", "critical"), rule["alert"]
        assert {"summary", "description"} <= rule["annotations"].keys(), rule["alert"]
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert page.startswith("https://")
        assert page.endswith("/docs/runbooks/README.md")
        assert anchor == rule["alert"].lower()
        assert f"\n## {rule['alert']}\n" in text


def test_every_runbook_section_belongs_to_an_alert_and_has_the_same_four_parts() -> None:
    sections = re.split(r"^## ", RUNBOOKS.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert [section.partition("\n")[0] for section in sections] == [rule["alert"] for rule in alerts()]
    for section in sections:
        parts = re.findall(r"^\*\*(\w+)\*\*", section, flags=re.MULTILINE)
        assert parts == ["Symptoms", "Meaning", "Diagnosis", "Remedy"], section.partition("\n")[0]


def test_the_rules_use_no_metric_that_is_not_there() -> None:
    served = text_string_to_metric_families(Metrics().render().decode())
    there = {"up"} | {family.name + suffix for family in served for suffix in SUFFIXES.get(family.type, ("",))}
    rules = [rule for group in shipped()["groups"] for rule in group["rules"]]
    there |= {rule["record"] for rule in rules if "record" in rule} | set(state_metrics())
    named = {name for rule in rules for name in METRIC.findall(rule["expr"])}
    assert named - there == set()
    assert len(named) > 10


def test_the_rules_ask_kube_state_metrics_for_labels_that_its_configuration_gives() -> None:
    for rule in alerts():
        for metric, labels in state_metrics().items():
            if re.search(rf"\b{metric}\b", rule["expr"]):
                named = set(re.findall(r"(\w+)=", rule["expr"])) | set(re.findall(r"\$labels\.(\w+)", str(rule)))
                assert named <= labels, rule["alert"]


def test_shortening_changes_times_only() -> None:
    for mine, theirs in zip(shipped()["groups"], shortened()["groups"], strict=True):
        for rule, short in zip(mine["rules"], theirs["rules"], strict=True):
            assert rule.keys() == short.keys()
            without_numbers = re.compile(r'\[\d+[smh]\]|le="[\d.]+"|> \d+')
            assert without_numbers.sub("", rule["expr"]) == without_numbers.sub("", short["expr"])
