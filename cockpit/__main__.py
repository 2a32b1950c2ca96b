"""`python -m cockpit` is `cockpit`."""

from cockpit.cli import main

raise SystemExit(main())
