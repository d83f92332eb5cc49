"""The core: the SMTP conversation as a generator that asks a driver for whatever has to be done."""
