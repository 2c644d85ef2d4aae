/* Every option of every command, in every form in which it can be written. */
#include <stdlib.h>
#include "test_main.h"
#include "args/completion.h"
#include "args/docgen.h"
#include "args/parse.h"
#include "base/xmem.h"
#include "cli/cmds.h"

#define MAX_WORDS 32

struct words {
    const char *items[MAX_WORDS];
    size_t n;
};

static void add(struct words *w, const char *word)
{
    CU_ASSERT_FATAL(w->n < MAX_WORDS);
    w->items[w->n++] = word;
}

struct outcome {
    enum parse_result result;
    struct args *args;
    struct buf text;
};

static struct outcome parse(const struct cmd *root, const struct words *w)
{
    const struct parse_mode mode = {.path = root->name};
    struct outcome o = {.text = BUF_INIT(BUF_MAX_DEFAULT)};
    o.result = parse_words(root, &mode, w->n, w->items, &o.args, &o.text);
    return o;
}

static void print_words(const struct words *w)
{
    for (size_t i = 0; i < w->n; i++)
        printf(" %s", w->items[i]);
}

static void release(struct outcome *o)
{
    if (o->result == PARSE_OK)
        args_destroy(o->args);
    buf_release(&o->text);
}

/* Words made for a command line, freed at the end of the test. */
static char *kept[512];
static size_t n_kept;

static const char *keep(char *word)
{
    CU_ASSERT_FATAL(n_kept < ARRAY_SIZE(kept));
    return kept[n_kept++] = word;
}

static void free_kept(size_t from)
{
    while (n_kept > from)
        free(kept[--n_kept]);
}

/* --- what fits ---------------------------------------------------------- */

static bool fits(int (*check)(const char *, struct error *), const char *value)
{
    return !check || check(value, NULL) == 0;
}

/* A value that the validator takes; `nth` 0 or 1 for two that differ if there are. */
static const char *sample(const char *const *choices,
                          int (*check)(const char *, struct error *), size_t nth)
{
    static const char *const texts[] = {
        "1",    "2",    "1h",     "2h",        "K=v",       "K=w",    "1-3",
        "4-6",  "last", "gpus=2", "mem=[0,1]", "nodes=[0]", "host:1", "text",
        "word", "0.5",  "stop",   "cpus",      "none"};
    const char *found = NULL;
    if (choices)
        return choices[nth && choices[1] ? 1 : 0];
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        if (!fits(check, texts[i]))
            continue;
        found = texts[i];
        if (nth-- == 0)
            break;
    }
    return found;
}

/* The command under test: the words that lead to it, and those behind its options. */
struct site {
    const struct cmd *root, *cmd;
    struct words head; /* with required options */
    size_t n_tail;
    const struct pos *tail[MAX_WORDS];
};

static void add_option(struct words *w, const struct opt *opt)
{
    add(w, keep(xasprintf("--%s", opt->name)));
    if (!(opt->flags & OPT_SWITCH))
        add(w, sample(opt->choices, opt->check, 0));
}

static void add_tail(struct words *w, const struct site *site, const struct opt *but)
{
    for (size_t i = 0; i < site->n_tail; i++) {
        const struct pos *pos = site->tail[i];
        if (!but || !pos->unless || strcmp(pos->unless, but->name))
            add(w, sample(pos->choices, pos->check, 0));
    }
}

typedef void (*site_fn)(const struct site *site);

static void visit(const struct site *site, site_fn fn)
{
    struct site here = *site;
    const struct cmd *cmd = here.cmd;
    struct opt_iter it = opt_iter_make(cmd);
    for (const struct opt *opt; (opt = opt_next(&it));)
        if (opt->flags & OPT_REQUIRED)
            add_option(&here.head, opt);
    for (const struct pos *pos = cmd->positionals; pos && pos->name; pos++) {
        if (pos->flags & POS_OPTIONAL)
            continue;
        if (cmd->subs)
            add(&here.head, sample(pos->choices, pos->check, 0));
        else
            here.tail[here.n_tail++] = pos;
    }
    if (cmd->run || (cmd->flags & CMD_PROGRAM))
        fn(&here);
    for (const struct cmd *const *sub = cmd->subs; sub && *sub; sub++) {
        struct site below = here;
        below.cmd = *sub;
        below.n_tail = 0;
        add(&below.head, (*sub)->name);
        visit(&below, fn);
    }
}

