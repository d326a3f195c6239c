"""What works on this machine and what does not: checks of the installation, each on its own, and how to mend it."""

from audio_eval.doctor.checks import Settings, diagnose
from audio_eval.doctor.finding import Finding

__all__ = ["Finding", "Settings", "diagnose"]
