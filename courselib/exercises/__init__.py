"""What an exercise asks and how an answer is judged: pure descriptions, without notebooks, files or network.

An exercise lists calls, whose arguments are JSON, and gives a verdict over what came back. Who makes the calls is not
its business: ``courselib.check`` makes them in the learner's notebook, a grader may make them in a confined process.
"""
