#!/bin/sh
# john-joe-checker in sh: defer (101) what john@foodomain.net sends to joe@joedomain.net, else 0.
# Usage: REMOTEMF=SENDER REMOTERCPT=RECIPIENT john-joe-checker.sh
[ "${REMOTEMF+set}" ] || { echo "No REMOTEMF var" >&2; exit 0; }
[ "${REMOTERCPT+set}" ] || { echo "No REMOTERCPT var" >&2; exit 0; }
# = compares text; the quotes keep an address from being read as anything else.
[ "$REMOTEMF" = john@foodomain.net ] && [ "$REMOTERCPT" = joe@joedomain.net ] && exit 101
exit 0
