"""What pyproject.toml cannot say: a wheel carries the course's notebooks beside the package's code."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithCourse(build_py):
    """Copies the notebooks into a wheel; an editable install finds them in the clone."""

    def run(self) -> None:
        """Build the package, then add the course."""
        super().run()
        if not self.editable_mode:
            for folder in ("notebooks/en", "exercises/en"):
                into = Path(self.build_lib, "courselib", "course", folder)
                shutil.rmtree(into, ignore_errors=True)
                shutil.copytree(folder, into, ignore=shutil.ignore_patterns(".*"))


setup(cmdclass={"build_py": WithCourse})
