"""Numba over Arrow buffers, compiled on first use and kept.

Numba knows a kept kernel by the content of its own file, not of the files of the kernels it calls:
after an upgrade it would run old code. So the folder of what is kept is named for all files here. It
is under `NUMBA_CACHE_DIR`, or beside this file; where neither can be written, numba looks elsewhere.

`_nrt=False`, on kernels that make no array: numba then counts no references to the arrays that it is
given. That it does in loops, with atomic instructions, which took a third of the time of some.
"""

import hashlib
from pathlib import Path

from numba import config

HERE = Path(__file__).parent
SOURCES = b"\0".join(path.read_bytes() for path in sorted(HERE.glob("*.py")))

KEPT = f"kernels-{hashlib.sha256(SOURCES).hexdigest()[:16]}"

vars(config)["CACHE_DIR"] = str(Path(vars(config)["CACHE_DIR"] or HERE / "__pycache__") / KEPT)
