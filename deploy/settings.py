"""What the surroundings decide: where results lie, and whether our packages are ours."""

import os
from importlib import import_module

PACKAGES = ("stages", "pipelines", "training", "evaluation", "deploy")


def store_url() -> str:
    """Where results go unless the command line says otherwise: $BATEIA_STORE, or here."""
    return os.environ.get("BATEIA_STORE", "bateia-store")


def own_packages() -> None:
    """Exit with a clear message if another package shadows one of ours."""
    for name in PACKAGES:
        package = import_module(name)
        if not getattr(package, "BATEIA", False):
            place = getattr(package, "__file__", None) or getattr(package, "__path__", "?")
            raise SystemExit(
                f"bateia: the package {name!r} at {place} is not bateia's; it shadows ours. Run bateia "
                f"in an environment of its own."
            )
