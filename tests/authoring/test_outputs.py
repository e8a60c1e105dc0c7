"""What is taken out of a notebook's outputs."""

from pathlib import Path

from courselib.authoring.outputs import private_paths


def test_without_a_home_folder_nothing_stands_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as for a user without an entry in passwd
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("Could not determine home")))
    assert ("~", "~") in private_paths(tmp_path)
