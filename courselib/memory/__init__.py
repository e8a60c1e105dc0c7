"""How much memory a model needs on an engine: numbers in, numbers out.

A model's shape comes from a file's header (``from_gguf``, ``from_config``) or from a table (``known_model``).
``llamacpp.estimate`` and ``vllm.estimate`` return what an engine takes for it, part by part, and where each figure
comes from. Their other functions turn the question round: the longest context, the most sequences, the most layers on
the GPU that fit into a budget. ``fit`` answers whether a server would start, and with which setting; ``offload`` what a
model divided between GPU and CPU reads for each token. All sizes are bytes; text for people has MiB and GiB.
"""

from courselib.memory import fit, llamacpp, offload, tgi, vllm
from courselib.memory.estimate import Estimate, Part
from courselib.memory.gguf import from_gguf
from courselib.memory.hf_config import from_config
from courselib.memory.model import Layer, Model, Weights
from courselib.memory.shapes import known_model, known_models
from courselib.memory.units import GIB, MIB, size_text

__all__ = [
    "GIB",
    "MIB",
    "Estimate",
    "Layer",
    "Model",
    "Part",
    "Weights",
    "fit",
    "from_config",
    "from_gguf",
    "known_model",
    "known_models",
    "llamacpp",
    "offload",
    "size_text",
    "tgi",
    "vllm",
]
