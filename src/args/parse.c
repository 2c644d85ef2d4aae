#include "args/parse.h"

#include <ctype.h>
#include <stdlib.h>
#include "args/args_build.h"
#include "args/help.h"
#include "args/usage.h"
#include "base/text.h"
#include "base/xmem.h"

#define NAMES_MAX 512 /* candidates of a suggestion */

struct parser {
    const struct parse_mode *mode;
    const char *const *words;
    size_t n, next;  /* next word to read */
    size_t pos;      /* next positional of the current command */
    bool only_words; /* "--" was seen: no more options */
    struct args *args;
    struct buf *text; /* of an error or of the help */
    enum parse_result result;
};

enum usage_kind { USAGE_NONE, USAGE_FULL };

/* --- errors ------------------------------------------------------------- */

/* Closes an error text whose first lines stand in p->text. */
static bool fail_end(struct parser *p, const char *tips, enum usage_kind kind)
{
    buf_puts(p->text, "\n\n");
    if (tips && *tips)
        buf_printf(p->text, "%s\n", tips);
    if (kind == USAGE_FULL) {
        buf_puts(p->text, "Usage: ");
        usage_print(p->args, p->text);
        buf_puts(p->text, "\n\n");
    }
    buf_puts(p->text, "For more information, try '--help'.\n");
    p->result = PARSE_USAGE;
    return false;
}

static bool fail_end_given(struct parser *p, const char *tips, const struct opt *extra,
                           const struct slot *const *but)
{
    buf_puts(p->text, "\n\n");
    if (tips && *tips)
        buf_printf(p->text, "%s\n", tips);
    buf_puts(p->text, "Usage: ");
    usage_print_given(p->args, extra, but, p->text);
    buf_puts(p->text, "\n\nFor more information, try '--help'.\n");
    p->result = PARSE_USAGE;
    return false;
}

static void print_choices(const char *const *choices, struct buf *out)
{
    if (!choices)
        return;
    buf_puts(out, "\n  [possible values: ");
    for (const char *const *c = choices; *c; c++)
        buf_printf(out, "%s%s", c == choices ? "" : ", ", *c);
    buf_putc(out, ']');
}

static void print_slot(const struct slot *s, struct buf *out)
{
    if (s->opt)
        opt_print(s->opt, out);
    else
        pos_print(s->pos, false, out);
}

static const char *const *slot_choices(const struct slot *s)
{
    return s->opt ? s->opt->choices : s->pos->choices;
}

static bool fail_no_value(struct parser *p, const struct slot *s)
{
    buf_puts(p->text, "error: a value is required for '");
    print_slot(s, p->text);
    buf_puts(p->text, "' but none was supplied");
    print_choices(slot_choices(s), p->text);
    return fail_end(p, NULL, USAGE_NONE);
}

static bool fail_choice(struct parser *p, const struct slot *s, const char *value,
                        const char *const *choices)
{
    buf_printf(p->text, "error: invalid value '%s' for '", value);
    print_slot(s, p->text);
    buf_putc(p->text, '\'');
    print_choices(choices, p->text);
    const char *near = text_suggest(value, choices);
    char *tip = near ? xasprintf("  tip: a similar value exists: '%s'\n", near) : NULL;
    fail_end(p, tip, USAGE_NONE);
    free(tip);
    return false;
}

static bool fail_check(struct parser *p, const struct slot *s, const char *value,
                       const struct error *why)
{
    if (s->opt && (s->opt->flags & OPT_OWN_TEXT)) {
        buf_printf(p->text, "error: %s", why->text);
        return fail_end(p, NULL, USAGE_NONE);
    }
    buf_printf(p->text, "error: invalid value '%s' for '", value);
    print_slot(s, p->text);
    size_t len = strlen(why->text);
    while (len && why->text[len - 1] == '\n')
        len--;
    buf_puts(p->text, "': ");
    buf_append(p->text, why->text, len);
    /* A text that ends in a picture of the mistake is followed by an empty line. */
    const char *last = memrchr(why->text, '\n', len);
    if (last && strncmp(last + 1 + strspn(last + 1, " "), "---", 3) == 0)
        buf_putc(p->text, '\n');
    return fail_end(p, NULL, USAGE_NONE);
}

static const struct pos *next_pos(const struct parser *p)
{
    const struct cmd *cmd = args_current(p->args);
    return p->pos < cmd_count_positionals(cmd) ? &cmd->positionals[p->pos] : NULL;
}

static bool takes_trailing(const struct cmd *cmd)
{
    size_t n = cmd_count_positionals(cmd);
    return n && (cmd->positionals[n - 1].flags & POS_TRAILING);
}

