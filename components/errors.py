"""Every error that Driftwheel raises on purpose.

::

    DriftwheelError                    something could not be done          exit 1
    ├── InvalidInputError              what the user wrote or gave          exit 2
    │   ├── PipelineFileError          a pipeline file, with file and field
    │   ├── UnknownPipelineError       no pipeline of that name
    │   ├── SettingsError              driftwheel.toml or the environment
    │   └── SourceError                the source is missing, unreadable or of another shape
    ├── NotEnoughHistoryError          too few rows, or too short a span, for what was asked
    ├── TrainingError                  a fit failed, or answered nonsense
    ├── SeenRowsError                  the gate was handed rows that a side was fitted on
    ├── PackageError                   a model package that must not be used
    │   ├── ConversionError            a model that has no exact ONNX graph
    │   ├── TamperedPackageError       its bytes are not those that were registered
    │   └── ParityError                it answers other than the model it was made from
    ├── StoreError                     lake, ledger or registry could not do its part
    │   ├── CommitConflictError        other writers won every attempt
    │   ├── LeaseLostError             a stale holder tried to write: its fencing token is old
    │   ├── ErasedError                a snapshot held rows of a person who was erased
    │   ├── NotOursError               a thing of that name exists and belongs to somebody else
    │   └── StoreUnreachableError      a server or folder does not answer
    └── ServiceError                   a server that we start or talk to
        ├── PortTakenError
        └── ChildDiedError

Each message says what was needed, what was found and where, and what to do next.
"""


class DriftwheelError(Exception):
    """Something could not be done; the message says what to do next."""

    exit_code = 1


class InvalidInputError(DriftwheelError, ValueError):
    """What the user wrote or gave cannot be used as it is."""

    exit_code = 2


class PipelineFileError(InvalidInputError):
    """A pipeline file does not say what it must; names file and field."""


class UnknownPipelineError(InvalidInputError, LookupError):
    """No pipeline of that name in the home, nor among the shipped ones."""


class SettingsError(InvalidInputError):
    """``driftwheel.toml`` or the environment says something that cannot be."""


class SourceError(InvalidInputError):
    """The source is missing, unreadable, or not of the shape that the pipeline file states."""


class NotEnoughHistoryError(DriftwheelError, ValueError):
    """Too few rows, or too short a span, for what was asked."""


class TrainingError(DriftwheelError):
    """A fit failed, or the fitted model answered nonsense."""


class SeenRowsError(DriftwheelError):
    """The promotion gate was handed rows that one of the two sides was fitted on."""


class PackageError(DriftwheelError):
    """A model package that must not be used."""


class ConversionError(PackageError):
    """A model has no exact ONNX graph; another format must hold it."""


class TamperedPackageError(PackageError):
    """The bytes of a package are not those that were registered."""


class ParityError(PackageError):
    """A package answers other than the model it was made from."""


class StoreError(DriftwheelError):
    """Lake, ledger or registry could not do its part."""


class CommitConflictError(StoreError):
    """Other writers won every attempt at a commit."""


class LeaseLostError(StoreError):
    """A stale holder tried to write: its lease has passed to somebody else."""


class ErasedError(StoreError):
    """A snapshot held rows that were erased since; it cannot be rebuilt as it was."""


class NotOursError(StoreError):
    """A thing of that name exists and was not made by this home; it is left alone."""


class StoreUnreachableError(StoreError, ConnectionError):
    """A server or folder does not answer."""


class ServiceError(DriftwheelError):
    """A server that we start, or talk to, fails."""


class PortTakenError(ServiceError, OSError):
    """Somebody else listens on the port that was asked for."""


class ChildDiedError(ServiceError, ChildProcessError):
    """A child process ended on its own."""
