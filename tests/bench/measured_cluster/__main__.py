"""Started by ../cluster, inside the namespaces that it makes."""

import sys

from bench import main

sys.exit(main())
