"""``python -m audio_eval``."""

import sys

from audio_eval.cli.main import main

sys.exit(main())
