"""What a group of open-ended answers agrees on: the rewards of ``op_ttrl``."""
