"""Who works with the demonstration's machines: people of every role, two customers, parts in depots and in vans."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from bellwether.up import Stack
from tickets.calendar import WEEKDAYS

PEOPLE = {
    "kim": ("Kim Adeyemi", "engineer"),
    "noor": ("Noor Haddad", "engineer"),
    "dana": ("Dana Lindholm", "dispatcher"),
    "sam": ("Sam Ortega", "depot"),
    "eva": ("Eva Moreau", "expert"),
    "ines": ("Ines Castro", "inspector"),
    "max": ("Max Brandt", "manager"),
    "ola": ("Ola Reinhardt", "owner"),
}
OWNER, OWNS = "ola", "K-1007"
_CUSTOMERS = """number,name,contact,tier
K-1007,Riverside Dairy,"Ola Reinhardt, works manager",vip
K-1031,Hill Water Board,"Control room, day and night",regular
"""
_FILES = """device,customer,serial,purchased_on,warranty_until,criticality,safety_equipment
pump-01,K-1007,CP8040-20117,2024-03-18,2027-03-18,A,no
pump-04,K-1007,CP8040-20361,2025-01-09,2028-01-09,B,no
gearmotor-02,K-1007,HG1120-7754,2021-06-02,2023-06-02,B,no
compressor-01,K-1007,SC55-0093,2022-10-27,2025-10-27,A,no
compressor-02,K-1007,SC55-0114,2024-08-13,2027-08-13,A,no
compressor-03,K-1007,SC55-0121,2024-11-05,2027-11-05,C,no
pump-02,K-1031,CP8040-18802,2020-04-15,2022-04-15,B,yes
pump-03,K-1031,CP8040-18803,2020-04-15,2022-04-15,B,no
pump-05,K-1031,CP8040-20902,2026-02-24,2029-02-24,B,no
gearmotor-01,K-1031,HG1120-6120,2019-09-30,2021-09-30,C,no
gearmotor-03,K-1031,HG1120-8011,2023-07-11,2026-07-11,B,no
gearmotor-04,K-1031,HG1120-8012,2023-07-11,2026-07-11,B,no
"""
_DAY_AND_NIGHT = {"zone": "UTC", "week": {day: ["00:00-24:00"] for day in WEEKDAYS}, "exceptions": []}
_ENGINEERS: tuple[dict[str, Any], ...] = (
    {"login": "kim", "skills": ["mechanical", "alignment", "lubrication"], "latitude": 49.47, "longitude": 11.05},
    {"login": "noor", "skills": ["mechanical", "lubrication", "electrical"], "latitude": 49.62, "longitude": 11.02},
)
_SITES = (
    {"site": "Riverside works", "latitude": 49.45, "longitude": 11.11},
    {"site": "Hill depot", "latitude": 49.66, "longitude": 10.98},
)
_PLAN = {
    "name": "Grease the bearings",
    "model": "CP 80-40",
    "trigger": {"kind": "hours", "amount": 2000},
    "steps": "Wipe the nipples.\nTwo strokes each, while it runs.\nWrite down the temperature after an hour.",
    "skills": ["lubrication"],
}
_DEPOTS: tuple[dict[str, str], ...] = (
    {"name": "central", "kind": "central", "region": ""},
    {"name": "riverside", "kind": "city", "region": "Riverside works"},
    {"name": "hill", "kind": "city", "region": "Hill depot"},
    {"name": "van-kim", "kind": "van", "engineer": "kim"},
    {"name": "van-noor", "kind": "van", "engineer": "noor"},
)
_PARTS = """number,name,value,fits,serialised,low_at,lead_days,shelf_days,cures
6205-2RS,Deep groove ball bearing 6205,14.20,CP 80-40|HG 11-20,no,4,7,,bearing_wear
NU-310,Cylindrical roller bearing NU 310,118.00,SC 55,no,2,21,,bearing_wear
SEAL-80,Mechanical shaft seal 80 mm,212.50,CP 80-40,no,2,14,,pump.leak
STRAINER-80,Suction strainer,39.90,CP 80-40,no,1,10,,pump.blocked_filter|cavitation
FILTER-55,Intake filter element,64.00,SC 55,no,2,10,,compressor.blocked_filter
GEAROIL-220,"Gear oil 220, 5 l",58.00,HG 11-20,no,2,5,1460,lubrication_loss|gear.oil_aged|gear.oil_leak
IMP-80,Impeller 80-40,486.00,CP 80-40,yes,0,28,,imbalance|cavitation
"""
_STOCK = """depot,part,quantity,lot,expires_on,serial
central,6205-2RS,24,,,
central,NU-310,4,,,
central,SEAL-80,6,,,
central,IMP-80,1,,,IMP-80-4411
central,IMP-80,1,,,IMP-80-4412
riverside,6205-2RS,4,,,
riverside,FILTER-55,3,,,
riverside,STRAINER-80,2,,,
hill,6205-2RS,3,,,
hill,GEAROIL-220,6,L-2291,2029-10-31,
hill,SEAL-80,1,,,
van-kim,6205-2RS,2,,,
van-kim,SEAL-80,1,,,
van-noor,6205-2RS,1,,,
"""
_LOOK_EVERY_S = 2.0


def accounts(stack: Stack) -> dict[str, str]:
    """The people's passwords by login: made with the folder, and kept in it."""
    return {login: stack.folder.secret(f"password_{login}") for login in PEOPLE}


