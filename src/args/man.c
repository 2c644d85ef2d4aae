#include "args/docgen.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "args/help.h"
#include "args/walk.h"

#define LINE_MAX_COLUMNS 76
#define PAGES_MAX 64

/* --- text --------------------------------------------------------------- */

/* One character of running text. */
static void put_char(struct buf *out, char c)
{
    if (c == '\\')
        buf_puts(out, "\\e");
    else
        buf_putc(out, c);
}

/* Text lines: short, a sentence a line, nothing that could be taken for a macro. */
static void put_text(struct buf *out, const char *text, size_t len)
{
    const char *end = text + len;
    size_t column = 0;
    bool sentence = false; /* the last word ended one */
    while (text < end) {
        size_t n = 0;
        while (text + n < end && text[n] != ' ' && text[n] != '\n')
            n++;
        bool new_line = column + 1 + n > LINE_MAX_COLUMNS ||
                        (sentence && isupper((unsigned char)*text));
        if (column)
            buf_putc(out, new_line ? '\n' : ' ');
        if (!column || new_line) {
            column = 0;
            if (*text == '.' || *text == '\'')
                buf_puts(out, "\\&");
        }
        for (size_t i = 0; i < n; i++)
            put_char(out, text[i]);
        column += n + 1;
        sentence = n && text[n - 1] == '.';
        text += n + (text + n < end);
    }
    buf_putc(out, '\n');
}

static void put_paragraphs(struct buf *out, const char *text)
{
    while (*text) {
        const char *gap = strstr(text, "\n\n");
        size_t len = gap ? (size_t)(gap - text) : strlen(text);
        put_text(out, text, len);
        text += len;
        if (!gap)
            return;
        text += 2;
        buf_puts(out, ".Pp\n");
    }
}

/* A summary or help sentence, which has no full stop of its own. */
static void put_sentence(struct buf *out, const char *text)
{
    struct buf line = BUF_INIT(BUF_MAX_DEFAULT);
    buf_printf(&line, "%s.", text);
    put_text(out, buf_cstr(&line), line.len);
    buf_release(&line);
}

static void put_upper(struct buf *out, const char *text)
{
    for (; *text; text++)
        buf_putc(out, *text == ' ' ? '-' : (char)toupper((unsigned char)*text));
}

static void put_dashed(struct buf *out, const char *text)
{
    for (; *text; text++)
        buf_putc(out, *text == ' ' ? '-' : *text);
}

/* --- options ------------------------------------------------------------ */

static void put_option_item(struct buf *out, const struct opt *opt)
{
    buf_puts(out, ".It");
    if (opt->letter)
        buf_printf(out, " Fl %c%s", opt->letter,
                   opt->flags & OPT_LETTER_ONLY ? "" : " ,");
    if (!(opt->flags & OPT_LETTER_ONLY))
        buf_printf(out, " Fl -%s", opt->name);
    if (!(opt->flags & OPT_SWITCH)) {
        buf_puts(out, " Ar ");
        opt_print_value_name(opt, out);
    }
    buf_putc(out, '\n');
}

static void put_option(struct buf *out, const struct opt *opt)
{
    put_option_item(out, opt);
    put_sentence(out, opt->help);
    if (opt->more)
        put_paragraphs(out, opt->more);
    if (opt->choices) {
        buf_puts(out, "Possible values:");
        for (const char *const *c = opt->choices; *c; c++)
            buf_printf(out, "\n.Cm %s%s", *c, c[1] ? " ," : " .");
        buf_putc(out, '\n');
    }
    if (opt->value_default && *opt->value_default)
        buf_printf(out, "The default is\n.Cm %s .\n", opt->value_default);
    if (opt->flags & (OPT_REPEAT | OPT_COMMA))
        buf_puts(out, "Can be given several times.\n");
    if (opt->env)
        buf_printf(out, "The variable\n.Ev %s\ndoes the same.\n", opt->env);
}

static void put_options(struct buf *out, const struct cmd *cmd, bool global)
{
    bool any = false;
    struct opt_iter it = opt_iter_make(cmd);
    for (const struct opt *opt; (opt = opt_next(&it));) {
        if ((opt->flags & OPT_HIDDEN) || !(opt->flags & OPT_GLOBAL) == global)
            continue;
        if (!any)
            buf_puts(out, ".Bl -tag -width Ds\n");
        any = true;
        put_option(out, opt);
    }
    if (any)
        buf_puts(out, ".El\n");
}

static void put_positionals(struct buf *out, const struct cmd *cmd)
{
    if (!cmd->positionals || !cmd->positionals->name)
        return;
    buf_puts(out, ".Bl -tag -width Ds\n");
    for (const struct pos *pos = cmd->positionals; pos->name; pos++) {
        buf_printf(out, ".It Ar %s\n", pos->name);
        put_sentence(out, pos->help);
        for (const char *const *c = pos->choices; c && *c; c++)
            buf_printf(out, "%s.Cm %s%s\n",
                       c == pos->choices ? "Possible values:\n" : "", *c,
                       c[1] ? " ," : " .");
    }
    buf_puts(out, ".El\n");
}

/* --- commands ----------------------------------------------------------- */

static void put_synopsis_words(struct buf *out, const struct cmd *cmd)
{
    if (cmd->groups)
        buf_puts(out, ".Op Ar options\n");
    for (const struct pos *pos = cmd->positionals; pos && pos->name; pos++)
        buf_printf(out, pos->flags & POS_OPTIONAL ? ".Op Ar %s%s\n" : ".Ar %s%s\n",
                   pos->name, pos->flags & POS_TRAILING ? " ..." : "");
}

