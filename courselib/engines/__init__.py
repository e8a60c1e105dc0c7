"""Start, watch, reach and stop the servers the course teaches.

    settings (frozen dataclass) --Engine.command, pure--> Command --EngineProcess--> Server

``base`` says what an engine is, ``llamacpp`` is one; ``process`` and ``guard`` run it so that nothing outlives the
kernel; ``launch`` waits until it is ready; ``server`` is what one holds in one's hand; ``registry`` finds engines.
"""

from courselib.engines.launch import attach, launch

__all__ = ["attach", "launch"]
