"""Grading a class: notebooks in, points, reasons and pages out.

A submission goes through five rooms, each a module:

``collect``    files of a folder or zip, as learning platforms name them -> whose notebook for which exercise
``answer``     a notebook -> the learner's answer cell; all other cells come from the course
``confined``   the cells run in a confined process (``sandbox`` with ``seccomp``, ``worker``), which is watched from
               outside (``family``); calls go in and values come out, as JSON
``grade``      the exercise's judge, outside, gives the verdict over the values; every result goes to a journal at once
``results``    from the journal: scores, pages, what is graded by hand

What a learner's code can reach holds nothing worth reaching: no judge, no solution, no other learner, no score.
"""
