"""Start, watch, reach and stop the servers the course teaches.

    settings (frozen dataclass) --Engine.command, pure--> Command --GuardedProcess--> Server

``base`` says what an engine is; ``llamacpp``, ``vllm``, ``tgi`` and ``tgi_gateway`` are the course's own. ``launcher``
starts one and waits until it is ready, or attaches to one that runs; ``server`` is what one holds in one's hand,
``endpoint`` what a program must know to call it; ``registry`` finds engines.
"""
