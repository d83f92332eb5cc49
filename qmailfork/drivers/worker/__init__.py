"""A worker of the warm listener: many sessions on one event loop."""
