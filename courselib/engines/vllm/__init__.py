"""vLLM: its OpenAI-compatible server, and the library in a notebook's kernel.

    settings --machine.choose--> PreparedVllm --checks--> --model.find_model--> --engine.command--> vllm serve
                    ^                                          |
       environment (where vLLM is; install makes it)    the files it reads

``engine`` is the engine itself, ``causes`` how it usually fails, ``native`` the library.
"""
