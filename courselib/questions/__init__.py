"""The questions that end a lesson, and a learner's answers to them.

    lessons/20_generation.md, its :::{quiz} blocks
        --courselib build--> questions/en/20_generation.json    text, options, a reason for each; part of the package
        --courselib build--> the lesson's cell Quiz("20_generation"), whose kept output is ``folded``: for GitHub
    a click in the panel (``panels/quiz.py``)
        --> my-course/.answers.json, beside the lessons         lesson -> question -> options chosen, in order

The questions are in the package, because a kernel does not know its notebook's file, and on Colab has none. Answers are
kept by the words of question and option: a question that has changed is a new one, and one that has moved is not.
"""
