"""The buffer on disk: what was written is there after any death, cut anywhere, within its bound."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from firmware_sim.outbox import Outbox
from firmware_sim.spool import Spool, Unreadable

ROOT = Path(__file__).parents[2]
LIMIT = 64 << 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "pump-01"


def write(spool: Spool, *payloads: bytes, first_seq: int = 0) -> None:
    for seq, payload in enumerate(payloads, first_seq):
        spool.append(seq, seq, payload, "telemetry", "application/cbor")


def said(spool: Spool) -> list[tuple[int, int, bytes]]:
    return [(kept.boot, kept.last_seq, spool.read(kept.place)) for kept in spool.kept]


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.spool"))


def test_what_one_run_wrote_the_next_finds(folder: Path) -> None:
    with closing(Spool(folder, LIMIT, boot=7)) as spool:
        write(spool, b"one", b"", b"three")
    with closing(Spool(folder, LIMIT)) as spool:
        assert said(spool) == [(7, 0, b"one"), (7, 1, b""), (7, 2, b"three")]
        assert {(kept.kind, kept.content_type) for kept in spool.kept} == {("telemetry", "application/cbor")}
        assert spool.boot == 8


def test_a_boot_is_above_all_before_it_whatever_the_clock_says(folder: Path) -> None:
    boots = []
    for clock in (100, 50, 50, 200, 0):
        with closing(Spool(folder, LIMIT, boot=clock)) as spool:
            boots.append(spool.boot)
    assert boots == [100, 101, 102, 200, 201]


def test_a_boot_is_known_by_the_messages_too(folder: Path) -> None:
    with closing(Spool(folder, LIMIT, boot=9)) as spool:
        write(spool, b"x")
    for damaged in ("", "{", "[]", '{"boot": "x"}'):
        (folder / "state.json").write_text(damaged)
        with closing(Spool(folder, LIMIT)) as spool:
            assert spool.boot == 10
            assert said(spool) == [(9, 0, b"x")]
        (folder / "state.json").unlink()


def test_what_was_stored_does_not_come_again(folder: Path) -> None:
    with closing(Spool(folder, LIMIT, boot=1)) as spool:
        write(spool, b"a", b"b", b"c")
        spool.done(1, 1)
    with closing(Spool(folder, LIMIT)) as spool:
        assert said(spool) == [(1, 2, b"c")]


@pytest.mark.parametrize("cut", range(1, 60))
def test_a_record_that_was_cut_short_costs_itself_alone(folder: Path, cut: int) -> None:
    with closing(Spool(folder, LIMIT, boot=1)) as spool:
        write(spool, b"first", b"second", b"x" * 30)
    (file,) = files(folder)
    with file.open("r+b") as torn:
        torn.truncate(file.stat().st_size - cut)
    with closing(Spool(folder, LIMIT)) as spool:
        assert said(spool) == [(1, 0, b"first"), (1, 1, b"second")]
        write(spool, b"after")
    with closing(Spool(folder, LIMIT)) as spool:
        assert said(spool) == [(1, 0, b"first"), (1, 1, b"second"), (2, 0, b"after")]


@given(damage=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4))
@settings(max_examples=50)
def test_damaged_anywhere_it_gives_what_was_written_or_nothing(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    payloads = [bytes([number]) * (number * 7) for number in range(20)]
    with closing(Spool(folder, LIMIT, boot=1)) as spool:
        write(spool, *payloads)
    (file,) = files(folder)
    body = bytearray(file.read_bytes())
    for at, byte in damage:
        body[at % len(body)] = byte
    file.write_bytes(body)
    with closing(Spool(folder, LIMIT)) as spool:
        assert all(payload == payloads[seq] for _, seq, payload in said(spool))


def test_damaged_while_it_lies_there_a_message_is_given_up_and_counted(folder: Path) -> None:
    with closing(Spool(folder, LIMIT, boot=1)) as spool:
        outbox = Outbox(100, spool=spool)
        for seq in range(3):
            outbox.put(seq, b"payload %d" % seq)
        (file,) = files(folder)
        file.write_bytes(file.read_bytes().replace(b"payload 0", b"payload ?"))
        taken = outbox.take()
        assert taken
        assert taken[1] == b"payload 1"
        assert outbox.dropped == 1
        file.unlink()
        assert outbox.take() is None
        assert (outbox.dropped, len(outbox)) == (3, 0)
        with pytest.raises(Unreadable):
            spool.read(spool.append(9, 9, b"x", "telemetry", "")._replace(offset=5))


def test_two_processes_do_not_share_a_folder(folder: Path) -> None:
    with closing(Spool(folder, LIMIT)), pytest.raises(ValueError, match="another process"):
        Spool(folder, LIMIT)
    Spool(folder, LIMIT).close()


def test_files_go_when_all_in_them_is_stored(folder: Path) -> None:
    with closing(Spool(folder, LIMIT, boot=1)) as spool:
        outbox = Outbox(10_000, spool=spool)
        for round_of in range(50):
            for _ in range(10):
                outbox.put(outbox.next_seq, b"x" * 500)
            assert sum(file.stat().st_size for file in files(folder)) < LIMIT // 3, round_of
            outbox.stored(outbox.next_seq - 1, 0.0)
        assert len(files(folder)) <= 2
        assert not outbox.dropped


def test_full_it_gives_up_the_oldest_a_file_at_a_time_and_counts(folder: Path) -> None:
    with closing(Spool(folder, LIMIT, boot=1)) as spool:
        outbox = Outbox(10_000, spool=spool)
        for _ in range(500):
            outbox.put(outbox.next_seq, b"x" * 500)
            assert sum(file.stat().st_size for file in files(folder)) <= LIMIT
        assert outbox.dropped + len(outbox) == 500
        assert outbox.lowest_seq == outbox.dropped
        assert len(outbox) > 0.85 * LIMIT / 540
        held, dropped = len(outbox), outbox.dropped
    with closing(Spool(folder, LIMIT)) as spool:
        outbox = Outbox(10_000, spool=spool)
        assert (len(outbox), outbox.dropped) == (held, dropped), "the next run knows"
        assert [kept.last_seq for kept in spool.kept] == list(range(500 - held, 500))


def test_a_message_larger_than_the_buffer_is_held_in_memory(folder: Path) -> None:
    with closing(Spool(folder, 1000, boot=1)) as spool:
        outbox = Outbox(3, spool=spool)
        for _ in range(5):
            outbox.put(outbox.next_seq, b"x" * 2000)
        assert (len(outbox), outbox.dropped) == (3, 2)
        taken = outbox.take()
        assert taken
        assert len(taken[1]) == 2000


def test_a_disk_that_cannot_be_written_costs_no_measurement(folder: Path) -> None:
    """By the kernel's own refusal: files of this process may not grow beyond 8 KiB, then not at all."""
    script = f"""
import resource, sys
from pathlib import Path
from firmware_sim.outbox import Outbox
from firmware_sim.spool import Spool
spool = Spool(Path({str(folder)!r}), 1 << 20, boot=1)
outbox = Outbox(1000, spool=spool)
def fill(count):
    for _ in range(count):
        outbox.put(outbox.next_seq, b"x" * 500)
fill(1)
resource.setrlimit(resource.RLIMIT_FSIZE, (8 << 10, resource.RLIM_INFINITY))
fill(100)
spool.sync()
in_memory = sum(held.payload is not None for held in outbox._held.values())
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
fill(10)
assert all(held.payload is None for held in list(outbox._held.values())[-10:]), "written again once it can be"
print(len(outbox), outbox.dropped, in_memory)
spool.close()
"""
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    held, dropped, in_memory = map(int, ran.stdout.split())
    assert (held, dropped) == (111, 0)
    assert in_memory > 80
    with closing(Spool(folder, 1 << 20)) as spool:
        assert len(spool.kept) == 111 - in_memory
        assert {spool.read(kept.place) for kept in spool.kept} == {b"x" * 500}


