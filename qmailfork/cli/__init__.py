"""Words from the operator: the click commands of qmailfork(8)."""
