"""OmoiOS."""
