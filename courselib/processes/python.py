"""Runs a Python module in a process of its own that never imports what lies in the current folder.

``python -m NAME`` and ``python -c`` put the current folder first on ``sys.path``: a ``token.py`` or ``json.py`` that a
learner keeps beside a notebook would replace the standard library's in the engine, in JupyterLab or in pip. The switch
against that, ``-P``, came with Python 3.11. So this file itself is the program: Python puts the folder of the program
on ``sys.path``, this file takes it off again and runs the module. ``PYTHONPATH``, ``PYTHONSAFEPATH``, the user's
packages and editable installations keep their effect.
"""

from __future__ import annotations

import runpy
import sys


def python_module(name: str) -> list[str]:
    """The words of a command that runs a module as ``python -m NAME`` does, without the current folder.

    Args:
        name: the module's or package's full name; the module's own arguments are appended to the result.
    """
    return [sys.executable, __file__, name]


def main() -> None:
    """Run the module named by the first argument as the main program, the other arguments being its own."""
    # Of all entries only this one was added by Python for us, and with PYTHONSAFEPATH it was not.
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]
    runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
