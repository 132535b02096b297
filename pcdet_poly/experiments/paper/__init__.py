"""One report in the order of the paper's Table 1: the paper's numbers, and ours at a small scale beside them."""
