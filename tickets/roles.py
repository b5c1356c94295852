"""Who acts on a ticket, by the part they play."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """One a person. `service` is a program of ours or of the tenant's, never a person."""

    OWNER = "owner"  # of the equipment: sees it, reports faults
    ENGINEER = "engineer"  # repairs it
    DISPATCHER = "dispatcher"  # decides who goes
    MANAGER = "manager"
    ADMINISTRATOR = "administrator"
    SERVICE = "service"


PEOPLE = frozenset(Role) - {Role.SERVICE}
DESK = frozenset({Role.DISPATCHER, Role.MANAGER, Role.ADMINISTRATOR})
FIELD = frozenset({Role.ENGINEER, Role.MANAGER, Role.ADMINISTRATOR})
STAFF = DESK | FIELD
