"""The text of service directories, units and rc.d scripts."""
