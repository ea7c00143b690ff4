"""Numba over Arrow buffers, compiled on first use and kept.

Numba knows a kept kernel by the content of its own file, not of the files of the kernels it calls:
after an upgrade it would run old code. So the folder of what is kept is named for all files here. It
is under `NUMBA_CACHE_DIR`, or beside this file; where neither can be written, numba looks elsewhere.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from numba import config, njit

HERE = Path(__file__).parent
SOURCES = b"\0".join(path.read_bytes() for path in sorted(HERE.glob("*.py")))

KEPT = f"kernels-{hashlib.sha256(SOURCES).hexdigest()[:16]}"

vars(config)["CACHE_DIR"] = str(Path(vars(config)["CACHE_DIR"] or HERE / "__pycache__") / KEPT)

Function = TypeVar("Function", bound=Callable[..., Any])
LEAN: dict[str, Any] = {"cache": True, "_nrt": False}


def lean(kernel: Function) -> Function:
    """Compile a kernel that makes no array, so that no references to those it is given are counted.

    Numba counts them in loops, by atomic instructions, which took a third of the time of some.
    """
    compiled: Function = njit(**LEAN)(kernel)
    return compiled


def lean_inline(kernel: Function) -> Function:
    """The same, put in place where it is called."""
    compiled: Function = njit(**LEAN, inline="always")(kernel)
    return compiled