/* Long names that may stand here, for a suggestion. */
static const struct opt *suggest_opt(const struct parser *p, const char *name)
{
    const char *names[NAMES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < p->args->n_slots && n + 1 < NAMES_MAX; i++) {
        const struct slot *s = &p->args->slots[i];
        if (!s->opt ||
            (s->opt->flags & (OPT_HIDDEN | OPT_LETTER_ONLY | p->mode->exclude)))
            continue;
        if (s->level + 1 == p->args->depth || (s->opt->flags & OPT_GLOBAL))
            names[n++] = s->opt->name;
    }
    if (!p->mode->bare)
        names[n++] = "help";
    names[n < NAMES_MAX ? n : NAMES_MAX - 1] = NULL;
    const char *near = text_suggest(name, names);
    struct slot *s = near ? args_find(p->args, near) : NULL;
    return s ? s->opt : NULL;
}

/* The subcommand that was taken for the positional in front of it, or NULL. */
static const struct cmd *early_sub(const struct parser *p)
{
    const struct cmd *cmd = args_current(p->args);
    if (!cmd->subs || p->pos == 0)
        return NULL;
    const struct slot *s = args_slot_of_pos(p->args, &cmd->positionals[p->pos - 1]);
    return s->n ? cmd_find_sub(cmd, s->values[s->n - 1]) : NULL;
}

/* `word` is the whole word for a long option, "-x" for a letter. */
static bool fail_unknown(struct parser *p, const char *word)
{
    const struct cmd *cmd = args_current(p->args);
    const struct opt *near =
        strncmp(word, "--", 2) == 0 ? suggest_opt(p, word + 2) : NULL;
    struct buf tips = BUF_INIT(BUF_MAX_DEFAULT);
    if (near)
        buf_printf(&tips, "  tip: a similar argument exists: '--%s'\n", near->name);
    if (word[0] == '-' && !p->only_words && cmd->positionals && !p->mode->bare &&
        (!near || takes_trailing(cmd)))
        buf_printf(&tips, "  tip: to pass '%s' as a value, use '-- %s'\n", word, word);
    const struct cmd *early = word[0] == '-' ? NULL : early_sub(p);
    if (early)
        buf_printf(&tips, "  tip: '%s' comes behind <%s>\n", early->name,
                   cmd->positionals[p->pos - 1].name);
    buf_printf(p->text, "error: unexpected argument '%s' found", word);
    bool by_given = strncmp(word, "--", 2) == 0 && (near || p->args->n_given);
    if (by_given)
        fail_end_given(p, buf_cstr(&tips), near, NULL);
    else
        fail_end(p, buf_cstr(&tips), USAGE_FULL);
    buf_release(&tips);
    return false;
}

/* The subcommand that was probably meant, or NULL. */
static const char *similar_sub(const struct cmd *cmd, const char *word)
{
    const char *names[NAMES_MAX];
    size_t n = 0;
    for (const struct cmd *const *sub = cmd->subs; *sub; sub++)
        if (!((*sub)->flags & CMD_HIDDEN) && n + 1 < NAMES_MAX)
            names[n++] = (*sub)->name;
    names[n] = NULL;
    return text_suggest(word, names);
}

static bool fail_subcommand(struct parser *p, const char *word, const char *near)
{
    char *tip =
        near ? xasprintf("  tip: a similar subcommand exists: '%s'\n", near) : NULL;
    buf_printf(p->text, "error: unrecognized subcommand '%s'", word);
    fail_end(p, tip, USAGE_FULL);
    free(tip);
    return false;
}

/* --- values ------------------------------------------------------------- */

static bool check_one(struct parser *p, const struct slot *s, const char *value)
{
    const char *const *choices = slot_choices(s);
    if (!*value && (choices || (s->opt && (s->opt->flags & OPT_NONEMPTY))))
        return fail_no_value(p, s);
    bool known = !choices;
    for (const char *const *c = choices; c && *c && !known; c++)
        known = strcmp(*c, value) == 0;
    if (known && choices)
        return true;
    struct error why = ERROR_INIT;
    int (*check)(const char *, struct error *) = s->opt ? s->opt->check : s->pos->check;
    int rc = check ? check(value, &why) : known ? 0 : ERR_NOT_FOUND;
    if (rc == ERR_NOT_FOUND && choices)
        return fail_choice(p, s, value, choices);
    return rc ? fail_check(p, s, value, &why) : true;
}

