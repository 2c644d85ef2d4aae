#!/bin/sh
# One array task: the line of files.txt that belongs to it is in HQ_ENTRY.
exec ./count.sh "$HQ_ENTRY"
