"""AVQA (ACM MM 2022): questions on VGGSound clips of ten seconds, used as labelled training items."""
