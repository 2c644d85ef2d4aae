#include "args/cmd.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct opt_iter opt_iter_make(const struct cmd *cmd)
{
    struct opt_iter it = {cmd->groups, NULL};
    if (it.group && *it.group)
        it.opt = (*it.group)->opts;
    return it;
}

const struct opt *opt_next(struct opt_iter *it)
{
    while (it->opt) {
        if (it->opt->name)
            return it->opt++;
        it->group++;
        it->opt = *it->group ? (*it->group)->opts : NULL;
    }
    return NULL;
}

static bool same_name(const char *name, const char *text, size_t len)
{
    return name && strlen(name) == len && memcmp(name, text, len) == 0;
}

const struct opt *cmd_find_opt(const struct cmd *cmd, const char *name, size_t len)
{
    struct opt_iter it = opt_iter_make(cmd);
    for (const struct opt *opt; (opt = opt_next(&it));)
        if (same_name(opt->name, name, len) || same_name(opt->alias, name, len))
            return opt;
    return NULL;
}

const struct opt *cmd_find_letter(const struct cmd *cmd, char letter)
{
    struct opt_iter it = opt_iter_make(cmd);
    for (const struct opt *opt; (opt = opt_next(&it));)
        if (opt->letter == letter)
            return opt;
    return NULL;
}

const struct cmd *cmd_find_sub(const struct cmd *cmd, const char *word)
{
    for (const struct cmd *const *sub = cmd->subs; sub && *sub; sub++) {
        if (strcmp((*sub)->name, word) == 0)
            return *sub;
        for (const char *const *alias = (*sub)->aliases; alias && *alias; alias++)
            if (strcmp(*alias, word) == 0)
                return *sub;
    }
    return NULL;
}

size_t cmd_count_opts(const struct cmd *cmd)
{
    size_t n = 0;
    struct opt_iter it = opt_iter_make(cmd);
    while (opt_next(&it))
        n++;
    return n;
}

size_t cmd_count_positionals(const struct cmd *cmd)
{
    size_t n = 0;
    while (cmd->positionals && cmd->positionals[n].name)
        n++;
    return n;
}

void opt_print_value_name(const struct opt *opt, struct buf *out)
{
    for (const char *p = opt->name; *p; p++)
        buf_putc(out, *p == '-' ? '_' : (char)toupper((unsigned char)*p));
}

void opt_print(const struct opt *opt, struct buf *out)
{
    if (opt->flags & OPT_LETTER_ONLY)
        buf_printf(out, "-%c", opt->letter);
    else
        buf_printf(out, "--%s", opt->name);
    if (opt->flags & OPT_SWITCH)
        return;
    buf_puts(out, " <");
    opt_print_value_name(opt, out);
    buf_putc(out, '>');
}

void pos_print(const struct pos *pos, bool brackets, struct buf *out)
{
    bool optional = brackets && (pos->flags & POS_OPTIONAL);
    buf_printf(out, optional ? "[%s]" : "<%s>", pos->name);
    if (pos->flags & POS_TRAILING)
        buf_puts(out, "...");
}

/* --- self-check --------------------------------------------------------- */

static bool names_something(const struct cmd *cmd, const char *name)
{
    if (cmd_find_opt(cmd, name, strlen(name)))
        return true;
    for (const struct pos *pos = cmd->positionals; pos && pos->name; pos++)
        if (strcmp(pos->name, name) == 0)
            return true;
    return false;
}

static bool good_sentence(const char *text)
{
    size_t n = text ? strlen(text) : 0;
    return n > 0 && text[n - 1] != '.' && isupper((unsigned char)text[0]);
}

static int check_value(const char *path, const struct opt *opt, struct error *err)
{
    if (!opt->value_default)
        return 0;
    if (opt->flags & OPT_SWITCH)
        return error_set(err, ERR_INVALID, "%s: switch '--%s' has a default", path,
                         opt->name);
    bool listed = !opt->choices;
    for (const char *const *c = opt->choices; c && *c; c++)
        listed = listed || strcmp(*c, opt->value_default) == 0;
    if (listed && opt->choices)
        return 0;
    if (!listed && !opt->check)
        return error_set(err, ERR_INVALID, "%s: default of '--%s' is no possible value",
                         path, opt->name);
    struct error why = ERROR_INIT;
    if (opt->check && opt->check(opt->value_default, &why))
        return error_set(err, ERR_INVALID, "%s: default of '--%s' is refused: %s", path,
                         opt->name, why.text);
    return 0;
}

