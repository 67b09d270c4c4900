"""Which classes of the user's own a package may hold: those that the pipeline file trusts.

A package says which class it needs, as file, name and digest; it is loaded from ``HOME/code``
and only if the pipeline file trusts that very file. Nothing in a package can add to this list.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from components.errors import InvalidInputError, PackageError
from components.models.trusted import code_folder, load_named
from components.pipelines import Pipeline
from components.pipelines.learning import Trusted


@dataclass(frozen=True, slots=True)
class Trust:
    """What is trusted, and where it lies.

    Attributes
    ----------
    folder : Path
        ``HOME/code``.
    named : tuple of Trusted
        The entries under ``trusted`` of the pipeline file.

    """

    folder: Path = Path()
    named: tuple[Trusted, ...] = ()

    @classmethod
    def of(cls, pipeline: Pipeline) -> Self:
        """Take what a pipeline file trusts."""
        if not pipeline.trusted:
            return cls()
        return cls(code_folder(pipeline), tuple(pipeline.trusted.values()))

    def load(self, asked: Mapping[str, Any]) -> type:
        """Load the class that a package asks for.

        Raises
        ------
        PackageError
            If the pipeline file does not trust it, or the file is not there or another one.

        """
        what = f"{asked.get('name')} of code/{asked.get('file')}"
        digest = str(asked.get("sha256"))
        found = [one for one in self.named if one.model_dump() == dict(asked)]
        if not found:
            raise PackageError(
                f"the package holds a model of {what} with SHA-256 {digest}, which the pipeline "
                "file does not trust (any more); nothing of it was run. Keep that file beside a "
                "changed one, and both under trusted, until a newer model is in charge"
            )
        try:
            kind = load_named(self.folder, found[0])
        except InvalidInputError as problem:
            raise PackageError(f"the package needs {what}: {problem}") from problem
        if not isinstance(kind, type):
            raise PackageError(f"the package needs {what}, which is no class")
        return kind

    def name_of(self, kind: type) -> Trusted:
        """Say under which file, name and digest a loaded class is trusted.

        Raises
        ------
        PackageError
            If it is none of them.

        """
        for one in self.named:
            if kind.__module__.endswith(one.sha256[:16]) and load_named(self.folder, one) is kind:
                return one
        raise PackageError(
            f"the model is of the class {kind.__qualname__}, which the pipeline file does not "
            "trust; name its file, name and sha256 under trusted"
        )

    def as_dict(self) -> dict[str, Any]:
        """Give plain JSON values, for another process."""
        named = [one.model_dump() for one in self.named]
        return {"folder": str(self.folder.resolve()), "named": named}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Read what :meth:`as_dict` wrote."""
        named = tuple(Trusted.model_validate(one) for one in given["named"])
        return cls(Path(given["folder"]), named)


NOBODY = Trust()
"""No class of the user's own."""
