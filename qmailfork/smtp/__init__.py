"""The language of SMTP: commands, addresses, the body, the Received line, every reply. No I/O."""
