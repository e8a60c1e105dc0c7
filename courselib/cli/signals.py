"""How a subcommand that serves is ended: by Ctrl-C, or by the signals INT and TERM from another program."""

from __future__ import annotations

import signal


def end_on_signals() -> None:
    """Make INT and TERM raise ``KeyboardInterrupt`` in the main thread, however this process was started.

    A command that a script puts in the background (``courselib serve &``, ``nohup``, many CI runners) is started with
    INT ignored. Python then installs no handler of its own, and the command would never end on that signal.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
