"""Options of spamdyke that need nothing, that have no equal, and whose texts have a variable here."""

NEEDLESS = frozenset(
    (
        "log-level log-target dns-max-retries-primary dns-max-retries-total dns-resolv-conf dns-spoof dns-tcp "
        "dns-query-type-a dns-query-type-mx dns-query-type-ptr dns-query-type-rbl config-dir-search "
        "hostname hostname-command hostname-file rejection-text-dns-blacklist rejection-text-rhs-blacklist "
        "config-test config-test-smtpauth-username config-test-smtpauth-password graylist-dir graylist-level "
        "graylist-min-secs graylist-max-secs smtp-auth-command smtp-auth-level recipient-validation-command"
    ).split()
)
TEXTS = {  # option → variable
    "rejection-text-sender-blacklist": "REPLY_BADMAILFROM",
    "rejection-text-recipient-blacklist": "REPLY_BADRCPTTO",
    "rejection-text-missing-sender-mx": "REPLY_SENDEREXIST",
    "rejection-text-sender-no-mx": "REPLY_SENDEREXIST",
    "rejection-text-relaying-denied": "REPLY_NOGATEWAY",
    "rejection-text-graylist": "454SMTPEXTFORK",
}
_DIRECTORY = "a directory of names is not read: write them into a file"
_NAMES = "no checker asks this: write one (qmailfork-checker(7))"
LACKING = {  # option → why
    "config-dir": "settings for single clients are rules in tcp.smtp; for single recipients there are none",
    "connection-timeout-secs": "a session as a whole has no limit; control/timeoutsmtpd limits each wait",
    "full-log-dir": "recordio(1) before qmailfork-smtpd records sessions",
    "run-as-user": "the service says who runs it: tcpserver -u, setuidgid(8)",
    "policy-url": "no text is put behind every refusal: put the address into 554SMTPEXTFORK",
    "reject-ip-in-cc-rdns": _NAMES,
    "reject-unresolvable-rdns": f"{_NAMES}; with tcpserver -p such a client has no name, which is stricter",
    "rdns-blacklist-dir": _DIRECTORY,
    "rdns-whitelist-dir": _DIRECTORY,
    "graylist-exception-rdns-dir": _DIRECTORY,
    "reject-identical-sender-recipient": _NAMES,
    "tls-privatekey-password": "a key has no password here: write it out without one",
    "tls-privatekey-password-file": "a key has no password here: write it out without one",
}
