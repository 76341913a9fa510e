"""Why a file cannot be used, and what is refused before anything is decoded."""

from typing import Self

from synthassay.records import Quarantined


class Unreadable(Exception):
    """A file cannot be used. Becomes a row of the quarantine table, which quotes no text of the file."""

    def __init__(self, field: str, found: str, reason: str) -> None:
        super().__init__(reason)
        self.field, self.found, self.reason = field, found, reason

    def __reduce__(self) -> tuple[type[Self], tuple[str, str, str]]:
        return type(self), (self.field, self.found, self.reason)  # whole from one process to another

    def row(self, path: str) -> Quarantined:
        """The quarantine row of the file at ``path``."""
        return Quarantined(path=path, field=self.field, found=self.found, reason=self.reason)
