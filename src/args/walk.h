/* Visits every visible command of a tree, parents before their subcommands. */
#ifndef HQ_ARGS_WALK_H
#define HQ_ARGS_WALK_H

#include "args/cmd.h"

struct walk {
    /* `path`: the words that lead to the command: "hq job list". */
    void (*visit)(struct walk *w, const struct cmd *cmd, const char *path);
    struct buf *out;
    const struct cmd *root;
};

void walk_tree(struct walk *w, const struct cmd *root);

/* Options that may stand behind the command: its own, then the global ones of root. */
struct seen_opts {
    struct opt_iter it;
    const struct cmd *root; /* NULL when its options were handed out */
    bool globals;
};
struct seen_opts seen_opts_make(const struct cmd *root, const struct cmd *cmd);
const struct opt *seen_opts_next(struct seen_opts *s); /* hidden ones left out */

#endif
