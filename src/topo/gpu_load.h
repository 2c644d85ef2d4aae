/*
 * How busy GPUs are, as the programs of their makers tell it: which program to run and
 * how to read what it prints. Running it is the caller's part.
 */
#ifndef HQ_TOPO_GPU_LOAD_H
#define HQ_TOPO_GPU_LOAD_H

#include "model/hw_state.h"
#include "topo/topo.h"

#define GPU_LOAD_BYTES_MAX ((size_t)1 << 20) /* of output worth reading */

/* The words of the command, NULL at the end. */
const char *const *gpu_load_command(enum topo_family family);
/*
 * Reads the output of that command into *out. GPUs of which it tells no numbers are
 * left out; ERR_PARSE when there is none left, ERR_NOMEM. *out is not known then.
 */
int gpu_load_parse(enum topo_family family, const void *text, size_t n,
                   struct hw_gpus *out, struct error *err) MUST_CHECK;

#endif
