"""Who acts on alarms and tickets, by the part they play."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """One a person. `service` is a program of ours or of the tenant's, never a person."""

    OWNER = "owner"  # of the equipment: sees it, reports faults
    ENGINEER = "engineer"  # repairs it
    EXPERT = "expert"  # is asked where the engineer cannot find it
    INSPECTOR = "inspector"  # looks at repairs, never at their own
    DISPATCHER = "dispatcher"  # decides who goes
    DEPOT = "depot"  # keeps the parts
    MANAGER = "manager"
    ADMINISTRATOR = "administrator"
    SERVICE = "service"


PEOPLE = frozenset(Role) - {Role.SERVICE}
DESK = frozenset({Role.DISPATCHER, Role.MANAGER, Role.ADMINISTRATOR})
FIELD = frozenset({Role.ENGINEER, Role.MANAGER, Role.ADMINISTRATOR})
STAFF = DESK | FIELD
EXPERTS = frozenset({Role.EXPERT, Role.MANAGER, Role.ADMINISTRATOR})
INSPECTORS = frozenset({Role.INSPECTOR, Role.MANAGER, Role.ADMINISTRATOR})
STORES = frozenset({Role.DEPOT, Role.MANAGER, Role.ADMINISTRATOR})
