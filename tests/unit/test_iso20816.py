"""Zones of ISO 20816-3."""

from __future__ import annotations

import pytest

from detectors.vibration import zone


@pytest.mark.parametrize(
    ("group", "support", "limits"),
    [
        (2, "rigid", (1.4, 2.8, 4.5)),
        (2, "flexible", (2.3, 4.5, 7.1)),
        (1, "rigid", (2.3, 4.5, 7.1)),
        (1, "flexible", (3.5, 7.1, 11.0)),
    ],
)
def test_zones_end_where_the_table_says(group: int, support: str, limits: tuple[float, float, float]) -> None:
    for letter, limit in zip("ABC", limits, strict=True):
        assert zone(limit, group, support).letter == letter
        assert zone(limit + 1e-9, group, support).letter != letter
    found = zone(100.0, group, support)
    assert (found.letter, found.limits_mm_s) == ("D", limits)
    assert f"group {group}, {support}" in found.table
    assert zone(0.0, group, support).letter == "A"


@pytest.mark.parametrize(("group", "support"), [(3, "rigid"), (0, "flexible"), (1, ""), (2, "soft")])
def test_no_zone_without_group_and_support(group: int, support: str) -> None:
    with pytest.raises(ValueError, match="group"):
        zone(1.0, group, support)
