"""The contracts with other programs, as data: checkers, the queue, the journal. No I/O."""
