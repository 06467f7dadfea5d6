"""``python -m device_agent`` is ``linewarden-agent``."""

from device_agent.cli import main

raise SystemExit(main())
