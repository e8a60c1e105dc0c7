"""llama.cpp: its own C++ server, and the library in a notebook's kernel.

    settings --engine.prepare (kv_cache: does it fit?)--> --engine.command--> llama-server's flags --> program

``program`` is the server of the prebuilt wheel under these flags; ``native`` opens the library.
"""
