"""`python -m aligngemini`: the command line where its script is not on the path."""

import sys

from aligngemini.cli import main

sys.exit(main())
