#!/bin/sh
# run.sh [COUNT]: counts the words of COUNT files through hq, then serially, and
# compares. Needs a running server and a worker; HQ names the program (default: hq).
set -eu
cd "$(dirname "$0")"
hq=${HQ:-hq}

./files.sh "${1:-600}" >files.txt
rm -f corpus.hqlog
job=$("$hq" --output-mode quiet submit --name corpus --each-line files.txt \
    --log corpus.hqlog -- ./task.sh)
echo "job $job: $(wc -l <files.txt) files"
"$hq" job wait "$job"
"$hq" log corpus.hqlog cat "$job" stdout | ./add.sh >words.txt

./serial.sh files.txt >expected.txt
if cmp -s words.txt expected.txt; then
    echo "equal to the serial count: $(awk '{ n += $1 } END { print n }' words.txt)" \
        "words, $(wc -l <words.txt) different ones"
else
    echo "words.txt differs from expected.txt" >&2
    exit 1
fi
head -n 10 words.txt
