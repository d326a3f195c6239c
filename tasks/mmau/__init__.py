"""MMAU (arXiv 2410.19168): 27 skills on sound, music and speech. Test-mini has answers, test has none."""
