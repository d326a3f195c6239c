"""AVQA (ACM MM 2022): questions on VGGSound clips of ten seconds, here as labelled items to train on."""
