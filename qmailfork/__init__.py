"""qmailfork: a ucspi-tcp compatible qmail-smtpd that forks the site's own checkers after RCPT."""

__version__ = "0.1.0"
