"""What `qmailfork check` looks for, a module for each kind of thing that may be wrong."""
