"""The ten slowest tests of several runs, from the reports that ``pytest --junitxml`` writes.

python -m tests.slowest REPORT.xml...
"""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

COUNT = 10


def slowest(reports: list[Path], count: int = COUNT) -> list[tuple[float, str]]:
    """Seconds and names of the slowest tests, with set-up and tear-down; a report that is not whole is left out."""
    found = []
    for report in reports:
        try:
            cases = ET.parse(report).iter("testcase")
        except (OSError, ET.ParseError):
            continue  # a run that was killed
        found += [(float(case.get("time", 0)), f"{case.get('classname')}::{case.get('name')}") for case in cases]
    return sorted(found, reverse=True)[:count]


if __name__ == "__main__":
    for seconds, name in slowest([Path(argument) for argument in sys.argv[1:]]):
        print(f"{seconds:7.1f} s  {name}")
