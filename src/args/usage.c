#include "args/usage.h"

static void print_positionals(const struct cmd *cmd, struct buf *out)
{
    for (const struct pos *pos = cmd->positionals; pos && pos->name; pos++) {
        buf_putc(out, ' ');
        pos_print(pos, true, out);
    }
}

static void print_subcommand(const struct cmd *cmd, struct buf *out)
{
    if (cmd->subs)
        buf_puts(out, cmd->flags & CMD_SUB_OPTIONAL ? " [COMMAND]" : " <COMMAND>");
}

void usage_print(const struct args *a, struct buf *out)
{
    const struct cmd *cmd = args_current(a);
    buf_printf(out, "%s [OPTIONS]", args_path(a));
    struct opt_iter it = opt_iter_make(cmd);
    for (const struct opt *opt; (opt = opt_next(&it));) {
        if (opt->flags & OPT_REQUIRED) {
            buf_putc(out, ' ');
            opt_print(opt, out);
        }
    }
    print_positionals(cmd, out);
    print_subcommand(cmd, out);
}

static bool is_listed(const struct slot *s, const struct slot *const *list)
{
    for (; list && *list; list++)
        if (*list == s)
            return true;
    return false;
}

static bool is_shown(const struct args *a, const struct slot *s,
                     const struct opt *extra, const struct slot *const *but)
{
    if (!s->opt || is_listed(s, but) || (s->opt->flags & OPT_HIDDEN))
        return false;
    bool here = s->level == a->depth - 1;
    if (!here && !(s->opt->flags & OPT_GLOBAL))
        return false;
    return s->opt == extra || s->source == ARGS_LINE || s->source == ARGS_ENV ||
           (here && (s->opt->flags & OPT_REQUIRED));
}

void usage_print_given(const struct args *a, const struct opt *extra,
                       const struct slot *const *but, struct buf *out)
{
    size_t n_shown = 0;
    for (size_t i = 0; i < a->n_slots; i++)
        n_shown += is_shown(a, &a->slots[i], extra, but);
    const struct cmd *cmd = args_current(a);
    buf_puts(out, args_path(a));
    if (!n_shown && !cmd->positionals)
        buf_puts(out, " [OPTIONS]");
    /* Options of the command itself come first, global ones behind them. */
    for (size_t level = a->depth; level-- > 0;) {
        for (size_t i = 0; i < a->n_slots; i++) {
            const struct slot *s = &a->slots[i];
            if (s->level == level && is_shown(a, s, extra, but)) {
                buf_putc(out, ' ');
                opt_print(s->opt, out);
            }
        }
    }
    print_positionals(cmd, out);
    print_subcommand(cmd, out);
}
