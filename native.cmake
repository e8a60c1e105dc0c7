# Read by CMake when `make native` builds llama-cpp-python. The package asks for llama.cpp's "common" part, which its
# own programs need and Python does not: half of the work of compiling. A cache entry could not say no, it is forced.
set(LLAMA_BUILD_COMMON OFF)
