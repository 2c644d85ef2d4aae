#!/bin/sh
# count.sh FILE: how often each word stands in FILE, which may be compressed.
set -eu
export LC_ALL=C
zcat -f -- "$1" | tr -cs '[:alpha:]' '\n' | tr '[:upper:]' '[:lower:]' |
    sed '/^$/d' | sort | uniq -c
