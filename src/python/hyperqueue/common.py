from pathlib import Path
from typing import Dict, Union

GenericPath = Union[str, Path]
EnvType = Dict[str, str]
