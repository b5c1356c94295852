"""Whether a role in this container does its work: exit 0 if so, else 1 and one line that says why.

`api` is asked over HTTP whether it is ready. `ingest` and `notify` leave a sign of life in the database every five
seconds, from the loop that does the work: a process that merely exists leaves none. Reads the role's own settings.
"""

from __future__ import annotations

import sys
import urllib.request

from bellwether.settings import Settings, load
from store.connection import connect, unavailable
from store.errors import Misconfigured, Unavailable
from store.fleet import heartbeats

# Six signs of life missed. Lower calls a long transaction dead; higher calls a dead loop well.
FRESH_S = 30.0
ANSWER_WITHIN_S = 5.0


def main() -> None:
    """Look at the role that the command line names."""
    role = sys.argv[1]
    try:
        settings = load()
        fault = _fault_of_api(settings) if role == "api" else _fault_of_loop(settings, role)
    except (OSError, Misconfigured, Unavailable) as error:
        fault = str(error)
    if fault:
        sys.exit(f"{role}: {fault}")


def _fault_of_api(settings: Settings) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{settings.http_port}/readyz", timeout=ANSWER_WITHIN_S):
        return ""  # anything but success is an OSError


def _fault_of_loop(settings: Settings, role: str) -> str:
    with unavailable(), connect(settings.need_database_url(), f"health of {role}") as conn:
        age_s = heartbeats(conn).get(role)
    if age_s is None:
        return "never seen"
    return "" if age_s < FRESH_S else f"last seen {age_s:.0f} s ago"


if __name__ == "__main__":
    main()
