"""A folder of a learner's, with files that are called as modules of the standard library are."""

import pytest


@pytest.fixture
def learners_folder(tmp_path):
    """Whatever imports one of these files ends at once."""
    folder = tmp_path / "course work"
    folder.mkdir()
    for name in ("token", "json", "random", "argparse", "string"):
        (folder / f"{name}.py").write_text("raise SystemExit('imported from the current folder: ' + __file__)\n")
    return folder
