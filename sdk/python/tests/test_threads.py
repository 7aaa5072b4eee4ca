"""Python's lock is not held while evidence is verified."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import sealwright
from vectors import SGX, TDX


def test_another_thread_runs_while_evidence_is_verified() -> None:
    gate, seen = threading.Lock(), threading.Event()

    def other() -> None:
        with gate:
            seen.set()

    gate.acquire()
    thread = threading.Thread(target=other)
    thread.start()
    interval = sys.getswitchinterval()
    # From here on nobody but who lets go of the lock gives way to another thread.
    sys.setswitchinterval(60)
    try:
        gate.release()
        sum(range(1_000_000))
        before = seen.is_set()
        for _ in range(100):
            TDX.verify()
            if seen.is_set():
                break
        during = seen.is_set()
    finally:
        sys.setswitchinterval(interval)
        thread.join()
    assert (before, during) == (False, True)


def test_threads_that_verify_at_once_get_the_same_verdicts() -> None:
    alone = [quote.verify() for quote in (SGX, TDX)]
    start = threading.Barrier(8)

    def several(_: int) -> list[sealwright.Verdict]:
        start.wait()
        return [quote.verify() for _ in range(20) for quote in (SGX, TDX)]

    with ThreadPoolExecutor(8) as pool:
        for verdicts in pool.map(several, range(8)):
            assert verdicts == alone * 20
