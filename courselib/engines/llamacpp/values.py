"""Values that llama.cpp's flags take, named by its settings and by the program that runs it."""

from courselib.memory.llamacpp import BYTES_PER_VALUE

CACHE_TYPES = tuple(BYTES_PER_VALUE)
# llama-server's own default of --cache-ram (common/common.h, b11549).
CACHE_RAM_MIB = 8192
