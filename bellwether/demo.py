"""`bellwether demo`: the stack, a fleet whose machines begin to fail, and a line for each alarm and ticket."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import httpx
import orjson

from bellwether.demo_company import OWNER, PEOPLE, accounts, file_machines, found_company
from bellwether.stack.supervisor import Role
from bellwether.up import ADMINISTRATOR, Options, Stack, running_stack

Say = Callable[[str], None]
_RECONNECT_S = 1.0
# What the owner of these machines has set: healthy pumps and gearmotors run at 1 mm/s, compressors at 1.5, and the
# highest is where ISO 20816-3 tells from unrestricted operation what should not go on for long (group 2, rigid).
_LIMITS_MM_S = {"pump-*": (1.8, 2.8), "gearmotor-*": (1.8, 2.8), "compressor-*": (2.6, 4.5)}


def run_demo(options: Options, for_s: float | None, speed: float, say: Say) -> None:
    """Until Ctrl-C, or for so many seconds from the moment all is ready."""
    with running_stack(options, say) as stack:
        _set_limits(stack)
        found_company(stack)
        say("")
        say(f"  dashboard   {stack.api_url}")
        for login, password in {ADMINISTRATOR: stack.admin_password, **accounts(stack)}.items():
            role = "owner of Riverside Dairy" if login == OWNER else PEOPLE.get(login, ("", "administrator"))[1]
            say(f"  sign in as  {login:6}  password  {password:44}  {role}")
        say("")
        say("starting a fleet of 12 machines at two sites: six hours of healthy past first, then faults begin")
        say("Ctrl-C stops everything; the next start goes on with this data")
        stopped = threading.Event()
        for job, args in ((_tell, (stack, stopped, say)), (_file, (stack, stopped, say))):
            threading.Thread(target=job, args=args, name=job.__name__, daemon=True).start()
        stack.supervisor.start(_fleet(stack, speed))
        try:
            stack.supervisor.wait(for_s)
        finally:
            stopped.set()


def _set_limits(stack: Stack) -> None:
    """Limits on vibration, as an owner would set them; those of an earlier run stay as they are."""
    headers = {"Authorization": f"Bearer {stack.admin_token}"}
    with httpx.Client(base_url=stack.api_url, headers=headers, timeout=10.0, trust_env=False) as client:
        for device, (hi, hihi) in _LIMITS_MM_S.items():
            rule_id = f"vibration-{device.removesuffix('-*')}"
            rule = {
                "id": rule_id,
                "detector": "limits",
                "fault": "condition",
                "severities": [[1.0, "high"], [2.0, "critical"]],
                "off_delay_s": 30.0,
                "device": device,
                "point": "*vibration*",
                "limit": {"hi": hi, "hihi": hihi},
                "rationalisation": {
                    "cause": "Wear of a bearing or a gear, an imbalance, or a foot that is loose",
                    "consequence": "The part fails and takes others along",
                    "action": "Do the test that the diagnosis names, and plan the repair",
                    "respond_within_s": 86_400.0,
                },
            }
            answer = client.put(f"/api/v1/rules/{rule_id}", json={"rule": rule, "version": 0})
            if answer.status_code != httpx.codes.CONFLICT:
                answer.raise_for_status()


def _fleet(stack: Stack, speed: float) -> Role:
    """The simulated fleet as a process of its own, which goes on where it was when it dies or is started again."""
    env = {
        "BELLWETHER_MQTT_URL": str(stack.devices),
        "BELLWETHER_MQTT_USERNAME": stack.devices.username or "",
        "BELLWETHER_MQTT_PASSWORD": stack.devices.password or "",
    }
    state = str(stack.folder.path / "fleet")
    argv = (sys.executable, "-m", "bellwether", "demo-fleet", "--state", state, "--speed", str(speed))
    return Role("fleet", argv, env=env)


def _file(stack: Stack, stopped: threading.Event, say: Say) -> None:
    """Whose the machines are can be said when they have been heard of; without it the demonstration goes on."""
    try:
        file_machines(stack, stopped)
    except httpx.HTTPError as error:
        say(f"whose machine is whose could not be said: {error}")


def _tell(stack: Stack, stopped: threading.Event, say: Say) -> None:
    """Follow the live events of the API and say them; a connection that breaks is taken up where it broke."""
    last_id = ""
    while not stopped.is_set():
        with suppress(httpx.HTTPError, orjson.JSONDecodeError):
            for said_id in _follow(stack, say, last_id):
                last_id = said_id
                if stopped.is_set():
                    return
        stopped.wait(_RECONNECT_S)


def _follow(stack: Stack, say: Say, last_id: str) -> Iterator[str]:
    """Say each event after this one; its id, once it is said."""
    headers = {"Authorization": f"Bearer {stack.admin_token}", "Accept": "text/event-stream"}
    if last_id:
        headers["Last-Event-ID"] = last_id
    url = f"{stack.api_url}/api/v1/events"
    with (
        httpx.Client(timeout=httpx.Timeout(5.0, read=60.0), trust_env=False) as client,
        client.stream("GET", url, headers=headers) as answer,
    ):
        answer.raise_for_status()
        event_id = kind = ""
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if name == "id":
                event_id = value
            elif name == "event":
                kind = value
            elif name == "data":
                _say_event(kind, orjson.loads(value), stack, say)
                yield event_id


def _say_event(kind: str, body: dict[str, str], stack: Stack, say: Say) -> None:
    at = body.get("at", "")[11:19]
    match kind:
        case "alarm.raised" | "alarm.escalated":
            say(f"{at}  alarm   {body['severity']:8} {body['device']:15} {body['message']}")
        case "ticket.opened" | "ticket.reopened":
            link = f"{stack.api_url}/tickets/{body['ticket_id']}"
            say(f"{at}  TICKET  {body['priority']:8} {body['device']:15} {body['title']}  {link}")
        case _:
            pass
