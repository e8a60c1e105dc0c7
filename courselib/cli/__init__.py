"""The command ``courselib``: a module for each subcommand.

``main`` has the group itself and the subcommands of a few lines. ``jupyter`` is the JupyterLab process behind ``lab``,
``doctor`` what the subcommand of that name looks at, and ``signals`` how those that serve are ended.
"""
