"""../cluster starts this program inside its namespaces."""

import sys

from bench import main

sys.exit(main())