static bool add_value(struct parser *p, struct slot *s, const char *value)
{
    if (!s->opt || !(s->opt->flags & OPT_COMMA)) {
        if (!check_one(p, s, value))
            return false;
        args_slot_add(s, value);
        return true;
    }
    for (const char *at = value;;) {
        size_t len = strcspn(at, ",");
        const char *item = args_keep(p->args, at, len);
        if (!check_one(p, s, item))
            return false;
        args_slot_add(s, item);
        if (!at[len])
            return true;
        at += len + 1;
    }
}

/* Counts an option as given at this place; false when it may not be given again. */
static bool mark_given(struct parser *p, struct slot *s)
{
    size_t level = p->args->depth - 1;
    if (s->source == ARGS_LINE && !(s->opt->flags & (OPT_REPEAT | OPT_COMMA))) {
        if (s->given_level == level) {
            buf_puts(p->text, "error: the argument '");
            opt_print(s->opt, p->text);
            buf_puts(p->text, "' cannot be used multiple times");
            return fail_end(p, NULL, USAGE_FULL);
        }
        s->n = 0; /* a global option given again further right */
    }
    if (s->source != ARGS_LINE)
        s->order = ++p->args->n_given;
    s->source = ARGS_LINE;
    s->given_level = level;
    return true;
}

/* --- options ------------------------------------------------------------ */

static struct slot *visible_slot(const struct parser *p, const struct opt *opt)
{
    if (!opt || (opt->flags & p->mode->exclude))
        return NULL;
    return args_slot_of_opt(p->args, opt);
}

static struct slot *find_long(const struct parser *p, const char *name, size_t len)
{
    for (size_t level = p->args->depth; level-- > 0;) {
        const struct opt *opt = cmd_find_opt(p->args->path[level], name, len);
        if (opt && !(opt->flags & OPT_LETTER_ONLY) &&
            (level + 1 == p->args->depth || (opt->flags & OPT_GLOBAL)))
            return visible_slot(p, opt);
    }
    return NULL;
}

static struct slot *find_letter(const struct parser *p, char letter)
{
    for (size_t level = p->args->depth; level-- > 0;) {
        const struct opt *opt = cmd_find_letter(p->args->path[level], letter);
        if (opt && (level + 1 == p->args->depth || (opt->flags & OPT_GLOBAL)))
            return visible_slot(p, opt);
    }
    return NULL;
}

static bool is_help(const struct parser *p, const char *word)
{
    return !p->mode->bare && (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0);
}

/* Whether the word is an option that the command knows. */
static bool is_known_option(const struct parser *p, const char *word)
{
    if (is_help(p, word))
        return true;
    if (strncmp(word, "--", 2) == 0)
        return find_long(p, word + 2, strcspn(word + 2, "=")) != NULL;
    return find_letter(p, word[1]) != NULL;
}

static bool looks_like_option(const char *word)
{
    return word[0] == '-' && word[1];
}

/* The value of an option that stands in the next word. */
static bool take_value(struct parser *p, struct slot *s)
{
    const char *word = p->next < p->n ? p->words[p->next] : NULL;
    bool number = word && word[0] == '-' && isdigit((unsigned char)word[1]);
    if (!word || strcmp(word, "--") == 0)
        return fail_no_value(p, s);
    if (looks_like_option(word) && !(number && (s->opt->flags & OPT_NEGATIVE))) {
        if (is_known_option(p, word))
            return fail_no_value(p, s);
        char letter[3] = {'-', word[1], 0};
        return fail_unknown(p, word[1] == '-' ? word : letter);
    }
    p->next++;
    return mark_given(p, s) && add_value(p, s, word);
}

static bool take_switch(struct parser *p, struct slot *s)
{
    if (s->opt->flags & OPT_VERSION) {
        buf_puts(p->text, "hyperqueue " HQ_VERSION "\n");
        p->result = PARSE_HELP;
        return false;
    }
    if (!mark_given(p, s))
        return false;
    args_slot_add(s, "true");
    return true;
}

static bool take_help(struct parser *p, bool whole)
{
    help_print(p->args, whole, p->text);
    p->result = PARSE_HELP;
    return false;
}

static bool take_long(struct parser *p, const char *word)
{
    const char *name = word + 2;
    size_t len = strcspn(name, "=");
    const char *value = name[len] ? name + len + 1 : NULL;
    if (is_help(p, word))
        return take_help(p, true);
    struct slot *s = find_long(p, name, len);
    if (!s) {
        char *head = xstrndup(word, len + 2);
        fail_unknown(p, head);
        free(head);
        return false;
    }
    if (!(s->opt->flags & OPT_SWITCH))
        return value ? mark_given(p, s) && add_value(p, s, value) : take_value(p, s);
    if (value) {
        buf_printf(p->text,
                   "error: unexpected value '%s' for '--%s' found; no more were "
                   "expected",
                   value, s->opt->name);
        return fail_end(p, NULL, USAGE_FULL);
    }
    return take_switch(p, s);
}

