"""What a submitted run takes along: the recipe, the code, and options that hold on every node."""

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from stages.errors import SpecError

SECRET = re.compile(r"[?&][^=&]*(sig|token|secret|key|password|credential)[^=&]*=", re.IGNORECASE)

# `python` on the cluster's PATH may be another than the one Ray runs on. The parent of the job is a
# worker, whose parent is the raylet, whose file lies within the right environment.
START = """\
raylet=$(readlink "/proc/$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$PPID/status")/exe")
for python in "${raylet%/lib/python*}/bin/python" python3 python; do
  if "$python" -c 'from importlib.util import find_spec as f; f("ray").name, f("deploy").name' 2>/dev/null
  then exec "$python" -m deploy.cli "$@"
  fi
done
echo 'bateia: no Python of this cluster has both Ray and bateia in it' >&2
exit 5
"""


def everywhere(path: str, option: str) -> str:
    """A path or URL that means the same on every node, and tells the job list no secret."""
    url = urlsplit(path.removeprefix("@"))
    if url.password or SECRET.search(path):
        raise SpecError(
            f"{option}: a URL with credentials in it would stand in the cluster's list of jobs; "
            f"give them to the nodes (instance role, environment, mounted file)"
        )
    if not url.scheme and not url.path.startswith("/"):
        raise SpecError(
            f"{option}: {path!r} would be another folder on every node; expected a URL or the "
            f"absolute path of a disk that all nodes share"
        )
    return path


def pack(recipe: Path, packages: Sequence[str]) -> bytes:
    """A zip of a recipe and of packages as they are imported here: the same bytes for the same files."""
    files = {f"recipe/{recipe.name}": recipe}
    for package in packages:
        spec = find_spec(package.split(".")[0])
        if spec is None or not (spec.origin or spec.submodule_search_locations):
            raise SpecError(
                f"the package {package!r} is not installed here, so it cannot be shipped"
            )
        for folder in map(Path, spec.submodule_search_locations or ()):
            files |= {f"{folder.name}/{path.relative_to(folder)}": path for path in sources(folder)}
        if not spec.submodule_search_locations and spec.origin:
            files[Path(spec.origin).name] = Path(spec.origin)
    contents = {"start.sh": START.encode()} | {name: p.read_bytes() for name, p in files.items()}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in sorted(contents):
            archive.writestr(zipfile.ZipInfo(name), contents[name], zipfile.ZIP_DEFLATED)
    return made.getvalue()


def sources(folder: Path) -> Iterator[Path]:
    """The files of a package, without what was made of them."""
    for path in folder.rglob("*"):
        inside = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part == "__pycache__" for part in inside)
        if path.is_file() and not hidden and path.suffix != ".pyc":
            yield path
