"""`python -m sild` is the `sild` command."""

import sys

from sild.cli import main

sys.exit(main())
