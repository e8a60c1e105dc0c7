"""How each client says a call: one module for each, which turns a plan into the text of a program."""
