"""AlpacaEval 2 (arXiv 2404.04475): instructions; a judge compares the answers with a baseline's."""
