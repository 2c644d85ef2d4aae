#include "args/help.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "args/usage.h"
#include "base/text.h"

#define WIDTH_DEFAULT 80
#define WIDTH_MIN 60
#define WIDTH_MAX 110
#define COLUMN_MAX 32 /* longest left column that has its text beside it */

static size_t help_width(void)
{
    struct winsize size;
    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) ||
        size.ws_col == 0)
        return WIDTH_DEFAULT;
    return MIN(MAX((size_t)size.ws_col, (size_t)WIDTH_MIN), (size_t)WIDTH_MAX);
}

static void pad(struct buf *out, size_t n)
{
    while (n--)
        buf_putc(out, ' ');
}

/* One paragraph, wrapped; the cursor stands at column `at`. Ends with a newline. */
static void print_paragraph(const char *text, size_t len, size_t indent, size_t at,
                            size_t width, struct buf *out)
{
    const char *end = text + len;
    bool first = true;
    while (text < end) {
        size_t n = 0;
        while (text + n < end && text[n] != ' ' && text[n] != '\n')
            n++;
        if (n) {
            size_t columns = text_width(text, n);
            if (!first && at + 1 + columns > width) {
                buf_putc(out, '\n');
                pad(out, indent);
                at = indent;
                first = true;
            }
            if (!first) {
                buf_putc(out, ' ');
                at++;
            }
            buf_append(out, text, n);
            at += columns;
            first = false;
        }
        text += n + (text + n < end);
    }
    buf_putc(out, '\n');
}

/* Paragraphs are separated by an empty line; one that starts with a blank is verbatim.
 */
static void print_text(const char *text, size_t indent, size_t width, struct buf *out)
{
    while (*text) {
        const char *gap = strstr(text, "\n\n");
        size_t len = gap ? (size_t)(gap - text) : strlen(text);
        pad(out, indent);
        if (text[0] == ' ') {
            buf_append(out, text, len);
            buf_putc(out, '\n');
        } else {
            print_paragraph(text, len, indent, indent, width, out);
        }
        text += len;
        if (!gap)
            return;
        text += 2;
        buf_putc(out, '\n');
    }
}

void help_print_facts(const struct opt *opt, const char *before, struct buf *out)
{
    if (opt->value_default && *opt->value_default)
        buf_printf(out, "%s[default: %s]", before, opt->value_default);
    if (opt->env)
        buf_printf(out, "%s[env: %s]", before, opt->env);
    if (opt->choices) {
        buf_printf(out, "%s[possible values: ", before);
        for (const char *const *c = opt->choices; *c; c++)
            buf_printf(out, "%s%s", c == opt->choices ? "" : ", ", *c);
        buf_putc(out, ']');
    }
    if (opt->flags & (OPT_REPEAT | OPT_COMMA))
        buf_printf(out, "%s[can be repeated]", before);
}

static void print_left(const struct opt *opt, struct buf *out)
{
    if (!opt->letter)
        buf_puts(out, "    ");
    else if (!(opt->flags & OPT_LETTER_ONLY))
        buf_printf(out, "-%c, ", opt->letter);
    opt_print(opt, out);
}

struct table {
    size_t column; /* where the texts start */
    size_t width;
    bool whole;
};

/* "  left   text" */
static void print_row(const struct table *t, const char *left, const char *text,
                      struct buf *out)
{
    size_t columns = text_width(left, strlen(left));
    buf_printf(out, "  %s", left);
    if (2 + columns + 2 > t->column) {
        buf_putc(out, '\n');
        pad(out, t->column);
    } else {
        pad(out, t->column - 2 - columns);
    }
    print_paragraph(text, strlen(text), t->column, t->column, t->width, out);
}

static void print_option(const struct table *t, const struct opt *opt, struct buf *out)
{
    struct buf left = BUF_INIT(BUF_MAX_DEFAULT), text = BUF_INIT(BUF_MAX_DEFAULT);
    print_left(opt, &left);
    if (t->whole) {
        buf_printf(out, "  %s\n", buf_cstr(&left));
        print_text(opt->help, 10, t->width, out);
        if (opt->more) {
            buf_putc(out, '\n');
            print_text(opt->more, 10, t->width, out);
        }
        help_print_facts(opt, "\n", &text);
        for (const char *line = buf_cstr(&text); *line;) {
            size_t len = strcspn(++line, "\n");
            if (line == buf_cstr(&text) + 1)
                buf_putc(out, '\n');
            pad(out, 10);
            print_paragraph(line, len, 10, 10, t->width, out);
            line += len;
        }
        buf_putc(out, '\n');
    } else {
        buf_puts(&text, opt->help);
        help_print_facts(opt, " ", &text);
        print_row(t, buf_cstr(&left), buf_cstr(&text), out);
    }
    buf_release(&left);
    buf_release(&text);
}

/* Takes empty lines off the end. */
static void end_blank(struct buf *out)
{
    while (out->len > 1 && out->data[out->len - 2] == '\n')
        out->data[--out->len] = '\0';
}

