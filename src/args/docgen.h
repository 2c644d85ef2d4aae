/* Manual pages (mdoc, section 1) and the command-line reference, from the table. */
#ifndef HQ_ARGS_DOCGEN_H
#define HQ_ARGS_DOCGEN_H

#include "args/cmd.h"

/*
 * The page of one program or command group and all that is below it. `path` is "hq" or
 * "hq job"; `date` as in ".Dd": "August 3, 2026". For the root itself the subcommands
 * are only listed, with references to their pages.
 */
void docgen_man(const struct cmd *root, const struct cmd *cmd, const char *path,
                const char *date, struct buf *out);
/* The whole reference of these programs as Markdown. */
void docgen_markdown(const struct cmd *const *programs, struct buf *out);

#endif