static void visit_all(site_fn fn)
{
    const struct cmd *const roots[] = {&cmd_root, &cmd_mpi_worker};
    for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
        struct site site = {.root = roots[i], .cmd = roots[i]};
        visit(&site, fn);
        free_kept(0);
    }
}

/* --- forms of one option ------------------------------------------------ */

static struct outcome parse_with(const struct site *site, const struct opt *opt,
                                 struct words *w)
{
    if (opt->needs)
        add_option(w, cmd_find_opt(site->cmd, opt->needs, strlen(opt->needs)));
    /* An option that another one needs stands for the same positionals. */
    const struct opt *main =
        opt->needs ? cmd_find_opt(site->cmd, opt->needs, strlen(opt->needs)) : opt;
    add_tail(w, site, main);
    return parse(site->root, w);
}

/* The last value that was given. */
static bool has_value(const struct args *args, const struct opt *opt, const char *value)
{
    return opt->flags & OPT_SWITCH ? args_flag(args, opt->name)
                                   : strcmp(args_str(args, opt->name), value) == 0;
}

static void expect_value(const struct site *site, const struct opt *opt, struct words w,
                         const char *value, size_t n)
{
    struct outcome o = parse_with(site, opt, &w);
    bool good = o.result == PARSE_OK && has_value(o.args, opt, value) &&
                args_source(o.args, opt->name) == ARGS_LINE;
    if (good && !(opt->flags & OPT_SWITCH))
        good = args_list(o.args, opt->name).n == n;
    if (!good) {
        print_words(&w);
        printf(": %s\n", buf_cstr(&o.text));
    }
    CU_ASSERT(good);
    release(&o);
}

static void expect_error(const struct site *site, const struct opt *opt, struct words w,
                         bool with_tail, const char *text)
{
    struct outcome o = with_tail ? parse_with(site, opt, &w) : parse(site->root, &w);
    bool good = o.result == PARSE_USAGE && strstr(buf_cstr(&o.text), text);
    if (!good) {
        print_words(&w);
        printf(": '%s' expected, got: %s\n", text, buf_cstr(&o.text));
    }
    CU_ASSERT(good);
    release(&o);
}

/* Words with `first`, and `second` unless NULL, behind the head. */
static struct words with(const struct site *site, const char *first, const char *second)
{
    struct words w = site->head;
    add(&w, first);
    if (second)
        add(&w, second);
    return w;
}

static bool is_required(const struct opt *opt)
{
    return opt->flags & OPT_REQUIRED;
}

static void check_spelling(const struct site *site, const struct opt *opt,
                           const char *name)
{
    bool twice = opt->flags & (OPT_REPEAT | OPT_COMMA);
    char *word = xasprintf("--%s", name);
    const char *value = sample(opt->choices, opt->check, 0);
    const char *other = sample(opt->choices, opt->check, 1);
    if (opt->flags & OPT_SWITCH) {
        expect_value(site, opt, with(site, word, NULL), "true", 1);
        expect_error(site, opt, with(site, word, word), true,
                     "cannot be used multiple times");
        char *valued = xasprintf("%s=true", word);
        expect_error(site, opt, with(site, valued, NULL), true,
                     "error: unexpected value 'true' for '--");
        free(valued);
        free(word);
        return;
    }
    if (!value) {
        printf("\nno value fits %s %s\n", site->cmd->name, word);
        CU_FAIL("no value fits");
        free(word);
        return;
    }
    char *joined = xasprintf("%s=%s", word, value);
    char *again = xasprintf("%s=%s", word, other);
    if (!is_required(opt)) { /* else the head has it once already */
        expect_value(site, opt, with(site, word, value), value, 1);
        expect_value(site, opt, with(site, joined, NULL), value, 1);
    }
    if (twice)
        expect_value(site, opt, with(site, joined, again), other, 2);
    else
        expect_error(site, opt, with(site, joined, again), true,
                     "cannot be used multiple times");
    expect_error(site, opt, with(site, word, NULL), false,
                 "error: a value is required for '-");
    expect_error(site, opt, with(site, word, "--debug"), false,
                 "error: a value is required for '-");
    if (opt->choices) {
        char *wrong = xasprintf("%s=no-such", word);
        expect_error(site, opt, with(site, wrong, NULL), true, "error: invalid ");
        free(wrong);
    }
    free(joined);
    free(again);
    free(word);
}