/* Starts a block of the help text. */
static void put_title(const char *title, struct buf *out)
{
    end_blank(out);
    buf_printf(out, "\n%s:\n", title);
}

static void print_commands(const struct cmd *cmd, struct table t, struct buf *out)
{
    if (!cmd->subs)
        return;
    t.column = 0;
    for (const struct cmd *const *sub = cmd->subs; *sub; sub++)
        if (!((*sub)->flags & CMD_HIDDEN))
            t.column = MAX(t.column, strlen((*sub)->name) + 4);
    put_title("Commands", out);
    for (const struct cmd *const *sub = cmd->subs; *sub; sub++)
        if (!((*sub)->flags & CMD_HIDDEN))
            print_row(&t, (*sub)->name, (*sub)->summary, out);
}

static void print_arguments(const struct cmd *cmd, struct table t, struct buf *out)
{
    if (!cmd->positionals || !cmd->positionals->name)
        return;
    put_title("Arguments", out);
    struct buf left = BUF_INIT(BUF_MAX_DEFAULT);
    t.column = 0;
    for (const struct pos *pos = cmd->positionals; pos->name; pos++) {
        buf_clear(&left);
        pos_print(pos, true, &left);
        t.column = MAX(t.column, left.len + 4);
    }
    for (const struct pos *pos = cmd->positionals; pos->name; pos++) {
        buf_clear(&left);
        pos_print(pos, true, &left);
        struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
        buf_puts(&text, pos->help);
        for (const char *const *c = pos->choices; c && *c; c++)
            buf_printf(&text, "%s%s", c == pos->choices ? " [possible values: " : ", ",
                       *c);
        if (pos->choices)
            buf_putc(&text, ']');
        print_row(&t, buf_cstr(&left), buf_cstr(&text), out);
        buf_release(&text);
    }
    buf_release(&left);
}

/* Of the short help, which shows no global options. */
static size_t option_column(const struct args *a)
{
    size_t column = 0;
    struct buf left = BUF_INIT(BUF_MAX_DEFAULT);
    for (size_t i = 0; i < a->n_slots; i++) {
        const struct slot *s = &a->slots[i];
        if (!s->opt || (s->opt->flags & (OPT_HIDDEN | OPT_GLOBAL)))
            continue;
        buf_clear(&left);
        print_left(s->opt, &left);
        if (left.len <= COLUMN_MAX)
            column = MAX(column, left.len + 4);
    }
    buf_release(&left);
    return MAX(column, strlen("      --help    "));
}

/* Options of one group, global ones or the others. */
static bool print_group(const struct table *t, const struct opt_group *group,
                        bool global, const char *title, struct buf *out)
{
    bool any = false;
    for (const struct opt *opt = group->opts; opt->name; opt++) {
        if ((opt->flags & OPT_HIDDEN) || !(opt->flags & OPT_GLOBAL) == global)
            continue;
        if (!any && title)
            put_title(title, out);
        any = true;
        print_option(t, opt, out);
    }
    return any;
}

static void print_options(const struct args *a, const struct table *t, struct buf *out)
{
    const struct cmd *cmd = args_current(a);
    bool plain = false;
    const char *above = ""; /* groups of one title share it */
    for (const struct opt_group *const *g = cmd->groups; g && *g; g++) {
        const char *title = (*g)->title;
        if (title) {
            bool again = strcmp(title, above) == 0;
            if (print_group(t, *g, false, again ? NULL : title, out))
                above = title;
        } else {
            if (!plain)
                put_title("Options", out);
            plain = true;
            print_group(t, *g, false, NULL, out);
        }
    }
    if (!plain)
        put_title(cmd->groups ? "Other options" : "Options", out);
    static const struct opt help = {
        .name = "help",
        .letter = 'h',
        .flags = OPT_SWITCH,
        .help = "Print help (short with '-h', whole with '--help')"};
    print_option(t, &help, out);
    if (!t->whole)
        return;
    for (size_t level = 0; level < a->depth; level++)
        for (const struct opt_group *const *g = a->path[level]->groups; g && *g; g++)
            print_group(t, *g, true, "Global options", out);
}

static void print_examples(const struct cmd *cmd, struct buf *out)
{
    if (!cmd->examples)
        return;
    put_title("Examples", out);
    for (const char *line = cmd->examples; *line;) {
        size_t len = strcspn(line, "\n");
        buf_puts(out, "  ");
        buf_append(out, line, len);
        buf_putc(out, '\n');
        line += len + (line[len] == '\n');
    }
}

void help_print(const struct args *a, bool whole, struct buf *out)
{
    const struct cmd *cmd = args_current(a);
    struct table t = {option_column(a), help_width(), whole};
    print_text(cmd->summary, 0, t.width, out);
    if (whole && cmd->details) {
        buf_putc(out, '\n');
        print_text(cmd->details, 0, t.width, out);
    }
    buf_puts(out, "\nUsage: ");
    usage_print(a, out);
    buf_putc(out, '\n');
    print_commands(cmd, t, out);
    print_arguments(cmd, t, out);
    print_options(a, &t, out);
    end_blank(out);
    print_examples(cmd, out);
}
