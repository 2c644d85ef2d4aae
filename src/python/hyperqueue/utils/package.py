class MissingPackageException(Exception):
    """A package that only some uses need is not installed."""

    def __init__(self, package: str, why: str) -> None:
        super().__init__(f"{why}: install the package `{package}`")
        self.package = package
