"""Who may say and hear what at the broker, in the words of Mosquitto's dynamic-security plugin.

A role is a list of grants; what none of them allows is denied. A device's credential has a role of its own, and so has
each service of ours. Services are `bellwether` (ingest), `devices` (a simulated fleet or recorded files), `operator` (a
person's scripts) and `gate` (tells the plugin of credentials).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from telemetry.topics import ROOT

Grants = list[dict[str, Any]]

CONTROL = "$CONTROL/dynamic-security/v1"
ANSWERS = f"{CONTROL}/response"
# Everything below `spBv1.0/STATE` is what hosts say of themselves: no group of devices has that name.
_HOSTS = "STATE"


def _grants(says: Sequence[str] = (), hears: Sequence[str] = (), exactly: bool = False) -> Grants:
    """`exactly`: subscriptions must be these very filters, not some that they include."""
    subscribe = "subscribeLiteral" if exactly else "subscribePattern"
    return [
        {"acltype": kind, "topic": topic, "priority": 0, "allow": True}
        for kind, topics in (("publishClientSend", says), (subscribe, hears), ("publishClientReceive", hears))
        for topic in topics
    ]


def of_device(tenant: str, device: str, says: Sequence[str] = (), hears: Sequence[str] = ()) -> Grants:
    """Its own topics alone; `says` and `hears` are foreign ones granted beside them."""
    own = f"{ROOT}/{tenant}/{device}"
    return [
        *_grants([f"{own}/{kind}" for kind in ("telemetry", "waveform", "status")]),
        *_grants(hears=[f"{own}/ack", f"{own}/config"], exactly=True),
        *_grants(says, hears),
    ]


def of_gateway(tenant: str, says: Sequence[str] = (), hears: Sequence[str] = ()) -> Grants:
    """Those of any device of its tenant, and its tenant's group of Sparkplug."""
    own = f"{ROOT}/{tenant}/+"
    group = [f"spBv1.0/{tenant}/#"] if tenant != _HOSTS else []
    return [
        *_grants([f"{own}/{kind}" for kind in ("telemetry", "waveform", "status")] + group),
        *_grants(hears=[f"{own}/ack", f"{own}/config", *group, f"spBv1.0/{_HOSTS}/#"]),
        *_grants(says, hears),
    ]


SERVICES: dict[str, Grants] = {
    # Fleets whose topics are mapped publish anywhere: ingest may hear all, which `#` means without what begins with $.
    "bellwether": _grants(
        says=[f"{ROOT}/+/+/ack", f"{ROOT}/+/+/config", "bellwether/probe/#", "spBv1.0/#"], hears=["#", "$SYS/#"]
    ),
    "devices": [
        *_grants([f"{ROOT}/+/+/telemetry", f"{ROOT}/+/+/waveform", f"{ROOT}/+/+/status", "spBv1.0/#"]),
        *_grants(hears=[f"{ROOT}/+/+/ack", f"{ROOT}/+/+/config", "spBv1.0/#"]),
    ],
    "operator": _grants(says=["#"], hears=["#", "$SYS/#"]),
    "gate": _grants(says=[CONTROL], hears=[ANSWERS]),
}


def first_state() -> dict[str, Any]:
    """What the plugin begins with: the services' rights, no password, and nobody else.

    Everything is denied but leaving a topic, which tells nobody anything.
    """
    return {
        "defaultACLAccess": {
            "publishClientSend": False,
            "publishClientReceive": False,
            "subscribe": False,
            "unsubscribe": True,
        },
        "clients": [{"username": name, "roles": [{"rolename": name}]} for name in SERVICES],
        "groups": [],
        "roles": [{"rolename": name, "acls": grants} for name, grants in SERVICES.items()],
    }
