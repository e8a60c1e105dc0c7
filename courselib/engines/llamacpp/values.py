"""Values that llama.cpp's flags take, named by its settings and by the program that runs it."""

from courselib.memory.llamacpp import BYTES_PER_VALUE, CACHE_RAM_MIB

__all__ = ["CACHE_RAM_MIB", "CACHE_TYPES"]

CACHE_TYPES = tuple(BYTES_PER_VALUE)
