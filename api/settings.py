"""What the API must be told before it can start."""

from __future__ import annotations

from dataclasses import dataclass, field

from store.errors import Misconfigured

# As long as the hash that tokens are signed with: a shorter secret can be guessed from one token, off line.
SECRET_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Settings of one API process. There is no default secret.

    Attributes
    ----------
    pool_size
        Connections to the database. Too low: requests wait for one another. Too high: a burst of charts takes the
        server's memory.
    cookie_secure
        Whether the pages are reached over TLS: the session cookie then never travels without it.
    docs
        Whether `/api/v1/docs` is there. It loads its script from a public network: for development alone.
    token_lifetime_s
        How long a token from `POST /api/v1/token` opens. Longer is convenient for whoever steals one.
    session_lifetime_s
        How long a browser stays signed in: a shift.
    file_mib, ticket_files_mib, tenant_files_mib
        How large a file may be, and those of a ticket and of a tenant together, in MiB. Too low: no video. Too high: a
        full disk, and backups that take a night.
    webhooks_to_loopback
        Whether webhooks may go to this machine, over plain HTTP too: for trying things out.
    """

    database_url: str = field(repr=False)
    secret: str = field(repr=False)
    pool_size: int = 10
    cookie_secure: bool = True
    docs: bool = False
    token_lifetime_s: int = 900
    session_lifetime_s: int = 12 * 3600
    file_mib: int = 25
    ticket_files_mib: int = 200
    tenant_files_mib: int = 10_240
    webhooks_to_loopback: bool = False

    def __post_init__(self) -> None:
        if len(self.secret) < SECRET_CHARACTERS:
            raise Misconfigured(f"BELLWETHER_SECRET: set it to at least {SECRET_CHARACTERS} random characters")
        if self.pool_size < 1:
            raise Misconfigured("the API needs at least one connection to the database")
