"""Waiting for what comes true in another thread or process."""

import time


def wait_until(true, timeout_s=30):
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, f"it did not come true in {timeout_s} s"
        time.sleep(0.02)