def found_company(stack: Stack) -> None:
    """People, customers and parts; what an earlier run has made stays as it is.

    Raises
    ------
    httpx.HTTPError
        The API refuses, or is away.
    """
    with _administrator(stack) as client:
        for login, password in accounts(stack).items():
            name, role = PEOPLE[login]
            _made(client, "users", {"login": login, "name": name, "role": role, "password": password})
        _take(client, "customers/import", _CUSTOMERS)
        for user in client.get("/api/v1/users", params={"limit": 100}).raise_for_status().json()["items"]:
            if user["login"] == OWNER:
                client.patch(f"/api/v1/users/{user['id']}", json={"customer": OWNS}).raise_for_status()
        for depot in _DEPOTS:
            _made(client, "depots", depot)
        _take(client, "parts/import", _PARTS)
        for engineer in _ENGINEERS:
            _made(client, "engineers", {**engineer, "shifts": _DAY_AND_NIGHT})
        if client.get("/api/v1/depots/central").raise_for_status().json()["parts"] == 0:
            _take(client, "parts/opening-stock", _STOCK)


def file_machines(stack: Stack, stopped: threading.Event) -> None:
    """Say whose each machine is, where the sites are and what is planned, once all have been heard of.

    Raises
    ------
    httpx.HTTPError
    """
    filed = {line.partition(",")[0] for line in _FILES.splitlines()[1:]}
    with _administrator(stack) as client:
        while not stopped.wait(_LOOK_EVERY_S):
            known = client.get("/api/v1/devices", params={"limit": 100}).raise_for_status().json()["items"]
            if filed <= {machine["device"] for machine in known}:
                _take(client, "devices/import", _FILES)
                for site in _SITES:
                    client.put("/api/v1/sites", json=site).raise_for_status()
                if not client.get("/api/v1/plans").raise_for_status().json()["items"]:
                    _made(client, "plans", _PLAN)
                return


@contextmanager
def _administrator(stack: Stack) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {stack.admin_token}"}
    with httpx.Client(base_url=stack.api_url, headers=headers, timeout=10.0, trust_env=False) as client:
        yield client


def _take(client: httpx.Client, table: str, csv: str) -> None:
    client.post(f"/api/v1/{table}", json={"csv": csv}).raise_for_status()


def _made(client: httpx.Client, what: str, body: dict[str, Any]) -> None:
    answer = client.post(f"/api/v1/{what}", json=body)
    if answer.status_code != httpx.codes.CONFLICT:
        answer.raise_for_status()
