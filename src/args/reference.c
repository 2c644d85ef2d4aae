#include "args/docgen.h"

#include <string.h>
#include "args/help.h"
#include "args/usage.h"
#include "args/walk.h"

static void put_option(struct buf *out, const struct opt *opt)
{
    buf_puts(out, "- `");
    if (opt->letter && !(opt->flags & OPT_LETTER_ONLY))
        buf_printf(out, "-%c, ", opt->letter);
    opt_print(opt, out);
    buf_printf(out, "`: %s.", opt->help);
    if (opt->more)
        buf_printf(out, " %s", opt->more);
    struct buf facts = BUF_INIT(BUF_MAX_DEFAULT);
    help_print_facts(opt, " ", &facts);
    /* "[default: x]" reads as "(default: `x`)" */
    for (const char *p = buf_cstr(&facts); *p;) {
        size_t len = strcspn(p + 2, "]");
        const char *colon = memchr(p + 2, ':', len);
        if (colon && colon[1] == ' ')
            buf_printf(out, " (%.*s `%.*s`)", (int)(colon + 1 - p - 2), p + 2,
                       (int)(p + 2 + len - colon - 2), colon + 2);
        else
            buf_printf(out, " (%.*s)", (int)len, p + 2);
        p += len + 3;
    }
    buf_release(&facts);
    buf_putc(out, '\n');
}

static void put_groups(struct buf *out, const struct cmd *cmd, bool global)
{
    const char *above = ""; /* groups of one title share it */
    for (const struct opt_group *const *g = cmd->groups; g && *g; g++) {
        const char *title = (*g)->title ? (*g)->title : "Options";
        for (const struct opt *opt = (*g)->opts; opt->name; opt++) {
            if ((opt->flags & OPT_HIDDEN) || !(opt->flags & OPT_GLOBAL) == global)
                continue;
            if (strcmp(title, above) != 0)
                buf_printf(out, "\n%s:\n\n", title);
            above = title;
            put_option(out, opt);
        }
    }
}

static void put_positionals(struct buf *out, const struct cmd *cmd)
{
    if (!cmd->positionals || !cmd->positionals->name)
        return;
    buf_puts(out, "\nArguments:\n\n");
    for (const struct pos *pos = cmd->positionals; pos->name; pos++) {
        buf_puts(out, "- `");
        pos_print(pos, true, out);
        buf_printf(out, "`: %s.", pos->help);
        for (const char *const *c = pos->choices; c && *c; c++)
            buf_printf(out, "%s`%s`%s", c == pos->choices ? " Possible values: " : ", ",
                       *c, c[1] ? "" : ".");
        buf_putc(out, '\n');
    }
}

static void put_usage(struct buf *out, const struct cmd *cmd, const char *path)
{
    buf_printf(out, "\n```\n%s", path);
    if (cmd->groups)
        buf_puts(out, " [OPTIONS]");
    struct opt_iter it = opt_iter_make(cmd);
    for (const struct opt *opt; (opt = opt_next(&it));) {
        if (opt->flags & OPT_REQUIRED) {
            buf_putc(out, ' ');
            opt_print(opt, out);
        }
    }
    for (const struct pos *pos = cmd->positionals; pos && pos->name; pos++) {
        buf_putc(out, ' ');
        pos_print(pos, true, out);
    }
    if (cmd->subs)
        buf_puts(out, cmd->flags & CMD_SUB_OPTIONAL ? " [COMMAND]" : " <COMMAND>");
    buf_puts(out, "\n```\n");
}

static void visit(struct walk *w, const struct cmd *cmd, const char *path)
{
    size_t depth = 2;
    for (const char *p = path; (p = strchr(p, ' ')); p++)
        depth++;
    buf_printf(w->out, "\n%.*s %s\n\n%s.\n", (int)depth, "######", path, cmd->summary);
    if (cmd->details)
        buf_printf(w->out, "\n%s\n", cmd->details);
    put_usage(w->out, cmd, path);
    if (cmd->examples)
        buf_printf(w->out, "\nExamples:\n\n```sh\n%s```\n", cmd->examples);
    put_positionals(w->out, cmd);
    put_groups(w->out, cmd, false);
    if (cmd == w->root)
        put_groups(w->out, cmd, true);
}

void docgen_markdown(const struct cmd *const *programs, struct buf *out)
{
    buf_puts(out,
             "# Command-line reference\n\n"
             "Generated from the command table by `hq generate-docs markdown docs`; "
             "do not edit.\n\n"
             "`--option VALUE` and `--option=VALUE` are the same. Options and "
             "commands cannot be\nabbreviated. Every command has `-h` (short help) "
             "and `--help`. Global options may stand\nanywhere before the words of "
             "a task's command. Exit status: 0 carried out, 1 error at run\ntime, "
             "2 wrong command line.\n");
    for (; *programs; programs++) {
        struct walk w = {.visit = visit, .out = out};
        walk_tree(&w, *programs);
    }
}
