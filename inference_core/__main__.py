"""``python -m inference_core`` is the command ``infer``."""

import sys

from inference_core.cli import main

sys.exit(main())
