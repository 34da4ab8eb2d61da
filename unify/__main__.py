"""`python -m unify` is the `unify` command."""

import sys

from .cli import main

sys.exit(main())
