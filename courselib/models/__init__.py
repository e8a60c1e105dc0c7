"""Models: a name becomes a verified file on this machine.

``catalogue`` knows the course's models; ``resolve`` turns a name, a path or a place on the hub into a GGUF file,
fetching it if need be; ``locate`` does so without fetching. The bundled model comes as data out of a package
(``bundled``), the others from the Hugging Face hub (``hub``). ``gguf_header`` reads a file's facts, and
``hf_directory`` makes from a GGUF the directory that some engines want instead.
"""

from courselib.models.catalogue import CATALOGUE, Model, ModelRow, catalogue
from courselib.models.directory import hf_directory
from courselib.models.header import GgufHeader, gguf_header
from courselib.models.resolve import list_models, locate, resolve

__all__ = [
    "CATALOGUE",
    "GgufHeader",
    "Model",
    "ModelRow",
    "catalogue",
    "gguf_header",
    "hf_directory",
    "list_models",
    "locate",
    "resolve",
]