static int check_opt(const char *path, const struct cmd *cmd, const struct opt *opt,
                     struct error *err)
{
    if (!good_sentence(opt->help))
        return error_set(err, ERR_INVALID, "%s: help of '--%s' is no sentence", path,
                         opt->name);
    if (cmd_find_opt(cmd, opt->name, strlen(opt->name)) != opt ||
        (opt->alias && cmd_find_opt(cmd, opt->alias, strlen(opt->alias)) != opt) ||
        (opt->letter && cmd_find_letter(cmd, opt->letter) != opt))
        return error_set(err, ERR_INVALID, "%s: '--%s' is declared twice", path,
                         opt->name);
    if (strcmp(opt->name, "help") == 0 || opt->letter == 'h')
        return error_set(err, ERR_INVALID, "%s: '--%s' hides the help", path,
                         opt->name);
    if ((opt->flags & OPT_LETTER_ONLY) && !opt->letter)
        return error_set(err, ERR_INVALID, "%s: '--%s' has no letter", path, opt->name);
    if ((opt->flags & OPT_SWITCH) && (opt->choices || opt->check))
        return error_set(err, ERR_INVALID, "%s: switch '--%s' checks a value", path,
                         opt->name);
    for (const char *const *c = opt->conflicts; c && *c; c++)
        if (!names_something(cmd, *c))
            return error_set(err, ERR_INVALID, "%s: '--%s' conflicts with unknown '%s'",
                             path, opt->name, *c);
    if (opt->needs && !names_something(cmd, opt->needs))
        return error_set(err, ERR_INVALID, "%s: '--%s' needs unknown '%s'", path,
                         opt->name, opt->needs);
    return check_value(path, opt, err);
}

static int check_positionals(const char *path, const struct cmd *cmd, struct error *err)
{
    bool optional = false;
    for (const struct pos *pos = cmd->positionals; pos && pos->name; pos++) {
        if (!good_sentence(pos->help))
            return error_set(err, ERR_INVALID, "%s: help of '%s' is no sentence", path,
                             pos->name);
        if (optional && !(pos->flags & POS_OPTIONAL))
            return error_set(err, ERR_INVALID, "%s: '%s' stands behind an optional one",
                             path, pos->name);
        if ((pos->flags & POS_TRAILING) && (pos[1].name || cmd->subs))
            return error_set(err, ERR_INVALID, "%s: something follows '%s'", path,
                             pos->name);
        if (pos->unless && !names_something(cmd, pos->unless))
            return error_set(err, ERR_INVALID, "%s: '%s' depends on unknown '%s'", path,
                             pos->name, pos->unless);
        optional = (pos->flags & (POS_OPTIONAL | POS_SKIP)) == POS_OPTIONAL;
    }
    return 0;
}

void cmd_path(char path[CMD_PATH_BYTES], const char *parent, const struct cmd *cmd)
{
    snprintf(path, CMD_PATH_BYTES, "%.127s%s%.127s", parent, *parent ? " " : "",
             cmd->name);
}

static int check_cmd(const char *parent, const struct cmd *cmd, size_t depth,
                     struct error *err)
{
    char path[CMD_PATH_BYTES];
    cmd_path(path, parent, cmd);
    if (!good_sentence(cmd->summary))
        return error_set(err, ERR_INVALID, "%s: the summary is no sentence", path);
    if (depth > CMD_DEPTH_MAX)
        return error_set(err, ERR_INVALID, "%s: too deep", path);
    if (!cmd->run == ((!cmd->subs || (cmd->flags & CMD_SUB_OPTIONAL)) &&
                      !(cmd->flags & CMD_PROGRAM)))
        return error_set(err, ERR_INVALID, "%s: has to run or to have subcommands",
                         path);
    int rc = 0;
    struct opt_iter it = opt_iter_make(cmd);
    for (const struct opt *opt; rc == 0 && (opt = opt_next(&it));)
        rc = check_opt(path, cmd, opt, err);
    if (rc == 0)
        rc = check_positionals(path, cmd, err);
    for (const struct cmd *const *sub = cmd->subs; rc == 0 && sub && *sub; sub++) {
        if (cmd_find_sub(cmd, (*sub)->name) != *sub)
            return error_set(err, ERR_INVALID, "%s: '%s' is declared twice", path,
                             (*sub)->name);
        rc = check_cmd(path, *sub, depth + 1, err);
    }
    return rc;
}

int cmd_check(const struct cmd *root, struct error *err)
{
    return check_cmd("", root, 1, err);
}
