"""Every test can be collected on Windows: what is only on Linux and macOS is used where it runs, not on import."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
MODULES = {"fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"}
NAMES = {
    "signal.SIGKILL", "signal.SIGSTOP", "signal.SIGCONT", "signal.SIGHUP", "signal.SIGALRM", "signal.SIGUSR1",
    "socketserver.UnixStreamServer", "socket.AF_UNIX", "os.geteuid", "os.getuid", "os.fork", "os.mkfifo",
}  # fmt: skip


def run_on_import(node):
    """The nodes of a module that importing it runs: not the bodies of functions, and nothing below a condition."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If | ast.IfExp | ast.BoolOp | ast.Lambda | ast.Try):
            continue
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in (*child.decorator_list, child.args):
                yield from run_on_import(ast.Expression(part))
            continue
        yield child
        yield from run_on_import(child)


def not_on_windows(source):
    """What it names on import that Windows lacks."""
    for node in run_on_import(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from MODULES & {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            yield from MODULES & {node.module}
        elif isinstance(node, ast.Attribute):
            yield from NAMES & {ast.unparse(node)}


@pytest.mark.parametrize("file", sorted(TESTS.rglob("*.py")), ids=lambda file: file.relative_to(TESTS).as_posix())
def test_nothing_is_named_on_import_that_windows_lacks(file):
    if file == TESTS / "models" / "terminal.py":
        return  # imported by the tests that open a terminal, when they run
    assert not list(not_on_windows(file.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pty", ["pty"]),
        ("@mark(signal.SIGKILL)\ndef test(): ...", ["signal.SIGKILL"]),
        ("class Server(socketserver.UnixStreamServer): ...", ["socketserver.UnixStreamServer"]),
        ("def test(number=signal.SIGKILL): ...", ["signal.SIGKILL"]),
        ("def test():\n    import pty\n    os.fork()", []),
        ("if POSIX:\n    import pty", []),
        ("try:\n    import resource\nexcept ImportError: ...", []),
    ],
)
def test_what_is_named_on_import_is_found(source, found):
    assert list(not_on_windows(source)) == found
