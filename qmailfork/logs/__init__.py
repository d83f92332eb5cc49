"""Logs, read back: multilog directories and streams into the events that programs/journal.py and its like wrote."""
