"""Hostile answers to exercise 010, each small and with a name.

An animal whose trick works raises an error with ``LOOT`` in its words, and what it got hold of. ``@NAMES@`` stand for
what the test puts outside: a folder and a socket that nobody inside may reach, the submissions and the results.
"""

from __future__ import annotations

import os
import textwrap
from dataclasses import dataclass

LOOT = "LOOT"
# An argument of programs that are left behind, by which they are found.
LEFT_BEHIND = f"{os.getpid()}.25"


@dataclass(frozen=True)
class Animal:
    """One hostile answer.

    Args:
        name: also the learner's.
        tries: what it is after.
        code: the answer cell.
        tame: whether it can run without confinement on the machine of whoever runs the tests, and then succeeds.
        waits: whether it only ends at a limit of time.
        exercise: which one it answers.
    """

    name: str
    tries: str
    code: str
    tame: bool = False
    waits: bool = False
    exercise: str = "010_ttft"


def _loot(finding: str) -> str:
    """An answer that collects what it finds in ``found``."""
    body = textwrap.indent(textwrap.dedent(finding).strip(), "    ")
    return f"""
def ttft(events):
    import ctypes, gc, glob, json, os, pathlib, resource, signal, socket, subprocess, sys, time
    found = []
{body}
    raise RuntimeError(f"{LOOT} {{found}}"[:400] if found else "came back with nothing")
"""


def _returns(value: str, before: str = "") -> str:
    return f"{textwrap.dedent(before)}\ndef ttft(events):\n    return {value}\n"


_READ = """
for path in {paths}:
    try:
        found.append(pathlib.Path(path).read_bytes()[:200])
    except OSError:
        pass
"""
_HANDLES = """
import json, os, stat
handles = []
for handle in range(3, 64):
    try:
        if stat.S_ISFIFO(os.fstat(handle).st_mode):
            handles.append(handle)
    except OSError:
        pass
def say(text):
    for handle in handles:
        try:
            os.write(handle, text.encode())
        except OSError:
            pass
"""

