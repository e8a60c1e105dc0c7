"""Runs pieces of code one after the other in one process of another environment, so that they can share an engine.

Reads a JSON list of pieces; writes one line of JSON with the outcome of each. Below a guard, for vLLM's own processes
begin by reading this file again.
"""

import json
import os
import sys

from tests.snippets.snippets import outcome

if __name__ == "__main__":
    # vLLM writes its log to the standard output, from several processes; the answer alone goes there.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    names = {"__name__": "__main__"}
    print(json.dumps([outcome(code, names) for code in json.load(sys.stdin)]), file=answers, flush=True)