def test_a_full_disk_costs_the_oldest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel says that no space is left, as it would for the disk as a whole."""
    written = os.write

    def write_within(fd: int, data: bytes) -> int:
        used = sum(file.stat().st_size for file in files(folder))
        if used >= 20 << 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(fd, data[: (20 << 10) - used])  # the last that fits is cut short

    with closing(Spool(folder, LIMIT, boot=1)) as spool:
        monkeypatch.setattr(os, "write", write_within)
        outbox = Outbox(10_000, spool=spool)
        for seq in range(200):
            outbox.put(outbox.next_seq, b"%03d" % seq * 100)
            assert outbox.dropped + len(outbox) == seq + 1
        assert outbox.dropped > 100
        monkeypatch.undo()
    with closing(Spool(folder, LIMIT)) as spool:
        seqs = [seq for _, seq, _ in said(spool)]
        assert seqs == sorted(seqs)
        assert seqs[-1] == 199


def test_killed_at_any_moment_what_was_put_in_is_there(folder: Path) -> None:
    script = f"""
from pathlib import Path
from firmware_sim.outbox import Outbox
from firmware_sim.spool import Spool
outbox = Outbox(100_000, spool=Spool(Path({str(folder)!r}), 1 << 30, boot=1))
while True:
    outbox.put(outbox.next_seq, b"%d" % outbox.next_seq * 20)
    print(outbox.next_seq - 1, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        told = [process.stdout.readline() for _ in range(500)]
        process.send_signal(signal.SIGKILL)
        last = int([*told, *process.stdout.read().split()][-1])
    with closing(Spool(folder, 1 << 30)) as spool:
        seqs = [seq for _, seq, payload in said(spool) if payload == b"%d" % seq * 20]
        assert seqs == list(range(len(seqs)))
        assert last <= seqs[-1] <= last + 1
        assert spool.boot == 2


class Life(RuleBasedStateMachine):
    """A device that measures, sends, is told, forgets to say goodbye, and begins again: nothing goes uncounted."""

    @initialize(capacity=st.sampled_from([5, 1000]), limit=st.sampled_from([2 << 10, 1 << 20]))
    def begin(self, capacity: int, limit: int) -> None:
        self.capacity, self.limit, self.mid = capacity, limit, 0
        self.folder = Path(tempfile.mkdtemp(prefix="bellwether-test-"))
        self.alive: dict[tuple[int, int], bytes] = {}
        self.put_in = self.known_stored = 0
        self.boot()

    def boot(self) -> None:
        self.spool = Spool(self.folder, self.limit, boot=1)
        self.outbox = Outbox(self.capacity, spool=self.spool)
        self.outbox.stored(0, 0.0, boot=0)  # somebody confirms: what the broker had counts too

    @rule(size=st.sampled_from([0, 20, 300]))
    def measure(self, size: int) -> None:
        seq = self.outbox.next_seq
        self.alive[self.outbox.boot, seq] = os.urandom(size)
        self.outbox.put(seq, self.alive[self.outbox.boot, seq])
        self.put_in += 1

    @rule()
    def send(self) -> None:
        if (taken := self.outbox.take()) is not None:
            held, payload = taken
            assert payload == self.alive[held.boot, held.last_seq]
            self.mid += 1
            self.outbox.sent(self.mid)
            self.outbox.delivered(self.mid, 0.0)

    @precondition(lambda self: len(self.outbox))
    @rule(data=st.data())
    def told(self, data: st.DataObject) -> None:
        boot, seq = data.draw(st.sampled_from([(h.boot, h.last_seq) for h in self.outbox._held.values()]))
        before = len(self.outbox)
        self.outbox.stored(seq, 1.0, boot)
        self.known_stored += before - len(self.outbox)

    @rule()
    def lose_connection(self) -> None:
        self.outbox.connection_lost()

    @rule(gently=st.booleans())
    def begin_again(self, gently: bool) -> None:
        held = [(h.boot, h.last_seq) for h in self.outbox._held.values()]
        self.spool.sync()
        self.spool.close() if gently else [os.close(fd) for fd in (self.spool._fd, self.spool._lock)]
        self.boot()
        assert [(h.boot, h.last_seq) for h in self.outbox._held.values()] == held
        assert self.outbox.next_seq == 0

    @invariant()
    def nothing_goes_uncounted(self) -> None:
        if hasattr(self, "outbox"):
            assert self.put_in == self.known_stored + len(self.outbox) + self.outbox.given_up
            assert len(self.outbox) <= self.capacity
            assert sum(file.stat().st_size for file in files(self.folder)) <= self.limit + 4096

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            self.spool.close()
            shutil.rmtree(self.folder)


def test_state_is_never_half_written(folder: Path) -> None:
    with closing(Spool(folder, LIMIT, boot=5)) as spool:
        spool.count(3, 4)
    assert json.loads((folder / "state.json").read_text()) == {"boot": 5, "dropped": 3, "unconfirmed": 4}
    (folder / "state.json.new").write_text('{"boo')  # killed while it was written
    with closing(Spool(folder, LIMIT)) as spool:
        assert (spool.boot, spool.dropped, spool.unconfirmed) == (6, 3, 4)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=25, stateful_step_count=30)
