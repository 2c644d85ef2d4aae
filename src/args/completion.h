/* Completion scripts for shells, generated from the command table. */
#ifndef HQ_ARGS_COMPLETION_H
#define HQ_ARGS_COMPLETION_H

#include "args/cmd.h"

/* `shell`: bash, elvish, fish, powershell or zsh. ERR_INVALID for another one. */
int completion_print(const struct cmd *root, const char *shell, struct buf *out,
                     struct error *err) MUST_CHECK;

#endif
