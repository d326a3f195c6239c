"""MMAU (arXiv 2410.19168): 27 skills on sound, music and speech; test-mini with answers, test without."""
