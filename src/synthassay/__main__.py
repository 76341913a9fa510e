"""``python -m synthassay``, for launchers that start modules, such as torchrun."""

import sys

from synthassay.cli.main import main

sys.exit(main())
