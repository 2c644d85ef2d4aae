#!/bin/sh
# serial.sh LIST: the same counts without hq, as one pipeline over all files.
set -eu
export LC_ALL=C
while IFS= read -r file; do
    zcat -f -- "$file"
    echo
done <"$1" | tr -cs '[:alpha:]' '\n' | tr '[:upper:]' '[:lower:]' | sed '/^$/d' |
    sort | uniq -c | awk '{ print $1, $2 }' | sort -k 1,1nr -k 2