ANIMALS = [
    # Time
    Animal("endless-loop", "holds the run up", _returns("[0 for _ in iter(int, 1)]"), waits=True),
    Animal("endless-cell", "holds the run up before it is called", "while True: pass", waits=True),
    Animal(
        "deaf",
        "ignores every signal and every exception",
        """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
def ttft(events):
    while True:
        try:
            while True: pass
        except BaseException:
            pass
""",
        waits=True,
    ),
    Animal(
        "stopped", "stops itself", _returns("os.kill(os.getpid(), signal.SIGSTOP)", "import os, signal"), waits=True
    ),
    Animal(
        "late",
        "answers when the time is over",
        _HANDLES
        + """
import threading, time
def ttft(events):
    threading.Thread(target=lambda: (time.sleep(8), say('{"value": 0.5}\\n' * 50))).start()
    time.sleep(9)
""",
        waits=True,
    ),
    Animal(
        "never-reads",
        "says that it is ready, and takes none of the calls",
        _HANDLES + "\nsay('{\"ready\": true}\\n')\nimport time\ntime.sleep(1000)",
        waits=True,
        exercise="213_sampler",
    ),
    Animal(
        "sleeps-in-text",
        "its error takes for ever to be told",
        """
import time
class Slow(Exception):
    def __str__(self): time.sleep(1000)
def ttft(events): raise Slow
""",
        waits=True,
    ),
    # Memory, processes, disk
    Animal(
        "fork-bomb",
        "takes all processes",
        """
import os
def ttft(events):
    while True:
        try:
            os.fork()
        except OSError:
            pass
""",
        waits=True,
    ),
    Animal(
        "threads",
        "takes all processes by threads",
        """
import threading, time
def ttft(events):
    while True:
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
""",
    ),
    Animal(
        "memory",
        "takes all memory",
        """
def ttft(events):
    held = []
    while True:
        held.append(bytearray(b"x") * 2**24)
""",
    ),
    Animal(
        "memory-of-children",
        "takes all memory, each process some",
        """
import os, time
def ttft(events):
    for _ in range(20):
        if os.fork() == 0:
            held = bytearray(b"x") * 2**27
            time.sleep(1000)
    time.sleep(1000)
""",
    ),
    Animal(
        "memory-and-talk",
        "takes all memory while it keeps the grader busy",
        _HANDLES
        + """
import threading, time
def talk():
    while True:
        say(" ")
        time.sleep(0.001)
threading.Thread(target=talk, daemon=True).start()
def ttft(events):
    held = []
    for _ in range(20):
        if os.fork() == 0:
            held = bytearray(b"x") * 2**27
            time.sleep(1000)
    time.sleep(1000)
""",
    ),
    Animal(
        "memory-of-nobody",
        "takes memory that is counted for no process",
        _loot("""
        if hasattr(os, "memfd_create"):
            try:
                found.append(os.memfd_create("held"))
            except OSError:
                pass
        libc = ctypes.CDLL(None)
        for call in (lambda: libc.shmget(0, 2**20, 0o1666), lambda: libc.msgget(0, 0o1666)):
            if call() >= 0:
                found.append("shared memory")
    """),
    ),
    Animal(
        "disk",
        "fills every disk",
        _loot("""
        written = 0
        for folder in ("/tmp", "/dev/shm", "/dev", "/", "/var/tmp", "/grader", "/course", os.getcwd(), "@PLANTED@"):
            for number in range(20):
                try:
                    with open(f"{folder}/fill{number}", "wb") as file:
                        for _ in range(30):
                            written += file.write(bytes(2**20))
                            file.flush()
                except OSError:
                    pass
        if written > 2**28:
            found.append(written)
    """),
    ),
    Animal(
        "elsewhere",
        "writes where nothing is counted",
        _loot("""
        for folder in ("/", "/dev", "/etc", "/run", "/var/tmp", "/grader", "/course", "/usr", "/proc", "/sys", "/home"):
            try:
                with open(f"{folder}/new", "w") as file:
                    file.write("new")
                found.append(folder)
            except OSError:
                pass
    """),
    ),
    Animal(
        "files",
        "makes files without end, which fill no disk",
        """
import itertools
def ttft(events):
    for number in itertools.count():
        for folder in ("/tmp", "/dev/shm"):
            open(f"{folder}/{number}", "w").close()
""",
    ),
    Animal(
        "handles",
        "opens all files that it may",
        _loot("""
        held = []
        try:
            for _ in range(100_000):
                held.append(open("/dev/null"))
            found.append(len(held))
        except OSError:
            pass
    """),
    ),
    Animal(
        "limits",
        "raises its own limits",
        _loot("""
        for name in ("AS", "CPU", "NPROC", "FSIZE", "NOFILE"):
            kind = getattr(resource, f"RLIMIT_{name}")
            _soft, hard = resource.getrlimit(kind)
            try:
                resource.setrlimit(kind, (hard + 1, hard + 1))
                found.append(name)
            except (OSError, ValueError):
                pass
        try:
            os.nice(-5)
            found.append("nice")
        except OSError:
            pass
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
            found.append("scheduler")
        except OSError:
            pass
    """),
    ),
    # What is right
    Animal(
        "judges-by-path",
        "reads the judges",
        _loot("""
        import courselib
        for folder in (*courselib.__path__, "@PACKAGE@"):
            for path in glob.glob(f"{folder}/exercises/*") + glob.glob(f"{folder}/grading/*"):
                try:
                    found.append(open(path).read(80))
                except OSError:
                    pass
    """),
        tame=True,
    ),
    Animal(
        "judges-by-import",
        "imports the judges",
        _loot("""
        for name in ("courselib.exercises.catalogue", "courselib.exercises.check", "courselib.grading.grade"):
            try:
                __import__(name)
                found.append(name)
            except ImportError:
                pass
    """),
        tame=True,
    ),
    Animal(
        "solutions",
        "reads the solutions",
        _loot("""
        found += glob.glob("@COURSE@/*/*.ipynb") + glob.glob("/course/**/*.ipynb", recursive=True)
    """),
        tame=True,
    ),
    Animal(
        "stack",
        "looks for the judge in the frames that called it",
        _loot("""
        frame = sys._getframe()
        while frame := frame.f_back:
            for name, value in {**frame.f_globals, **frame.f_locals}.items():
                if name in ("judge", "right", "verdict", "key") or "xercise" in type(value).__name__:
                    found.append((name, value))
    """),
    ),
    Animal(
        "gc",
        "looks for the judge in all objects",
        _loot("""
        for each in gc.get_objects():
            if type(each).__name__ in ("Function", "Mistake", "Rules", "Exercise", "Assignment", "Grader", "Plan"):
                found.append(repr(each))
    """),
    ),
    Animal(
        "other-learners",
        "reads what others handed in",
        _loot(_READ.format(paths='glob.glob("@SUBMISSIONS@/**/*.ipynb", recursive=True)')),
        tame=True,
    ),
    # The comparison
    Animal(
        "assert",
        "takes the comparison's words away",
        _returns(
            "0",
            """
        import builtins, math
        builtins.all = builtins.any = builtins.isinstance = lambda *_: True
        builtins.abs = lambda _: 0
        math.isclose = lambda *_, **__: True
        builtins.AssertionError = builtins.Exception
    """,
        ),
    ),
    Animal(
        "modules",
        "replaces the modules that tell what it returned",
        """
import sys, types
import courselib.calls as calls
class Pass:
    def __getattr__(self, name): return lambda *_, **__: ""
for name in list(sys.modules):
    if name.startswith("courselib"):
        sys.modules[name] = Pass()
calls.Outcome.error = calls.Outcome.stopped = ""
calls.Outcome.__eq__ = lambda *_: True
calls.plain = lambda _: {"points": 1000, "verdict": ""}
def ttft(events): return 0
""",
    ),
    Animal(
        "import-hook",
        "answers every import itself",
        _returns(
            "0",
            """
        import importlib.abc, importlib.machinery, sys
        class Hook(importlib.abc.MetaPathFinder, importlib.abc.Loader):
            def find_spec(self, name, path, target=None): return importlib.machinery.ModuleSpec(name, self)
            def create_module(self, spec): return None
            def exec_module(self, module): module.__getattr__ = lambda name: (lambda *_, **__: True)
        sys.meta_path.insert(0, Hook())
    """,
        ),
    ),
    Animal(
        "pickle",
        "returns what runs when it is unpacked",
        _returns(
            "Evil()",
            """
        import os
        class Evil:
            def __reduce__(self): return os.system, ("touch @PLANTED@/pickled",)
    """,
        ),
    ),
    Animal(
        "equal",
        "equals everything",
        _returns(
            "Equal()",
            """
        class Equal:
            def __eq__(self, other): return True
            def __ne__(self, other): return False
            def __hash__(self): return 0
    """,
        ),
    ),
    *[
        Animal(
            f"equal-{kind}",
            f"a {kind} that equals everything",
            _returns(
                f"Equal({value})",
                f"""
        class Equal({kind}):
            def __eq__(self, other): return True
            def __ne__(self, other): return False
            def __hash__(self): return 0
            def __sub__(self, other): return 0
            __rsub__ = __sub__
            def __len__(self): return 1
            def __iter__(self): return iter([0.5])
            def __repr__(self): return "true"
            def __float__(self): return 0.5
        """,
            ),
        )
        for kind, value in (
            ("int", 1),
            ("float", 1.5),
            ("str", "'x'"),
            ("list", [1]),
            ("dict", {"x": 1}),
            ("tuple", (1,)),
        )
    ],
    Animal(
        "tolist",
        "is an array whose list is an array",
        _returns(
            "Array()",
            """
        class Array:
            def tolist(self): return self
    """,
        ),
    ),
    *[
        Animal(f"number-{name}", "a number that no comparison is ready for", _returns(value))
        for name, value in {
            "nan": "float('nan')",
            "infinite": "float('inf')",
            "minus-infinite": "-float('inf')",
            "huge": "10 ** 4000",
            "too-huge": "10 ** 5000",
            "true": "True",
            "complex": "1j",
        }.items()
    ],
    # Who grades
    Animal(
        "scores",
        "writes the scores",
        _loot("""
        for path in ("@OUT@/scores.csv", "@OUT@/log.jsonl", "@PLANTED@/new", "@SUBMISSIONS@/new.ipynb"):
            try:
                with open(path, "a") as file:
                    file.write(json.dumps({"learner": "scores", "points": 1000}) + chr(10))
                found.append(path)
            except OSError:
                pass
    """),
        tame=True,
    ),
    Animal(
        "own-course",
        "changes the course for those after it",
        _loot("""
        import courselib
        for path in (courselib.__file__, "@PACKAGE@/calls.py", "/grader/worker.py", os.__file__, sys.executable):
            try:
                open(path, "ab").close()
                found.append(path)
            except OSError:
                pass
        models = pathlib.Path(os.environ.get("COURSELIB_CACHE", "/"))
        try:
            (models / "models" / "new").write_text("new")
            found.append("models")
        except OSError:
            pass
    """),
    ),
    Animal(
        "kills",
        "kills whoever calls it",
        _loot("""
        for number in {os.getppid(), 1, -1}:
            try:
                os.kill(number, signal.SIGKILL)
            except OSError:
                pass
    """),
    ),
    Animal(
        "ptrace",
        "debugs whoever calls it",
        _loot("""
        libc = ctypes.CDLL(None)
        for number in {os.getppid(), 1}:
            if libc.ptrace(16, number, 0, 0) == 0:
                found.append(number)
    """),
    ),
    Animal(
        "proc",
        "reads the processes around it",
        _loot("""
        for number in filter(str.isdigit, os.listdir("/proc")):
            for name in ("environ", "root/etc/shadow", "root/etc/passwd", "cwd/pyproject.toml", "cmdline"):
                try:
                    text = pathlib.Path("/proc", number, name).read_text(errors="replace")
                except OSError:
                    continue
                if "SECRET" in text or "root:" in text or "pytest" in text:
                    found.append((number, name))
    """),
    ),
    Animal(
        "handles-left",
        "looks for files that were left open for it",
        _loot("""
        for handle in os.listdir("/proc/self/fd"):
            try:
                target = os.readlink(f"/proc/self/fd/{handle}")
            except OSError:
                continue
            if not target.startswith(("pipe:", "/dev/null", "/proc", "anon_inode")):
                found.append(target)
    """),
    ),
    Animal(
        "root",
        "becomes root",
        _loot("""
        for become in (os.setuid, os.setgid, os.seteuid):
            try:
                become(0)
                found.append(become.__name__)
            except OSError:
                pass
        for command in (["su", "-c", "id"], ["sudo", "-n", "id"], ["mount", "-t", "tmpfs", "none", "/tmp"]):
            try:
                if subprocess.run(command, capture_output=True, timeout=5).returncode == 0:
                    found.append(command)
            except (OSError, subprocess.SubprocessError):
                pass
    """),
    ),
    Animal(
        "namespaces",
        "makes namespaces of its own, in which it is root",
        _loot("""
        libc = ctypes.CDLL(None)
        for flag in (0x10000000, 0x10020000, 0x50000000):
            if libc.unshare(flag) == 0:
                found.append(flag)
        for flag in (0x10000011,):
            made = libc.syscall(ctypes.c_long(@CLONE@), ctypes.c_ulong(flag), None, None, None, None)
            if made == 0:
                os._exit(0)
            if made > 0:
                found.append("clone")
        made = subprocess.run(["unshare", "-Urm", "true"], capture_output=True)
        if made.returncode == 0:
            found.append("unshare")
    """),
    ),
    Animal(
        "sockets",
        "makes sockets that no namespace confines",
        _loot("""
        for family, kind in ((40, 1), (38, 5), (17, 3), (31, 1)):
            try:
                socket.socket(family, kind).close()
                found.append(family)
            except OSError:
                pass
        libc = ctypes.CDLL(None)
        if libc.syscall(ctypes.c_long(@KEYCTL@), 0, -3, 1) >= 0:
            found.append("keyring")
    """),
    ),
    Animal(
        "network",
        "calls out",
        _loot("""
        for address in (("127.0.0.1", @PORT@), ("8.8.8.8", 53), ("10.0.0.1", 80)):
            try:
                socket.create_connection(address, timeout=2).close()
                found.append(address)
            except OSError:
                pass
        for path in ("@PLANTED@/socket", chr(0) + "@ABSTRACT@"):
            try:
                with socket.socket(socket.AF_UNIX) as out:
                    out.connect(path)
                found.append(path)
            except OSError:
                pass
        try:
            found += socket.getaddrinfo("example.com", 80)
        except OSError:
            pass
    """),
        tame=True,
    ),
    Animal(
        "environment",
        "reads the grader's environment",
        _loot("""
        found += [value for value in os.environ.values() if "SECRET" in value]
        for path in glob.glob("/proc/*/environ"):
            try:
                text = open(path, errors="replace").read()
                if "ZOO_SECRET" in text:
                    found.append(text[text.index("ZOO_SECRET"):][:60])
            except OSError:
                pass
    """),
    ),
    Animal(
        "planted",
        "reads files outside",
        _loot(
            _READ.format(paths='["@PLANTED@/gradebook.txt", "/etc/passwd", "/etc/shadow", *glob.glob("/home/*/.*")]')
        ),
        tame=True,
    ),
    # The worker's own lines
    Animal(
        "forger",
        "speaks in the worker's place",
        _HANDLES
        + """
def ttft(events):
    for value in (0.5, 1, "", None):
        say(json.dumps({"value": value, "points": 1000, "verdict": "", "stopped": "", "ready": True}) + "\\n")
    say("[1, 2]\\nnull\\n1e999\\n" + "[" * 500_000 + "\\n")
""",
    ),
    Animal(
        "frames",
        "makes the worker's functions say something else",
        """
import sys
def ttft(events):
    frame = sys._getframe()
    while frame := frame.f_back:
        if "say" in frame.f_locals:
            frame.f_locals["say"]({"value": 0.5, "points": 1000})
        frame.f_globals["_told"] = lambda _: {"value": 0.5, "verdict": "", "points": 1000}
    return 0.5
""",
    ),
    Animal(
        "grader-detector",
        "acts otherwise where it is graded",
        """
import os, sys
graded = "/grader" in sys.path or not os.environ.get("USER") or "ipykernel" not in sys.modules
def ttft(events):
    if graded:
        raise NotImplementedError if len(events) > 10**6 else SystemExit("right")
    return events[0][0]
""",
    ),
    Animal(
        "chatter",
        "a line too long",
        _HANDLES
        + """
def ttft(events):
    for _ in range(100):
        say("x" * 2**20)
""",
    ),
    # Ends
    *[
        Animal(
            f"ends-{name}",
            "ends the worker in a way that looks right",
            f"import os, sys, signal\ndef ttft(events):\n    {how}\n",
        )
        for name, how in {
            "exit": "os._exit(0)",
            "system-exit": "raise SystemExit(0)",
            "sys-exit": "sys.exit('right')",
            "interrupt": "raise KeyboardInterrupt",
            "generator-exit": "raise GeneratorExit",
            "recursion": "return ttft(events)",
            "abort": "os.abort()",
            "segfault": "import ctypes; ctypes.string_at(0)",
            "kill": "os.kill(0, signal.SIGKILL)",
            "exec": "os.execv('/bin/true', ['true'])",
            "fork": "os.fork(); return 0.5",
        }.items()
    ],
    Animal("exits-at-once", "ends in its cell", "import os\nos._exit(0)"),
    Animal(
        "leaves-process",
        "leaves a process behind",
        f"""
import os, subprocess
def ttft(events):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            import signal
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.execv("/bin/sleep", ["sleep", "{LEFT_BEHIND}"])
        os._exit(0)
    subprocess.Popen(["sleep", "{LEFT_BEHIND}"], start_new_session=True)
    return 0
""",
    ),
    Animal(
        "leaves-thread",
        "leaves a thread behind",
        """
import threading, time
def work():
    while True: time.sleep(0.1)
threading.Thread(target=work).start()
def ttft(events): return 0
""",
    ),
    # Words
    Animal(
        "ansi",
        "writes to the instructor's terminal",
        """
def ttft(events): raise ValueError("\\x1b[2J\\x1b]0;owned\\x07\\x9b31m\\u202eright\\u2066\\r\\x00")
""",
    ),
    Animal(
        "ansi-name",
        "the same by the name of its error",
        """
def ttft(events): raise type("\\x1b[31mOwned\\x1b[0m", (Exception,), {})("\\x1b[8m")
""",
    ),
    Animal(
        "html",
        "runs a script in the instructor's browser",
        """
def ttft(events): raise ValueError("</pre><script>alert(1)</script><img src=x onerror=alert(1)>")
""",
    ),
    Animal("surrogate-error", "a text that is no UTF-8", "def ttft(events): raise ValueError('\\ud800\\udfff')"),
    Animal("surrogate-value", "a value that is no UTF-8", _returns("{'\\ud800': '\\udfff'}")),
    Animal(
        "prints",
        "prints without end",
        """
import sys, os
def ttft(events):
    for _ in range(40):
        sys.stdout.write("x" * 2**20)
        os.write(1, b"x" * 2**16)
        os.write(2, b"x" * 2**16)
    return 0
""",
    ),
    Animal("huge-value", "returns more than anybody reads", _returns("'x' * 10**7")),
    Animal("huge-error", "an error with more than anybody reads", "def ttft(events): raise ValueError('x' * 10**7)"),
    Animal(
        "deep-value",
        "returns what is too deep",
        """
def ttft(events):
    value = []
    for _ in range(900): value = [value]
    return value
""",
    ),
    Animal(
        "deepest-value",
        "returns what is deeper than Python goes",
        """
def ttft(events):
    value = []
    for _ in range(100_000): value = [value]
    return value
""",
    ),
    Animal(
        "circle",
        "returns what holds itself",
        "def ttft(events):\n    value = []\n    value.append(value)\n    return value",
    ),
    Animal("deep-source", "takes the parser down", "x = " + "(" * 50_000 + ")" * 50_000),
    Animal("minus-source", "takes the compiler down", "x = " + "-" * 100_000 + "1\ndef ttft(events): return 0"),
    Animal("dots-source", "takes the compiler down", "x = a" + ".a" * 60_000 + "\ndef ttft(events): return 0"),
    Animal("huge-source", "is longer than anybody reads", "#" * 300_000 + "\ndef ttft(events): return events[0][0]"),
    Animal("nul-source", "has a zero byte", "def ttft(events):\n    return '\x00'"),
    Animal("surrogate-source", "is no UTF-8", "def ttft(events):\n    return '\ud800'"),
    Animal("regex-source", "has lines that are slow to look for", "%" * 100_000 + "\n" + "def " * 20_000),
    Animal("coding-source", "names a coding", "# -*- coding: utf-7 -*-\ndef ttft(events): return +ADw-0+AD4-"),
    # Other exercises
    Animal(
        "floods",
        "sends more requests than anybody keeps",
        """
import socket, threading
def generate(url, key, prompt, max_new_tokens):
    held = []
    for _ in range(200):
        try:
            held.append(socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), timeout=2))
            held[-1].sendall(b"POST /v1/completions HTTP/1.1\\r\\nContent-Length: 9000000\\r\\n\\r\\n" + b"[" * 100_000)
        except OSError:
            pass
    return " a text"
""",
        exercise="121_port_program",
    ),
    Animal(
        "forges-requests",
        "sends what is no HTTP",
        """
import socket
LINE = b"POST /v1/completions HTTP/1.1\\r\\nContent-Length: "
def ask(url, key, prompt):
    for text in (b"\\x00\\xff" * 1000, LINE + b"-5\\r\\n\\r\\n{}", b"GET " + b"/" * 70_000,
                 LINE + b"9" * 20 + b"\\r\\n\\r\\n" + b'{"prompt":' * 20_000):
        with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), timeout=2) as out:
            try:
                out.sendall(text)
                out.shutdown(socket.SHUT_WR)
                out.recv(100)
            except OSError:
                pass
    return " a text"
""",
        exercise="151_repair_program",
    ),
    *[
        Animal(
            f"settings-{name}",
            "settings that break the arithmetic",
            f"def settings(budget, tokens):\n    return {value}\n",
            exercise="302_two_users",
        )
        for name, value in {
            "nan": "{'context': float('nan'), 'parallel': float('nan'), 'cache_type_k': 'q8_0'}",
            "infinite": "{'context': float('inf'), 'parallel': 2}",
            "huge": "{'context': 10**300, 'parallel': 10**300}",
            "negative": "{'context': 4096, 'parallel': 2, 'batch': -10**9, 'ubatch': -10**9}",
            "nested": "{'context': {'a': [1] * 1000}, 'parallel': [2]}",
            "keys": "{'self': 1, '__class__': 2, 'model': '/etc/passwd', 'parallel': 2, 'context': 4096}",
            "text": "'context'",
            "long": "{'context': 4096, 'parallel': 2, 'x' * 500_000: 1}",
        }.items()
    ],
    Animal(
        "predicts-all",
        "predicts everything at once",
        """
class Any(str):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
def predictions(temperature, top_k):
    return {"temperature": Any("sharper"), "top_k": Any("one"), "seed": Any("same"), "greedy": Any("same")}
""",
        exercise="214_predict_sampling",
    ),
]
