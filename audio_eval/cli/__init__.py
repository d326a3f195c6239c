"""The command line: one file per command; bare flags mean ``run``. Heavy imports wait until a command needs them."""
