#!/bin/bash -e
#HQ --name "two words" --cpus="2 compact!"
  #HQ --env A=x\ y --env "B=\"q\""
#HQ

: code
#HQ --wait