/* A cluster of switches, of which the last may be an option with its value. */
static bool take_letters(struct parser *p, const char *word)
{
    for (const char *at = word + 1; *at; at++) {
        if (*at == 'h' && !p->mode->bare)
            return take_help(p, false);
        struct slot *s = find_letter(p, *at);
        if (!s) {
            char letter[3] = {'-', *at, 0};
            return fail_unknown(p, letter);
        }
        if (!(s->opt->flags & OPT_SWITCH)) {
            const char *value = at[1] == '=' ? at + 2 : at + 1;
            if (!at[1])
                return take_value(p, s);
            return mark_given(p, s) && add_value(p, s, value);
        }
        if (!take_switch(p, s))
            return false;
    }
    return true;
}

/* --- words -------------------------------------------------------------- */

/* This word and all that follow belong to the positional. */
static bool take_trailing(struct parser *p, struct slot *s, const char *first)
{
    for (const char *word = first;; word = p->words[p->next++]) {
        if (!add_value(p, s, word))
            return false;
        if (p->next == p->n)
            return true;
    }
}

static bool take_word(struct parser *p, const char *word)
{
    const struct cmd *cmd = args_current(p->args);
    const struct pos *pos = next_pos(p);
    while (pos && (pos->flags & POS_SKIP) && pos->check(word, NULL)) {
        p->pos++;
        pos = next_pos(p);
    }
    if (pos) {
        struct slot *s = args_slot_of_pos(p->args, pos);
        s->source = ARGS_LINE;
        if (!s->order)
            s->order = ++p->args->n_given;
        p->pos++;
        return pos->flags & POS_TRAILING ? take_trailing(p, s, word)
                                         : add_value(p, s, word);
    }
    const struct cmd *sub = p->only_words ? NULL : cmd_find_sub(cmd, word);
    if (sub) {
        args_enter(p->args, sub);
        p->pos = 0;
        return true;
    }
    bool may_be_sub = cmd->subs && !p->only_words && !early_sub(p);
    const char *near = may_be_sub ? similar_sub(cmd, word) : NULL;
    if (near || (cmd->subs && !cmd->positionals))
        return fail_subcommand(p, word, near);
    return fail_unknown(p, word);
}

static bool take_next(struct parser *p)
{
    const char *word = p->words[p->next++];
    if (p->only_words || !looks_like_option(word))
        return take_word(p, word);
    if (strcmp(word, "--") == 0)
        return p->only_words = true;
    const struct pos *pos = next_pos(p);
    if (pos && (pos->flags & POS_HYPHEN) && !is_known_option(p, word))
        return take_word(p, word);
    return word[1] == '-' ? take_long(p, word) : take_letters(p, word);
}

/* --- after the last word ------------------------------------------------ */

/* What a variable that stands for a switch says: 1, 0, or -1 for anything else. */
static int truth_of(const char *value)
{
    static const char *const words[2][4] = {{"false", "0", "no", "off"},
                                            {"true", "1", "yes", "on"}};
    for (int truth = 0; truth < 2; truth++)
        for (size_t i = 0; i < ARRAY_SIZE(words[truth]); i++)
            if (strcmp(value, words[truth][i]) == 0)
                return truth;
    return -1;
}

static bool take_env(struct parser *p, struct slot *s)
{
    static const char *const truths[] = {"true", "false", NULL};
    const char *value = s->opt->env ? getenv(s->opt->env) : NULL;
    if (!value || p->mode->bare || s->source == ARGS_LINE)
        return true;
    if (!*value && (s->opt->flags & OPT_NONEMPTY)) /* a variable that is not used */
        return true;
    if (s->opt->flags & OPT_SWITCH) {
        int truth = truth_of(value);
        if (truth < 0)
            return fail_choice(p, s, value, truths);
        if (!truth)
            return true;
        value = truths[0];
    }
    s->source = ARGS_ENV;
    return add_value(p, s, value);
}

static bool take_env_and_defaults(struct parser *p)
{
    for (size_t i = 0; i < p->args->n_slots; i++) {
        struct slot *s = &p->args->slots[i];
        if (!s->opt)
            continue;
        if (!take_env(p, s))
            return false;
        if (s->source == ARGS_NONE && s->opt->value_default) {
            s->source = ARGS_DEFAULT;
            args_slot_add(s, s->opt->value_default);
        }
    }
    return true;
}

