"""A terminal of 24 lines and 80 columns, to see what a person in front of one sees."""

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios


def in_terminal(code, env=None):
    """Run Python code in a process whose output is a terminal; its exit code and what was shown."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    process = subprocess.Popen([sys.executable, "-c", code], env=env, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # Linux's way to say that the other end is closed
        while piece := os.read(ours, 4096):
            shown += piece
    os.close(ours)
    return process.wait(), shown.decode(errors="replace")
