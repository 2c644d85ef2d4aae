/* Inside of struct args, for the parser and the usage texts. */
#ifndef HQ_ARGS_ARGS_BUILD_H
#define HQ_ARGS_ARGS_BUILD_H

#include "args/args.h"

/* One option or positional of the command or of those above it. */
struct slot {
    const struct opt *opt; /* or */
    const struct pos *pos;
    enum args_source source;
    size_t level;       /* index into path of the command that declares it */
    size_t given_level; /* deepest command behind which it was given */
    size_t order;       /* rank of its first occurrence on the command line */
    const char **values;
    size_t n, cap;
};

struct args {
    const struct cmd *path[CMD_DEPTH_MAX];
    size_t depth; /* commands in path, at least 1 */
    struct slot *slots;
    size_t n_slots, cap_slots;
    size_t n_given;   /* rank of the last option on the command line */
    struct buf words; /* args_path */
    char **owned;     /* copies made for values */
    size_t n_owned;
};

struct args *args_create(const struct cmd *root, const char *path);
/* Goes down into a subcommand. */
void args_enter(struct args *a, const struct cmd *sub);
const struct cmd *args_current(const struct args *a);
struct slot *args_slot_of_opt(struct args *a, const struct opt *opt);
struct slot *args_slot_of_pos(struct args *a, const struct pos *pos);
/* NULL when nothing of that name is declared. */
struct slot *args_find(const struct args *a, const char *name);
void args_slot_add(struct slot *s, const char *value);
/* Keeps a copy of n bytes of text as long as the arguments live. */
const char *args_keep(struct args *a, const char *text, size_t n);

#endif
