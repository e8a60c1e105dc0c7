"""A folder as a learner may have it: files called after modules that programs of ours import."""

TAKEN = (
    "token", "json", "random", "argparse", "runpy", "linecache", "tokenize", "types", "string", "queue", "asyncio",
    "secrets", "uvicorn", "starlette", "httpx", "anyio", "xllamacpp", "courselib",
)  # fmt: skip
SAYS = "imported from the current folder"


def learners_folder(folder):
    """Fill a new folder with modules that end whoever imports them, and say so."""
    folder.mkdir()
    for name in TAKEN:
        (folder / f"{name}.py").write_text(f"raise SystemExit('{SAYS}: ' + __file__)")
    return folder
