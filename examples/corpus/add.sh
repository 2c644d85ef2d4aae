#!/bin/sh
# add.sh: adds up `COUNT WORD` lines from standard input, most frequent word first.
set -eu
export LC_ALL=C
awk '{ count[$2] += $1 } END { for (w in count) printf "%d %s\n", count[w], w }' |
    sort -k 1,1nr -k 2
