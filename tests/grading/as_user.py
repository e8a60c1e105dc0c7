"""A program: grade a folder as whoever runs it, and print the results as JSON.

python -m tests.grading.as_user SUBMISSIONS OUT
"""

import dataclasses
import json
import sys
from pathlib import Path

from courselib.grading import sandbox
from courselib.grading.assignment import read_assignments
from tests.grading.class_room import grade

if __name__ == "__main__":
    sandbox.require()
    exercises = Path(__file__).parents[2] / "exercises" / "en"
    results = grade(Path(sys.argv[1]), Path(sys.argv[2]), read_assignments(exercises))
    print(json.dumps([dataclasses.asdict(each) for each in results]))
