"""Which addresses a person may be reached at: kinds that lead out of the house, with settings that change nothing else.

Apprise knows addresses that run a program, write to a log or look into a file: those allowed are named here, and so are
the settings that may stand in one. What such a name means on the network is judged when it is sent to.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from apprise import NotifyBase

LONGEST = 1000
KINDS: dict[str, str] = {
    **dict.fromkeys(("mailto", "mailtos"), "E-mail"),
    **dict.fromkeys(("json", "jsons"), "JSON over HTTP"),
    **dict.fromkeys(("ntfy", "ntfys"), "ntfy"),
    **dict.fromkeys(("gotify", "gotifys"), "Gotify"),
    **dict.fromkeys(("mmost", "mmosts"), "Mattermost"),
    **dict.fromkeys(("matrix", "matrixs"), "Matrix"),
    **dict.fromkeys(("rocket", "rockets"), "Rocket.Chat"),
    **dict.fromkeys(("signal", "signals"), "Signal"),
    **dict.fromkeys(("smseagle", "smseagles"), "SMS (SMSEagle)"),
    "slack": "Slack",
    "discord": "Discord",
    "tgram": "Telegram",
    "workflows": "Microsoft Teams",
    "gchat": "Google Chat",
    "wxteams": "Webex",
    "zulip": "Zulip",
    "pover": "Pushover",
    "whatsapp": "WhatsApp",
    "threema": "Threema",
    "pagerduty": "PagerDuty",
    "opsgenie": "Opsgenie",
    "splunk": "Splunk On-Call",
    "twilio": "SMS (Twilio)",
    "vonage": "SMS (Vonage)",
    "clickatell": "SMS (Clickatell)",
    "clicksend": "SMS (ClickSend)",
    "bulksms": "SMS (BulkSMS)",
    "bulkvs": "SMS (BulkVS)",
    "d7sms": "SMS (D7)",
    "msgbird": "SMS (MessageBird)",
    "seven": "SMS (seven)",
    "sinch": "SMS (Sinch)",
    "plivo": "SMS (Plivo)",
    "sns": "SMS (Amazon SNS)",
    "voipms": "SMS (VoIP.ms)",
    "httpsms": "SMS (httpSMS)",
    "46elks": "SMS (46elks)",
    "kavenegar": "SMS (Kavenegar)",
    "msg91": "SMS (MSG91)",
}
"""What Apprise calls them, and what people do."""
MAIL = ("mailto", "mailtos")
# Elsewhere a token stands where the host is.
_HOSTED = frozenset({*MAIL, "json", "jsons", "gotify", "gotifys", "mmost", "mmosts", "rocket", "rockets"})
_OF_MAIL = frozenset({"to", "from", "cc", "bcc", "reply", "name", "user", "pass", "smtp", "mode"})
_SETTINGS = _OF_MAIL | {"token", "channel", "thread", "topic", "priority", "sound", "region", "source"}


class BadAddress(ValueError):
    """No address to reach a person at; says why, without the address."""


@dataclass(frozen=True, slots=True)
class Address:
    """What may be shown of one: its kind, and its host where that is no secret."""

    scheme: str
    host: str


def address_of(url: str, *, only: tuple[str, ...] = ()) -> Address:
    """What an address is, once it is one that may be kept. `only`: of these kinds.

    Raises
    ------
    BadAddress
    """
    scheme, host = _parts_of(url, only)
    plugin_of(url)
    return Address(scheme, host if scheme in _HOSTED else "")


def plugin_of(url: str) -> NotifyBase:
    """What sends to this address. Loads Apprise, a second's work the first time.

    Raises
    ------
    BadAddress
    """
    _parts_of(url, ())
    from apprise import Apprise, AppriseAsset  # noqa: PLC0415  # a second, for who sends or keeps one alone

    _mute()
    asset = AppriseAsset(app_id="Bellwether", app_desc="Bellwether", app_url="", async_mode=False, secure_logging=True)
    plugin = Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if plugin is None:
        raise BadAddress("an address whole as Apprise describes it: a part is missing or wrong")
    return plugin


@cache
def _mute() -> None:
    """Nothing that Apprise says goes to our own log, where whole addresses would stand."""
    log = logging.getLogger("apprise")
    log.addHandler(logging.NullHandler())
    log.setLevel(logging.WARNING)
    log.propagate = False


def _parts_of(url: str, only: tuple[str, ...]) -> tuple[str, str]:
    if not 1 <= len(url) <= LONGEST or not url.isprintable() or " " in url:
        raise BadAddress(f"an address of at most {LONGEST} printable characters")
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        raise BadAddress("an address with a host") from None
    if parts.scheme not in KINDS or (only and parts.scheme not in only):
        known = ", ".join(f"{kind}://" for kind in only or KINDS)
        raise BadAddress(f"of a kind that may be sent to: {known}")
    unknown = [key for key, _ in parse_qsl(parts.query, keep_blank_values=True) if key.lower() not in _SETTINGS]
    if unknown or parts.fragment:
        raise BadAddress(f"with no settings but {', '.join(sorted(_SETTINGS))}")
    return parts.scheme, host
