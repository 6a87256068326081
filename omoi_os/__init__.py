"""OmoiOS finds out whether work that a coding agent calls done is done."""

__version__ = "0.1.0"
