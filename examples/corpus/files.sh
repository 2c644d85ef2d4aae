#!/bin/sh
# files.sh [COUNT]: names up to COUNT text files of this machine (default 600): licences
# and compressed manuals, spread evenly over all that there are, one a line.
set -eu
export LC_ALL=C
newline='
'
for dir in /usr/share/common-licenses /usr/share/doc /usr/share/man; do
    [ -d "$dir" ] || continue
    find "$dir" -type f \( -path '*/common-licenses/*' -o -name copyright \
        -o -name '*.gz' \) ! -name "*$newline*"
done | sort | awk -v count="${1:-600}" '
    { name[NR] = $0 }
    END {
        step = NR > count ? NR / count : 1
        for (i = 1; i <= NR; i += step) print name[int(i)]
    }'
