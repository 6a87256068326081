"""`python -m omoi_os.cli`."""

from omoi_os.cli import main

main()
