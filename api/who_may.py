"""Who may do what, as the routes themselves say it: `python -m api.who_may` writes the table of docs/who-may.md."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from alarms.roles import Role
from api import ROOT
from api.access.auth import Allow
from api.app import ROUTERS

_HEAD = """# Who may do what

Every route of the API and every role, as the routes say it and as the tests try it, cell by cell, for one's own tenant
and for another's. A customer's owners are kept to [their own machines](tickets.md) besides. `python -m api.who_may`
writes this table.

"""


def roles_of(route: APIRoute) -> frozenset[Role] | None:
    """Whom a route lets in; None: anyone, without an account."""
    asked = [each.call.roles for each in _dependencies(route.dependant) if isinstance(each.call, Allow)]
    return frozenset.intersection(*asked) if asked else None


def table() -> str:
    """The page: a line a route, a column a role."""
    lines = ["| route | " + " | ".join(role.value for role in Role) + " |", "|---" * (1 + len(Role)) + "|"]
    for method, route in sorted(_routes(), key=lambda found: (found[1].path, found[0])):
        roles = roles_of(route)
        marks = ["open" if roles is None else "yes" if role in roles else "" for role in Role]
        lines.append(f"| `{method} {route.path.removeprefix(ROOT)}` | " + " | ".join(marks) + " |")
    return _HEAD + "\n".join(lines) + "\n"


def _routes() -> Iterator[tuple[str, APIRoute]]:
    for router in ROUTERS:
        for route in router.routes:
            if isinstance(route, APIRoute):
                yield from ((method, route) for method in route.methods or ())


def _dependencies(dependant: Dependant) -> Iterator[Dependant]:
    for each in dependant.dependencies:
        yield each
        yield from _dependencies(each)


if __name__ == "__main__":
    sys.stdout.write(table())