static bool check_subcommand(struct parser *p)
{
    const struct cmd *cmd = args_current(p->args);
    if (!cmd->subs || cmd->run)
        return true;
    buf_printf(p->text,
               "error: '%s' requires a subcommand but one was not provided\n"
               "  [subcommands: ",
               args_path(p->args));
    const char *comma = "";
    for (const struct cmd *const *sub = cmd->subs; *sub; sub++) {
        if ((*sub)->flags & CMD_HIDDEN)
            continue;
        buf_printf(p->text, "%s%s", comma, (*sub)->name);
        comma = ", ";
    }
    buf_putc(p->text, ']');
    return fail_end(p, NULL, USAGE_FULL);
}

static bool lists(const char *const *names, const struct slot *s)
{
    const char *name = s->opt ? s->opt->name : s->pos->name;
    for (; names && *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

static bool excludes(const struct slot *a, const struct slot *b)
{
    return a != b && ((a->opt && lists(a->opt->conflicts, b)) ||
                      (b->opt && lists(b->opt->conflicts, a)));
}

/* The given slot of that rank on the command line. */
static const struct slot *slot_given(const struct args *a, size_t order)
{
    for (size_t i = 0; i < a->n_slots; i++)
        if (a->slots[i].order == order)
            return &a->slots[i];
    return NULL;
}

static bool fail_conflict(struct parser *p, const struct slot *first,
                          const struct slot *const *others, size_t n)
{
    buf_puts(p->text, "error: the argument '");
    print_slot(first, p->text);
    buf_puts(p->text, n == 1 ? "' cannot be used with '" : "' cannot be used with:");
    for (size_t i = 0; i < n; i++) {
        if (n > 1)
            buf_puts(p->text, "\n  ");
        print_slot(others[i], p->text);
    }
    if (n == 1)
        buf_putc(p->text, '\'');
    return fail_end_given(p, NULL, NULL, others);
}

static bool check_conflicts(struct parser *p)
{
    const struct slot *others[NAMES_MAX];
    for (size_t i = 1; i <= p->args->n_given; i++) {
        const struct slot *first = slot_given(p->args, i);
        size_t n = 0;
        for (size_t j = 1; first && j <= p->args->n_given && n + 1 < NAMES_MAX; j++) {
            const struct slot *other = slot_given(p->args, j);
            if (other && excludes(first, other))
                others[n++] = other;
        }
        others[n] = NULL;
        if (n)
            return fail_conflict(p, first, others, n);
    }
    return true;
}

/* Whether an option was given that makes no sense without this one. */
static bool is_needed(const struct parser *p, const struct slot *s)
{
    for (size_t i = 0; i < p->args->n_slots; i++) {
        const struct slot *other = &p->args->slots[i];
        if (other->source == ARGS_LINE && other->opt && other->opt->needs &&
            strcmp(other->opt->needs, s->opt->name) == 0)
            return true;
    }
    return false;
}

static bool is_missing(const struct parser *p, const struct slot *s)
{
    if (s->source != ARGS_NONE)
        return false;
    if (s->opt && is_needed(p, s))
        return true;
    if (s->opt)
        return s->level + 1 == p->args->depth && (s->opt->flags & OPT_REQUIRED);
    if (s->pos->flags & POS_OPTIONAL)
        return false;
    const struct slot *unless =
        s->pos->unless ? args_find(p->args, s->pos->unless) : NULL;
    return !unless || unless->source == ARGS_NONE;
}

static bool check_required(struct parser *p)
{
    bool missing = false;
    for (int want_pos = 0; want_pos < 2; want_pos++) {
        for (size_t i = 0; i < p->args->n_slots; i++) {
            const struct slot *s = &p->args->slots[i];
            if ((s->pos != NULL) != want_pos || !is_missing(p, s))
                continue;
            if (!missing)
                buf_puts(p->text, "error: the following required arguments were not "
                                  "provided:");
            missing = true;
            buf_puts(p->text, "\n  ");
            print_slot(s, p->text);
        }
    }
    return missing ? fail_end_given(p, NULL, NULL, NULL) : true;
}

enum parse_result parse_words(const struct cmd *root, const struct parse_mode *mode,
                              size_t n, const char *const *words, struct args **args,
                              struct buf *text)
{
    struct parser p = {.mode = mode,
                       .words = words,
                       .n = n,
                       .text = text,
                       .args = args_create(root, mode->path)};
    bool ok = true;
    while (ok && p.next < p.n)
        ok = take_next(&p);
    ok = ok && take_env_and_defaults(&p) && check_subcommand(&p) &&
         check_conflicts(&p) && check_required(&p);
    if (!ok) {
        args_destroy(p.args);
        return p.result;
    }
    *args = p.args;
    return PARSE_OK;
}
