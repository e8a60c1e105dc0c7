"""Models: a name becomes a verified file on this machine.

``catalogue`` knows the course's models; ``resolve`` turns a name, a path or a place on the hub into a GGUF file,
fetching it if need be; ``locate`` does so without fetching. The bundled model comes as data out of a package
(``bundled``), the others from the Hugging Face hub (``hub``). ``gguf_header`` reads a file's facts,
``text_model_header`` refuses what generates no text, ``read_header`` reads also a file that is only on the hub, and
``hf_model`` a model in Hugging Face's format. ``hf_directory`` makes from a GGUF the directory that some engines want
instead, ``requantise`` a GGUF whose matrices all have another format, and ``quantise`` one in a mix of formats, as
llama.cpp's own quantiser makes it. ``evaluation_text`` is a text to compare them on.
"""

from courselib.models.catalogue import CATALOGUE, Model, ModelRow, catalogue
from courselib.models.directory import hf_directory
from courselib.models.header import GgufHeader, gguf_header, text_model_header
from courselib.models.quantise import quantise
from courselib.models.requantise import requantise
from courselib.models.resolve import list_models, locate, read_header, resolve
from courselib.models.safetensors import HfModel, hf_model
from courselib.models.texts import evaluation_text

__all__ = [
    "CATALOGUE",
    "GgufHeader",
    "HfModel",
    "Model",
    "ModelRow",
    "catalogue",
    "evaluation_text",
    "gguf_header",
    "hf_directory",
    "hf_model",
    "list_models",
    "locate",
    "quantise",
    "read_header",
    "requantise",
    "resolve",
    "text_model_header",
]
