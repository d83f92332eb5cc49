#!/bin/sh
# john-joe-checker in sh: defer (101) what john@foodomain.net sends to joe@joedomain.net, else 0.
# Usage: REMOTEMF=SENDER REMOTERCPT=RECIPIENT john-joe-checker.sh
[ "${REMOTEMF+set}" ] || { echo "No REMOTEMF var" >&2; exit 0; }
[ "${REMOTERCPT+set}" ] || { echo "No REMOTERCPT var" >&2; exit 0; }
# John@FooDomain.net is john, too: case never matters in a domain, nor to qmail in the names of our own users, and who
# wants to get past a policy writes another one. The quotes keep an address from being read as anything else.
envelope=$(printf %s "$REMOTEMF $REMOTERCPT" | tr A-Z a-z)
[ "$envelope" = 'john@foodomain.net joe@joedomain.net' ] && exit 101
exit 0
