"""Limits of a worker, one by one, each with room below it."""

import time

import pytest

from courselib.grading.confined import Confined, Limits, Stopped, Unfinished
from courselib.models.cache import cache_folder

MODELS = cache_folder() / "models"
pytestmark = pytest.mark.usefixtures("confinement")


def called(code, *calls, limits=None, before=(), own=()):
    """Outcomes of calls of ``f`` in a confined process."""
    worker = Confined(code, "f", limits=limits or Limits(), models=MODELS, before=before, own=own)
    with worker:
        return worker.call(list(calls) or [[]])


# The worker's own handles are found, and something is said on them.
SAY = """
import os
def say(text):
    for handle in range(3, 9):
        try: os.write(handle, text)
        except OSError: pass
"""
CHILDREN = """
import os, time
def f():
    for _ in range(5):
        if os.fork() == 0:
            x = bytearray(b"x") * 2**26
            time.sleep(100)
"""


def test_values_come_back_as_json_holds_them():
    code = "import numpy\ndef f(x): return {'a': (x, numpy.float32(0.5), numpy.arange(2))}"
    assert [each.value for each in called(code, [1], ["é\ud800"])] == [
        {"a": [1, 0.5, [0, 1]]},
        {"a": ["é\ud800", 0.5, [0, 1]]},
    ]


def test_a_call_that_fails_is_the_last_one():
    first, second, third = called("def f(x): return 1 / x", [1], [0], [2])
    assert (first.value, second.error) == (1.0, "ZeroDivisionError: division by zero")
    assert third == second


def test_the_courses_cells_and_the_learners_definitions_run_before():
    own = ("x = 5\n1 / 0\nprint('no')", "not python", "def g(): return x + y")
    assert called("def f(): return g()", before=("y = 1",), own=own)[0].value == 6


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("1 / 0", "The cell with your answer raised ZeroDivisionError"),
        ("raise SystemExit(0)", "SystemExit"),
        ("x = 1", "NameError: f"),
        ("f = 1", "NameError: f"),
        ("def f(:", "SyntaxError"),
        ("import os\nos._exit(0)", "ended the program"),
    ],
)
def test_a_cell_that_fails(code, words):
    with pytest.raises(Stopped, match=words):
        called(code)


def test_a_stub():
    with pytest.raises(Unfinished):
        called("raise NotImplementedError")
    assert called("def f(): raise NotImplementedError")[0].unfinished


def test_time_of_a_call_and_of_all_calls():
    slow = "import time\ndef f(s): time.sleep(s)"
    first, second = called(slow, [0], [100], limits=Limits(call_s=1))
    assert (first.stopped, second.stopped) == ("", "It took longer than 1 seconds and was stopped.")
    outcomes = called(slow, *[[0.5]] * 100, limits=Limits(total_s=8))
    assert outcomes[-1].stopped == "It took longer than 8 seconds and was stopped."
    assert outcomes[0].stopped == ""


def test_time_until_its_cells_have_run():
    with pytest.raises(Stopped, match="longer than 2 seconds"):
        called("while True: pass", limits=Limits(start_s=2))


def test_a_worker_that_takes_nothing_is_not_waited_for():
    """More calls than a pipe holds, and nobody reads them."""
    code = SAY + "say(b'{\"ready\": true}\\n')\nimport time\ntime.sleep(1000)"
    begun = time.monotonic()
    (outcome, *_rest) = called(code, *[["x" * 1000]] * 1000, limits=Limits(total_s=4))
    assert "longer than 4 seconds" in outcome.stopped
    assert time.monotonic() - begun < 60


TOUCH = "def f(mib):\n    held = bytearray(b'x') * (mib * 2**20)\n    {after}\n    return len(held)"


def test_memory_of_one_process_and_of_all():
    limits = Limits(memory_bytes=2**28)
    below, above = called(TOUCH.format(after="pass"), [100], [1000], limits=limits)
    assert below.value == 100 * 2**20
    # Either the system refused it, or it was seen.
    assert "MemoryError" in above.error or "more than 256 MiB" in above.stopped
    assert "more than 256 MiB" in called(CHILDREN + "    time.sleep(100)", limits=limits)[0].stopped


def test_memory_is_looked_at_while_the_worker_talks():
    """A worker that says something all the time keeps nobody from looking."""
    code = (
        SAY
        + CHILDREN
        + """
    while True:
        say(b" ")
        time.sleep(0.01)
"""
    )
    assert "more than 256 MiB" in called(code, limits=Limits(memory_bytes=2**28, call_s=60))[0].stopped


def test_processes():
    code = """
import threading, time
def f(n):
    for _ in range(n): threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
    time.sleep(0.3)
    return n
"""
    below, above = called(code, [8], [100], limits=Limits(processes=24))
    assert below.value == 8
    assert "can't start new thread" in above.error or "more than 24 processes" in above.stopped


def test_the_largest_file():
    code = "def f(n):\n    with open('/tmp/x', 'wb') as file: return file.write(bytes(n))"
    below, above = called(code, [10**6], [10**7], limits=Limits(file_bytes=2 * 10**6))
    assert below.value == 10**6
    assert "File too large" in above.error


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("'x' * 2**21", "more than a megabyte"),
        ("eval('[' * 60 + ']' * 60)", "no answer"),
        ("{1: 2}", None),
        ("{(1,): 2}", "JSON cannot hold"),
        ("object()", "JSON cannot hold"),
        ("b'x'", "JSON cannot hold"),
    ],
)
def test_values_that_are_no_answers(value, words):
    (outcome,) = called(f"def f(): return {value}")
    assert (words or "") in (outcome.stopped or outcome.error)
    assert bool(outcome.stopped or outcome.error) == bool(words)


@pytest.mark.parametrize("line", ["null", "[]", '"x"', "1", "NaN", "{", "", "\\xff", '{"value": ' + "1" * 5000 + "}"])
def test_lines_that_no_worker_says(line):
    code = SAY + f"def f():\n    say(b'{line}\\n')"
    (outcome,) = called(code)
    assert "no answer" in outcome.stopped


def test_the_number_of_files():
    code = """
import time
def f(n):
    for number in range(n): open(f"/tmp/{number}", "w").close()
    time.sleep(0.5)
    return n
"""
    below, above = called(code, [50], [1000], limits=Limits(files=200))
    assert below.value == 50
    assert above.stopped == "It made more than 200 files and was stopped."
