"""One set of generation controls, and the code that reproduces a call."""