/* The site without the required option, which a letter stands for. */
static struct site without(const struct site *site, const struct opt *opt)
{
    struct site bare = *site;
    struct words *w = &bare.head;
    for (size_t i = 0; i + 1 < w->n; i++)
        if (strncmp(w->items[i], "--", 2) == 0 && !strcmp(w->items[i] + 2, opt->name)) {
            memmove(&w->items[i], &w->items[i + 2], (w->n - i - 2) * sizeof *w->items);
            w->n -= 2;
        }
    return bare;
}

static void check_letter(const struct site *given, const struct opt *opt)
{
    const struct site bare = without(given, opt), *site = &bare;
    char letter[3] = {'-', opt->letter, 0};
    if (opt->flags & OPT_SWITCH) {
        expect_value(site, opt, with(site, letter, NULL), "true", 1);
        return;
    }
    const char *value = sample(opt->choices, opt->check, 0);
    char *joined = xasprintf("%s%s", letter, value);
    char *equals = xasprintf("%s=%s", letter, value);
    expect_value(site, opt, with(site, letter, value), value, 1);
    expect_value(site, opt, with(site, joined, NULL), value, 1);
    expect_value(site, opt, with(site, equals, NULL), value, 1);
    free(joined);
    free(equals);
}

/* Options cannot be abbreviated; what was meant is named. */
static void check_typo(const struct site *site, const struct opt *opt)
{
    size_t len = strlen(opt->name);
    char *word = xasprintf("--%.*s", (int)len - 1, opt->name);
    if (len >= 5 && !cmd_find_opt(site->cmd, opt->name, len - 1)) {
        char *text = xasprintf("error: unexpected argument '%s' found\n\n  tip: a "
                               "similar argument exists: '--",
                               word);
        expect_error(site, opt, with(site, word, NULL), false, text);
        free(text);
    }
    free(word);
}

static void check_conflicts(const struct site *site, const struct opt *opt)
{
    for (const char *const *name = opt->conflicts; name && *name; name++) {
        const struct opt *other = cmd_find_opt(site->cmd, *name, strlen(*name));
        if (!other)
            continue; /* a positional */
        struct words w = site->head;
        add_option(&w, opt);
        add_option(&w, other);
        expect_error(site, opt, w, false, "' cannot be used with");
        w = site->head;
        add_option(&w, other);
        add_option(&w, opt);
        expect_error(site, opt, w, false, "' cannot be used with");
    }
}

/* The variable counts when the option is not given. */
static void check_variable(const struct site *site, const struct opt *opt)
{
    bool toggle = opt->flags & OPT_SWITCH;
    const char *first = toggle ? "true" : sample(opt->choices, opt->check, 0);
    const char *second = toggle ? "true" : sample(opt->choices, opt->check, 1);
    char *word =
        toggle ? xasprintf("--%s", opt->name) : xasprintf("--%s=%s", opt->name, second);
    setenv(opt->env, first, 1);
    struct words w = site->head;
    struct outcome o = parse_with(site, opt, &w);
    CU_ASSERT_EQUAL_FATAL(o.result, PARSE_OK);
    CU_ASSERT_EQUAL(args_source(o.args, opt->name), ARGS_ENV);
    CU_ASSERT(has_value(o.args, opt, first));
    release(&o);
    expect_value(site, opt, with(site, word, NULL), second, 1);
    unsetenv(opt->env);
    free(word);
}

static void check_option(const struct site *site, const struct opt *opt)
{
    size_t before = n_kept;
    if (opt->flags & OPT_VERSION)
        return;
    if (!(opt->flags & OPT_LETTER_ONLY)) {
        check_spelling(site, opt, opt->name);
        if (opt->alias)
            check_spelling(site, opt, opt->alias);
        if (!(opt->flags & OPT_HIDDEN))
            check_typo(site, opt);
    }
    if (opt->letter)
        check_letter(site, opt);
    check_conflicts(site, opt);
    if (opt->env)
        check_variable(site, opt);
    free_kept(before);
}

static void check_options(const struct site *site)
{
    struct opt_iter it = opt_iter_make(site->cmd);
    for (const struct opt *opt; (opt = opt_next(&it));)
        check_option(site, opt);
    it = opt_iter_make(site->root);
    for (const struct opt *opt; site->cmd != site->root && (opt = opt_next(&it));)
        if (opt->flags & OPT_GLOBAL)
            check_option(site, opt);
}

