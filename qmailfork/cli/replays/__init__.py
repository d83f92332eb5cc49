"""What `qmailfork replay` is made of: a log's recipients, a pool that asks checkers, and the comparison."""
