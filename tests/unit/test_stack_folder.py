"""The stack's folder: one holder at a time, secrets that stay, nothing that others may read."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bellwether.stack import folder as module
from bellwether.stack.account import Account, server_account
from bellwether.stack.errors import Busy
from bellwether.stack.folder import opened

HOLDING = """
import sys, time
from pathlib import Path
from bellwether.stack.folder import opened
with opened(Path(sys.argv[1])) as held:
    held.publish({})
    print("held", flush=True)
    time.sleep(600)
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_second_start_on_the_same_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "stack"
    refusal = f"A stack runs on {path} already (process {os.getpid()}): stop it, or give another --data"
    with opened(path), pytest.raises(Busy, match=f"^{re.escape(refusal)}$"), opened(path):
        pass
    with opened(path):
        pass


def test_the_lock_of_a_killed_holder_is_free(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDING, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Busy), opened(tmp_path):
            pass
        holder.kill()
    assert (tmp_path / "stack.json").exists()
    with opened(tmp_path):
        assert not (tmp_path / "stack.json").exists(), "what a killed stack said of itself is true no more"


def test_secrets_are_made_once_and_are_the_owner_s_alone(tmp_path: Path) -> None:
    with opened(tmp_path) as held:
        first, other = held.secret("first"), held.secret("other")
        assert first != other
        assert len(first) >= 43
    with opened(tmp_path) as held:
        assert held.secret("first") == first
    assert mode(tmp_path / "secrets.json") == 0o600
    assert mode(tmp_path) == 0o711
    assert mode(tmp_path / "logs") == 0o700


def test_stack_json_is_there_only_while_the_stack_is_ready(tmp_path: Path) -> None:
    path = tmp_path / "stack.json"
    with opened(tmp_path) as held:
        assert not path.exists()
        held.publish({"api_url": "http://127.0.0.1:1"})
        assert json.loads(path.read_text()) == {"api_url": "http://127.0.0.1:1"}
        assert mode(path) == 0o600
    assert not path.exists()


def test_the_servers_folder_is_their_user_s(tmp_path: Path) -> None:
    account = Account("me", os.geteuid(), os.getegid())
    with opened(tmp_path) as held:
        servers = held.servers(account)
        assert servers == tmp_path / "servers"
        assert mode(servers) == 0o700
        assert held.servers(account) == servers


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers as somebody else")
def test_data_move_to_where_the_servers_user_can_walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = tmp_path / "system"
    monkeypatch.setattr(module, "SYSTEM_FOLDER", system)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    account = server_account()
    with opened(closed / "stack") as held:
        servers = held.servers(account)
        assert servers.parent == system
        assert servers.stat().st_uid == account.uid
        assert (closed / "stack" / "servers").is_symlink()
        assert held.servers(account) == servers
