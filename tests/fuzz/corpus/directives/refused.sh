#HQ --array x
#HQ --nodes 2 --cpus 3
