#include "args/walk.h"

static void walk_from(struct walk *w, const struct cmd *cmd, const char *parent)
{
    char path[CMD_PATH_BYTES];
    cmd_path(path, parent, cmd);
    w->visit(w, cmd, path);
    for (const struct cmd *const *sub = cmd->subs; sub && *sub; sub++)
        if (!((*sub)->flags & CMD_HIDDEN))
            walk_from(w, *sub, path);
}

void walk_tree(struct walk *w, const struct cmd *root)
{
    w->root = root;
    walk_from(w, root, "");
}

struct seen_opts seen_opts_make(const struct cmd *root, const struct cmd *cmd)
{
    return (struct seen_opts){opt_iter_make(cmd), cmd == root ? NULL : root, false};
}

const struct opt *seen_opts_next(struct seen_opts *s)
{
    for (;;) {
        const struct opt *opt = opt_next(&s->it);
        if (!opt) {
            if (!s->root)
                return NULL;
            s->it = opt_iter_make(s->root);
            s->root = NULL;
            s->globals = true;
            continue;
        }
        if (opt->flags & OPT_HIDDEN)
            continue;
        if (!s->globals || (opt->flags & OPT_GLOBAL))
            return opt;
    }
}
