"""`python -m vigilbase`."""

from vigilbase.cli.main import main

main()
