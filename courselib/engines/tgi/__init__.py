"""TGI itself: under Docker, or by a launcher on the PATH.

    settings --rules (what TGI refuses, what it ignores)--> --engine.command--> docker run …, or the launcher

``docker`` makes sure that containers can be run and builds the command, ``container`` runs and removes one, ``causes``
are its usual ways to fail. ``values`` has what several of them name.
"""
