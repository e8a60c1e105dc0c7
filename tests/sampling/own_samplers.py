"""llama-server with samplers and a window of its own, as somebody else may have started one: a main program."""

import sys

import xllamacpp

from courselib.engines.llamacpp import program

usual = xllamacpp.Server


def with_its_own(params):
    params.sampling.samplers = "temperature;penalties"
    params.sampling.penalty_last_n = 3
    return usual(params)


xllamacpp.Server = with_its_own
sys.exit(program.main())
