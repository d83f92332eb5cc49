"""The operating system: control files and environment, spawning and waiting, log output."""
