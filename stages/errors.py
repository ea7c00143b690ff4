"""Everything that can go wrong, and whose fault it is.

Error:
├── SpecError     the pipeline as written cannot run; nothing was started      (author)   exit 4
├── DataError     an input cannot be read, or is not what it says it is        (input)    exit 5
├── StageError    a stage failed on more documents than its pipeline allows    (stage)    exit 5
├── StoreError    a result is missing, torn or does not match its checksum     (storage)  exit 5
└── RunnerError   workers die, hang or cannot be had                           (cluster)  exit 5

"""


class Error(Exception):
    """Base of every error this project raises on purpose. Its text is the whole message."""

    exit_code = 5


class SpecError(Error):
    """The pipeline as written cannot run; raised before any work starts."""

    exit_code = 4


class DataError(Error):
    """An input cannot be read."""


class StageError(Error):
    """A stage failed on more documents than its pipeline allows."""


class StoreError(Error):
    """A stored result is missing, torn or does not match its checksum."""


class RunnerError(Error):
    """The workers that should do the work die, hang or cannot be had."""
