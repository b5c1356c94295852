"""What a report says, how complete it is, and what is asked for; what a file is."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickets import attachments
from tickets.attachments import KINDS, NotTaken, checked, kind_of, name_of
from tickets.intake import (
    COMPLETE,
    QUESTIONS,
    SYMPTOMS,
    WEIGHTS,
    Intake,
    completeness,
    fault_class_of,
    merged,
    missing,
    symptom_of,
    title_of,
)
from tickets.priority import FaultClass

WHOLE = Intake(
    device="pump-01",
    serial="NK-1",
    customer="Dairy",
    contact="Mira",
    symptom="leakage",
    words="A puddle.",
    began_at=datetime(2026, 11, 22, tzinfo=UTC),
    situation="at full load",
    error_code="",
    service="on_site",
    windows=1,
    evidence=1,
)
RECORDS = st.builds(
    Intake,
    **{name: st.sampled_from([getattr(Intake(), name), getattr(WHOLE, name)]) for name in WEIGHTS},
)
DOCS = Path(__file__).parents[2] / "docs/reports.md"


def test_the_weights_are_of_a_hundred_and_of_every_field() -> None:
    assert sum(WEIGHTS.values()) == 100
    assert set(WEIGHTS) == set(QUESTIONS) == {field.name for field in fields(Intake)}


def test_a_whole_record_asks_for_nothing_and_an_empty_one_for_all() -> None:
    assert (missing(WHOLE), completeness(WHOLE)) == ([], 1.0)
    assert completeness(Intake()) == 0.0
    assert [gap.field for gap in missing(Intake())][:2] == ["device", "symptom"]
    # One small thing may lack of a record that is complete enough, two may not.
    assert completeness(replace(WHOLE, evidence=0)) >= COMPLETE
    assert completeness(replace(WHOLE, evidence=0, serial="")) < COMPLETE


def test_that_it_shows_no_code_is_an_answer_and_who_is_helped_from_afar_needs_no_window() -> None:
    assert [gap.field for gap in missing(replace(WHOLE, error_code=None))] == ["error_code"]
    assert missing(replace(WHOLE, service="remote", windows=0)) == []
    assert [gap.field for gap in missing(replace(WHOLE, service="send_in", windows=0))] == ["windows"]


@given(RECORDS, RECORDS)
def test_what_is_added_never_takes_away(record: Intake, later: Intake) -> None:
    both = merged(record, later)
    asked = {gap.field for gap in missing(both)}
    assert asked <= {gap.field for gap in missing(record)}
    assert asked <= {gap.field for gap in missing(later)} | ({"windows"} if both.service != later.service else set())
    assert completeness(both) == pytest.approx(1 - sum(WEIGHTS[name] for name in asked) / 100)
    assert both.evidence == record.evidence + later.evidence


def test_a_later_word_counts() -> None:
    assert merged(WHOLE, Intake(symptom="noise", words="It howls.")) == replace(
        WHOLE, symptom="noise", words="It howls."
    )


@pytest.mark.parametrize(
    ("fault", "mode", "quantity", "is_low", "symptom"),
    [
        ("condition", "VIB", "temperature", False, "vibration"),
        ("condition", "ELP", "flow", True, "leakage"),
        ("condition", "OHE", "current", False, "overheating"),
        ("condition", "", "vibration_velocity", False, "vibration"),
        ("condition", "", "temperature", False, "overheating"),
        ("condition", "", "temperature", True, "parameter_deviation"),
        ("condition", "", "flow", True, "low_output"),
        ("condition", "", "flow", False, "parameter_deviation"),
        ("condition", "???", "", False, "parameter_deviation"),
        ("instrument", "VIB", "vibration", False, "abnormal_reading"),
        ("site", "", "", False, "no_connection"),
    ],
)
def test_what_telemetry_shows_has_a_name(fault: str, mode: str, quantity: str, is_low: bool, symptom: str) -> None:
    assert symptom_of(fault, mode, quantity, is_low=is_low) == symptom


def test_the_worse_of_symptom_and_word_counts() -> None:
    assert fault_class_of("smoke", FaultClass.COSMETIC) is FaultClass.SAFETY
    assert fault_class_of("noise", FaultClass.LINE_DOWN) is FaultClass.LINE_DOWN
    assert fault_class_of("noise", None) is FaultClass.DEGRADED
    assert title_of("pump-01", "leakage", "E17") == "pump-01: it leaks what it pumps or holds (error E17)"


def test_the_docs_name_every_symptom_and_weight_as_they_are() -> None:
    text = DOCS.read_text()
    for name, symptom in SYMPTOMS.items():
        fault = f"`{symptom.fault}`" if symptom.fault else "its own"
        assert f"| `{name}` | {symptom.says} | {symptom.code} | `{symptom.fault_class}` | {fault} |" in text
    for name, weight in WEIGHTS.items():
        assert f"| `{name}` | {weight} |" in text


# Files ----------------------------------------------------------------------------------------------------------------

MP4 = b"\0\0\0\x18ftypisom\0\0\2\0isomiso2"
WEBP = b"RIFF\x10\0\0\0WEBPVP8 "


@pytest.mark.parametrize(
    ("head", "name", "kind"),
    [
        (b"\xff\xd8\xff\xe1\0\x10Exif", "x.exe", "jpeg"),
        (b"\x89PNG\r\n\x1a\n\0", "x.html", "png"),
        (WEBP, "x", "webp"),
        (MP4, "x.mov", "mp4"),
        (b"%PDF-1.7\n", "x.pdf", "pdf"),
        (b"2026-11-22 10:00 E17 \x1b[31mpressure\x1b[0m\n", "plc.log", "text"),
        ("Öldruck zu niedrig".encode("latin-1"), "plc.log", "text"),
        (b"time,flow\n1,2\n", "READINGS.CSV", "csv"),
    ],
)
def test_a_file_is_what_it_holds(head: bytes, name: str, kind: str) -> None:
    assert kind_of(head, name) == kind


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"<!DOCTYPE html><script>alert(1)</script>",
        b"\xef\xbb\xbf  <svg xmlns='http://www.w3.org/2000/svg' onload='x()'/>",
        b"<?xml version='1.0'?><svg/>",
        b"GIF89a\1\0\1\0",
        b"MZ\x90\0\3\0",
        b"\x7fELF\2\1\1\0",
        b"PK\3\4\x14\0",
        b"\0\0\0\x18ftypheic\0\0\0\0",
        b"RIFF\x10\0\0\0WAVEfmt ",
        "UTF-16".encode("utf-16"),
    ],
)
@pytest.mark.parametrize("name", ["seal.jpg", "plc.log"])
def test_what_could_run_and_what_is_unknown_is_not_taken(head: bytes, name: str) -> None:
    with pytest.raises(NotTaken):
        kind_of(head, name)


def test_a_text_is_looked_at_to_its_end_and_a_photo_is_not() -> None:
    pieces = [b"time,flow\n", b"MZ\x90\0"]
    with pytest.raises(NotTaken):
        list(checked("csv", pieces))
    assert list(checked("jpeg", pieces)) == pieces


@given(st.text(max_size=300), st.sampled_from(sorted(KINDS)))
def test_a_name_is_safe_whatever_it_was(given_name: str, kind: str) -> None:
    name = name_of(given_name, kind)
    assert name.lower().endswith(KINDS[kind].endings)
    assert not set(name) & set("/\\\0\r\n\t\u202e")
    assert name.isprintable()
    assert not name.startswith(".")
    assert len(name) <= attachments.LONGEST_NAME
    assert name_of(name, kind) == name


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("../../etc/passwd", "passwd.txt"),
        ("C:\\fakepath\\seal.log", "seal.log"),
        ("seal.txt.exe", "seal.txt.exe.txt"),
        (".txt", "txt.txt"),
        ("\u202etxt.gpj", "txt.gpj.txt"),
        ("", "file.txt"),
    ],
)
def test_a_name_keeps_what_it_can(given_name: str, name: str) -> None:
    assert name_of(given_name, "text") == name
