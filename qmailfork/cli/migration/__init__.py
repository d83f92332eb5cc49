"""Other programs' configurations, read and said again in qmailfork's words."""
