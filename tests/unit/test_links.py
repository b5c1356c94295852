"""Where messages lead, and whom."""

from __future__ import annotations

import dataclasses

import pytest

from notify.channels.messenger import words_of
from store.messages.deliveries import Due
from tickets.links import address_of


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("", ""),
        ("  ", ""),
        ("https://service.example", "https://service.example"),
        (" https://service.example/ ", "https://service.example"),
        ("http://127.0.0.1:8090", "http://127.0.0.1:8090"),
        ("http://plant-3:8080", "http://plant-3:8080"),
    ],
)
def test_an_address_of_pages_is_kept_without_its_slash(typed: str, address: str) -> None:
    assert address_of(typed) == address


@pytest.mark.parametrize(
    "typed",
    [
        *(
            "service.example",
            "//service.example",
            "ftp://service.example",
            "javascript:alert(1)",
            "https:a.example",
        ),
        *("https://", "https://:8080", "https://-x.example", "https://a..example", "https://service.example:"),
        *("https://service.example:99999", "https://service.example:0", "https://service.example:x", "https://[::1"),
        *("https://kim:secret@service.example", "https://kim@service.example", "https://@service.example"),
        *("https://service.example/pages", "https://service.example?x", "https://service.example/#x"),
        *("https://service.example/\r\nBcc: x", "https://ser vice.example", "https://bücher.example"),
        f"https://{'x.' * 110}example",
    ],
)
def test_what_leads_elsewhere_or_nowhere_is_none(typed: str) -> None:
    with pytest.raises(ValueError, match=r"an address|[Pp]ort|IPv6"):
        address_of(typed)


def due(login: str, page: str, address: str) -> Due:
    fields = dict.fromkeys(field.name for field in dataclasses.fields(Due))
    return Due(**{**fields, "login": login, "body": "body\n", "page": page, "address": address})


def test_staff_are_led_to_the_page_and_customers_to_nothing_of_staff_s() -> None:
    assert words_of(due("kim", "/alarms/7", "https://a.example")) == "body\n\nhttps://a.example/alarms/7"
    for nowhere in (
        due("", "/tickets/7", "https://a.example"),
        due("kim", "/tickets/7", ""),
        due("kim", "", "https://a.example"),
    ):
        assert words_of(nowhere) == "body\n"
