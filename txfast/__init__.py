"""txfast: replays payment transactions into account balances."""

from txfast._version import __version__

__all__ = ["__version__"]