static void test_options(void)
{
    visit_all(check_options);
}

/* --- positionals -------------------------------------------------------- */

/* Without the last word that has to be there the command does not run. */
static void check_missing(const struct site *site)
{
    if (site->n_tail == 0)
        return;
    struct site less = *site;
    const struct pos *last = less.tail[--less.n_tail];
    struct words w = less.head;
    add_tail(&w, &less, NULL);
    struct outcome o = parse(site->root, &w);
    struct buf name = BUF_INIT(BUF_MAX_DEFAULT);
    pos_print(last, false, &name);
    CU_ASSERT_EQUAL(o.result, PARSE_USAGE);
    static const char text[] =
        "error: the following required arguments were not provided:\n  ";
    CU_ASSERT_EQUAL(strncmp(buf_cstr(&o.text), text, strlen(text)), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&o.text), buf_cstr(&name)));
    buf_release(&name);
    release(&o);
}

/* A word too many is refused by name. */
static void check_extra(const struct site *site)
{
    const struct pos *pos = site->cmd->positionals;
    for (; pos && pos->name; pos++)
        if (pos->flags & (POS_TRAILING | POS_OPTIONAL))
            return;
    struct words w = site->head;
    add_tail(&w, site, NULL);
    add(&w, "one-too-many");
    struct outcome o = parse(site->root, &w);
    CU_ASSERT_EQUAL(o.result, PARSE_USAGE);
    CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&o.text), "'one-too-many'"));
    release(&o);
}

static void test_positionals(void)
{
    visit_all(check_missing);
    visit_all(check_extra);
}

/* --- commands ----------------------------------------------------------- */

/* Commands cannot be abbreviated either. */
static void check_abbreviated(const struct site *site)
{
    struct words w = site->head;
    size_t len = w.n ? strlen(w.items[w.n - 1]) : 0;
    if (site->cmd == site->root || len < 3 || w.items[w.n - 1] != site->cmd->name)
        return;
    char *cut = xstrndup(site->cmd->name, len - 1);
    w.items[w.n - 1] = cut;
    struct outcome o = parse(site->root, &w);
    CU_ASSERT_EQUAL(o.result, PARSE_USAGE);
    CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&o.text), cut));
    release(&o);
    free(cut);
}

static void test_commands(void)
{
    visit_all(check_abbreviated);
}

/* --- generated texts ---------------------------------------------------- */

static struct buf reference, shells[3];

/* Visible options are in the reference and in each completion. */
static void check_texts(const struct site *site)
{
    static const char *const dashes[] = {"--", "--", "-l "};
    for (const struct cmd *cmd = site->cmd; cmd;
         cmd = cmd == site->root ? NULL : site->root) {
        struct opt_iter it = opt_iter_make(cmd);
        for (const struct opt *opt; (opt = opt_next(&it));) {
            if (opt->flags & (OPT_HIDDEN | OPT_LETTER_ONLY))
                continue;
            struct buf shown = BUF_INIT(BUF_MAX_DEFAULT);
            opt_print(opt, &shown);
            CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&reference), buf_cstr(&shown)));
            buf_release(&shown);
            for (size_t i = 0; i < ARRAY_SIZE(shells) && site->root == &cmd_root; i++) {
                char word[80];
                (void)snprintf(word, sizeof word, "%s%s", dashes[i], opt->name);
                if (!strstr(buf_cstr(&shells[i]), word))
                    printf("\n%s is not in completion %zu\n", word, i);
                CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&shells[i]), word));
            }
            if (opt->env)
                CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&reference), opt->env));
        }
    }
}

static void test_texts(void)
{
    static const char *const names[] = {"bash", "zsh", "fish"};
    buf_init(&reference, BUF_MAX_DEFAULT);
    docgen_markdown((const struct cmd *const[]){&cmd_root, &cmd_mpi_worker, NULL},
                    &reference);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        buf_init(&shells[i], BUF_MAX_DEFAULT);
        CU_ASSERT_EQUAL(completion_print(&cmd_root, names[i], &shells[i], NULL), 0);
    }
    visit_all(check_texts);
    buf_release(&reference);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        buf_release(&shells[i]);
}

TEST_MAIN("forms", TEST(test_options), TEST(test_positionals), TEST(test_commands),
          TEST(test_texts))