static void visit_synopsis(struct walk *w, const struct cmd *cmd, const char *path)
{
    if (cmd->subs && !cmd->run)
        return;
    const char *words = strchr(path, ' ');
    buf_puts(w->out, ".Nm hq\n");
    if (words)
        buf_printf(w->out, ".Cm%s\n", words);
    put_synopsis_words(w->out, cmd);
}

static void put_body(struct buf *out, const struct cmd *cmd)
{
    put_sentence(out, cmd->summary);
    if (cmd->details) {
        buf_puts(out, ".Pp\n");
        put_paragraphs(out, cmd->details);
    }
    put_positionals(out, cmd);
    put_options(out, cmd, false);
}

static void visit_section(struct walk *w, const struct cmd *cmd, const char *path)
{
    if (cmd == w->root)
        return;
    buf_printf(w->out, ".Ss %s\n", path);
    put_body(w->out, cmd);
}

static void visit_examples(struct walk *w, const struct cmd *cmd,
                           const char *path UNUSED)
{
    if (!cmd->examples)
        return;
    buf_puts(w->out, ".Bd -literal -offset indent\n");
    for (const char *p = cmd->examples; *p; p++) {
        if ((p == cmd->examples || p[-1] == '\n') && (*p == '.' || *p == '\''))
            buf_puts(w->out, "\\&");
        put_char(w->out, *p);
    }
    buf_puts(w->out, ".Ed\n");
}

static void visit_count_examples(struct walk *w, const struct cmd *cmd,
                                 const char *path UNUSED)
{
    if (cmd->examples)
        buf_putc(w->out, '.');
}

static bool has_examples(const struct cmd *cmd)
{
    struct buf found = BUF_INIT(BUF_MAX_DEFAULT);
    struct walk w = {.visit = visit_count_examples, .out = &found};
    walk_tree(&w, cmd);
    bool any = found.len > 0;
    buf_release(&found);
    return any;
}

/* Walks with the right words in front: the tree below "hq job" starts at "hq". */
static void put_parts(struct buf *out, const struct cmd *cmd, const char *path,
                      void (*visit)(struct walk *, const struct cmd *, const char *))
{
    struct buf part = BUF_INIT(BUF_MAX_DEFAULT);
    struct walk w = {.visit = visit, .out = out};
    struct cmd named = *cmd;
    named.name = path;
    walk_tree(&w, &named);
    buf_release(&part);
}

static void put_root_body(struct buf *out, const struct cmd *cmd)
{
    put_sentence(out, cmd->summary);
    buf_puts(out, ".Pp\n");
    put_paragraphs(out, cmd->details);
    put_options(out, cmd, false);
    buf_puts(out, ".Sh COMMANDS\n.Bl -tag -width Ds\n");
    for (const struct cmd *const *sub = cmd->subs; *sub; sub++) {
        if ((*sub)->flags & CMD_HIDDEN)
            continue;
        buf_printf(out, ".It Cm %s\n", (*sub)->name);
        put_sentence(out, (*sub)->summary);
        buf_printf(out, "See\n.Xr hq-%s 1 .\n", (*sub)->name);
    }
    buf_puts(out, ".El\n");
}

static void put_head(struct buf *out, const struct cmd *cmd, const char *path,
                     const char *date)
{
    buf_printf(out, ".Dd %s\n.Dt ", date);
    put_upper(out, path);
    buf_puts(out, " 1\n.Os\n.Sh NAME\n.Nm ");
    put_dashed(out, path);
    buf_puts(out, "\n.Nd ");
    buf_putc(out, (char)tolower((unsigned char)cmd->summary[0]));
    buf_printf(out, "%s\n.Sh SYNOPSIS\n", cmd->summary + 1);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void put_foot(struct buf *out, const struct cmd *root, const struct cmd *cmd)
{
    buf_puts(out, ".Sh EXIT STATUS\n"
                  "0 when the command was carried out, 1 after an error at run time,\n"
                  "2 when the command line is wrong.\n");
    if (has_examples(cmd)) {
        buf_puts(out, ".Sh EXAMPLES\n");
        put_parts(out, cmd, "", visit_examples);
    }
    buf_puts(out, ".Sh SEE ALSO\n");
    if (cmd != root) {
        buf_puts(out, ".Xr hq 1\n");
        return;
    }
    const char *names[PAGES_MAX];
    size_t n = 0;
    for (const struct cmd *const *sub = root->subs; sub && *sub && n < PAGES_MAX; sub++)
        if (!((*sub)->flags & CMD_HIDDEN))
            names[n++] = (*sub)->name;
    qsort(names, n, sizeof names[0], compare_names);
    for (size_t i = 0; i < n; i++)
        buf_printf(out, ".Xr hq-%s 1%s\n", names[i], i + 1 < n ? " ," : "");
    if (n == 0)
        buf_puts(out, ".Xr hq 1\n");
}

void docgen_man(const struct cmd *root, const struct cmd *cmd, const char *path,
                const char *date, struct buf *out)
{
    bool program = !strchr(path, ' ');
    put_head(out, cmd, path, date);
    if (program) {
        buf_printf(out, ".Nm %s\n.Op Ar options\n", path);
        if (cmd->subs)
            buf_puts(out, ".Ar command\n");
    } else {
        put_parts(out, cmd, path, visit_synopsis);
    }
    buf_puts(out, ".Sh DESCRIPTION\n");
    if (program && cmd->subs)
        put_root_body(out, cmd);
    else
        put_body(out, cmd);
    if (!program && cmd->subs)
        put_parts(out, cmd, path, visit_section);
    buf_puts(out, ".Sh GLOBAL OPTIONS\n");
    put_options(out, root, true);
    put_foot(out, root, cmd);
}
