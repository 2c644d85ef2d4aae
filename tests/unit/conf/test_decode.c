#include "conf_check.h"

#include <stddef.h>

struct limits {
    int32_t low;
    uint32_t high;
};

struct task {
    const char *name;
    const char *title;
    bool pinned;
    int32_t priority;
    uint32_t cpus;
    int64_t big;
    uint64_t huge;
    double weight;
    int mode;
    struct conf_words command;
    struct conf_words needs;
    struct limits limits;
    const struct conf_node *env;
    const struct conf_node *time;
    size_t length;
};

static int decode_length(struct conf_doc *doc, const struct conf_node *value,
                         const struct conf_field *field, void *member, void *user,
                         struct error *err)
{
    const size_t *most = user;
    if (value->kind != CONF_SEQ)
        return conf_expected(doc, value, err, field->arg);
    if (value->n > *most) {
        error_set(err, ERR_INVALID, "more than %zu items", *most);
        return conf_locate(doc, value, err);
    }
    *(size_t *)member = value->n;
    return 0;
}

static const char *const modes[] = {"none", "taskset", "omp", NULL};

static const struct conf_field limit_fields[] = {
    {.key = "low", .type = CONF_AS_I32, .offset = offsetof(struct limits, low)},
    {.key = "high",
     .type = CONF_AS_U32,
     .flags = CONF_REQUIRED,
     .offset = offsetof(struct limits, high)},
};
static const struct conf_schema limit_schema =
    CONF_SCHEMA("a limit", limit_fields, CONF_DASHES);

static const struct conf_field task_fields[] = {
    {.key = "name",
     .type = CONF_AS_STRING,
     .flags = CONF_REQUIRED,
     .offset = offsetof(struct task, name)},
    {.key = "title",
     .type = CONF_AS_TEXT,
     .flags = CONF_OPTIONAL,
     .offset = offsetof(struct task, title)},
    {.key = "pinned", .type = CONF_AS_BOOL, .offset = offsetof(struct task, pinned)},
    {.key = "priority", .type = CONF_AS_I32, .offset = offsetof(struct task, priority)},
    {.key = "cpus",
     .aliases = "cores n_cpus",
     .type = CONF_AS_U32,
     .min = 1,
     .max = 64,
     .offset = offsetof(struct task, cpus)},
    {.key = "big", .type = CONF_AS_I64, .offset = offsetof(struct task, big)},
    {.key = "huge", .type = CONF_AS_U64, .offset = offsetof(struct task, huge)},
    {.key = "weight", .type = CONF_AS_DOUBLE, .offset = offsetof(struct task, weight)},
    {.key = "pin",
     .type = CONF_AS_ENUM,
     .names = modes,
     .offset = offsetof(struct task, mode)},
    {.key = "command", .type = CONF_AS_TEXTS, .offset = offsetof(struct task, command)},
    {.key = "needs",
     .type = CONF_AS_STRINGS,
     .flags = CONF_OR_ONE,
     .offset = offsetof(struct task, needs)},
    {.key = "limits",
     .type = CONF_AS_MAP,
     .schema = &limit_schema,
     .offset = offsetof(struct task, limits)},
    {.key = "env", .type = CONF_AS_NODE, .offset = offsetof(struct task, env)},
    {.key = "time-limit",
     .type = CONF_AS_SCALAR,
     .offset = offsetof(struct task, time)},
    {.key = "list",
     .type = CONF_AS_CALL,
     .decode = decode_length,
     .arg = "a list of anything",
     .offset = offsetof(struct task, length)},
    {.key = "retries", .flags = CONF_RESERVED},
};
static const struct conf_schema task_schema =
    CONF_SCHEMA("a task", task_fields, CONF_DASHES);
static const struct conf_schema strict_schema = CONF_SCHEMA("a task", task_fields, 0);
static const struct conf_schema lenient_schema =
    CONF_SCHEMA("a task", task_fields, CONF_IGNORE_UNKNOWN);

static int decode(enum conf_format format, const char *text,
                  const struct conf_schema *schema, struct task *out, uint64_t *seen,
                  struct conf_doc **doc, struct error *err)
{
    size_t most = 3;
    *doc = parse_fine(format, text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(*doc);
    return conf_decode(*doc, conf_root(*doc), schema, out, &most, seen, err);
}

static void test_values(void)
{
    struct task t = {.priority = 7, .cpus = 5};
    struct conf_doc *doc;
    struct error err = ERROR_INIT;
    uint64_t seen = 0;
    int rc = decode(
        CONF_YAML,
        "name: x\ntitle: 0x10\npinned: true\ncores: 4\nbig: -9223372036854775808\n"
        "huge: 18446744073709551615\nweight: 2\npin: omp\n"
        "command: [a, 1.50, true, 'b c']\nneeds: y\nlimits: {low: -1, high: 2}\n"
        "env: {A: 1}\ntime_limit: 10m\nlist: [1, 2]\n",
        &task_schema, &t, &seen, &doc, &err);
    CU_ASSERT_EQUAL(rc, 0);
    CU_ASSERT_STRING_EQUAL(err.text, "");
    CU_ASSERT_STRING_EQUAL(t.name, "x");
    CU_ASSERT_STRING_EQUAL(t.title, "0x10");
    CU_ASSERT_TRUE(t.pinned);
    CU_ASSERT_EQUAL(t.priority, 7); /* not given, kept */
    CU_ASSERT_EQUAL(t.cpus, 4);
    CU_ASSERT_EQUAL(t.big, INT64_MIN);
    CU_ASSERT_EQUAL(t.huge, UINT64_MAX);
    CU_ASSERT_EQUAL(t.weight, 2.0);
    CU_ASSERT_EQUAL(t.mode, 2);
    CU_ASSERT_EQUAL_FATAL(t.command.n, 4);
    CU_ASSERT_STRING_EQUAL(t.command.v[1], "1.50");
    CU_ASSERT_STRING_EQUAL(t.command.v[2], "true");
    CU_ASSERT_PTR_NULL(t.command.v[4]);
    CU_ASSERT_EQUAL_FATAL(t.needs.n, 1);
    CU_ASSERT_STRING_EQUAL(t.needs.v[0], "y");
    CU_ASSERT_EQUAL(t.limits.low, -1);
    CU_ASSERT_EQUAL(t.limits.high, 2);
    CU_ASSERT_EQUAL(t.env->kind, CONF_MAP);
    CU_ASSERT_STRING_EQUAL(t.time->text, "10m");
    CU_ASSERT_EQUAL(t.length, 2);
    CU_ASSERT_EQUAL(seen, 0x7ff7); /* all but priority and retries */
    conf_destroy(doc);
}

static void test_spelling(void)
{
    static const struct {
        const struct conf_schema *schema;
        const char *text;
        bool fine;
    } cases[] = {
        {&task_schema, "{name: x, time-limit: 1}", true},
        {&task_schema, "{name: x, time_limit: 1}", true},
        {&strict_schema, "{name: x, time_limit: 1}", false},
        {&task_schema, "{name: x, n-cpus: 1}", true},
        {&strict_schema, "{name: x, n_cpus: 1}", true},
        {&strict_schema, "{name: x, n-cpus: 1}", false},
        {&task_schema, "{name: x, cor: 1}", false},
        {&task_schema, "{name: x, 'cores n_cpus': 1}", false},
        {&task_schema, "{name: x, Cpus: 1}", false},
        {&task_schema, "{name: x, '': 1}", false},
        {&lenient_schema, "{name: x, colour: 1}", true},
        {&task_schema, "{name: x, title: }", true},
        {&task_schema, "{name: }", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct task t = {0};
        struct conf_doc *doc;
        struct error err = ERROR_INIT;
        int rc =
            decode(CONF_YAML, cases[i].text, cases[i].schema, &t, NULL, &doc, &err);
        if ((rc == 0) != cases[i].fine)
            printf("\n%s\n%s\n", cases[i].text, err.text);
        CU_ASSERT_EQUAL(rc == 0, cases[i].fine);
        conf_destroy(doc);
    }
}

static void test_messages(void)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"name: x\ncommnd: [a]\n", "f:2:1: unknown key 'commnd' in a task, did you "
                                   "mean 'command'?\ncommnd: [a]\n^"},
        {"name: x\nlimits: {hihg: 1}\n",
         "f:2:10: unknown key 'hihg' in a limit, did you mean 'high'?\n"
         "limits: {hihg: 1}\n         ^"},
        {"name: x\nlimits: {zzz: 1}\n",
         "f:2:10: unknown key 'zzz' in a limit, expected `low` or `high`\n"
         "limits: {zzz: 1}\n         ^"},
        {"title: x\n", "f:1:1: a task needs the key 'name'\ntitle: x\n^"},
        {"name: x\nlimits: {}\n",
         "f:2:9: a limit needs the key 'high'\nlimits: {}\n        ^"},
        {"name: [x]\n", "f:1:7: expected a text, found a list\nname: [x]\n      ^"},
        {"name: 5\n", "f:1:7: expected a text, found the number 5\nname: 5\n      ^"},
        {"name: \"a\\0b\"\n",
         "f:1:7: a NUL character is not possible here\nname: \"a\\0b\"\n      ^"},
        {"name: x\npinned: yes\n",
         "f:2:9: expected true or false, found the text 'yes'\npinned: yes\n        ^"},
        {"name: x\npriority: high\n", "f:2:11: expected a whole number, found the text "
                                      "'high'\npriority: high\n          ^"},
        {"name: x\npriority: 1.5\n",
         "f:2:11: expected a whole number, found the number "
         "1.5\npriority: 1.5\n          ^"},
        {"name: x\npriority: '1'\n", "f:2:11: expected a whole number, found the text "
                                     "'1'\npriority: '1'\n          ^"},
        {"name: x\npriority: 3000000000\n",
         "f:2:11: expected a number from -2147483648 to 2147483647, found the number "
         "3000000000\npriority: 3000000000\n          ^"},
        {"name: x\ncpus: 0\n",
         "f:2:7: expected a number from 1 to 64, found the number "
         "0\ncpus: 0\n      ^"},
        {"name: x\ncpus: 99999999999999999999\n",
         "f:2:7: expected a number from 1 to 64, found the number "
         "99999999999999999999\n"
         "cpus: 99999999999999999999\n      ^"},
        {"name: x\nweight: ''\n",
         "f:2:9: expected a number, found the text ''\nweight: ''\n        ^"},
        {"name: x\npin: tasket\n", "f:2:6: expected one of `none`, `taskset`, `omp`, "
                                   "found the text 'tasket', did "
                                   "you mean 'taskset'?\npin: tasket\n     ^"},
        {"name: x\ncommand: ls\n", "f:2:10: expected a list of texts, found the text "
                                   "'ls'\ncommand: ls\n         ^"},
        {"name: x\ncommand: [ls, ~]\n",
         "f:2:15: expected a text, found nothing\ncommand: [ls, ~]\n              ^"},
        {"name: x\nneeds: [1]\n",
         "f:2:9: expected a text, found the number 1\nneeds: [1]\n        ^"},
        {"name: x\nlimits: 5\n",
         "f:2:9: expected a map, found the number 5\nlimits: 5\n        ^"},
        {"name: x\ntime-limit: {}\n", "f:2:13: expected a text or number, found a map\n"
                                      "time-limit: {}\n            ^"},
        {"name: x\ncpus: 1\ncores: 2\n",
         "f:3:1: key 'cores' says 'cpus' a second time\ncores: 2\n^"},
        {"name: x\nretries: 2\n",
         "f:2:1: key 'retries' is reserved for a later version\nretries: 2\n^"},
        {"name: x\nlist: 1\n", "f:2:7: expected a list of anything, found the number "
                               "1\nlist: 1\n      ^"},
        {"name: x\nlist: [1, 2, 3, 4]\n",
         "f:2:7: more than 3 items\nlist: [1, 2, 3, 4]\n      ^"},
        {"[1]", "f:1:1: expected a map, found a list\n[1]\n^"},
        {"name: |\n  a\n  b\npin: |\n  first\n  second\n",
         "f:4:6: expected one of `none`, `taskset`, `omp`, found the text 'first...'\n"
         "pin: |\n     ^"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct task t = {0};
        struct conf_doc *doc;
        struct error err = ERROR_INIT;
        CU_ASSERT(decode(CONF_YAML, cases[i].text, &task_schema, &t, NULL, &doc, &err) <
                  0);
        check_text(cases[i].text, cases[i].message, err.text);
        conf_destroy(doc);
    }
}

/* The last line of what TOML files get. */
static void test_toml_messages(void)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"title = 'x'", "missing field `name`"},
        {"name = 'x'\ntitel = 'x'", NULL},
        {"name = 'x'\nlimits = { mid = 1 }",
         "unknown field `mid`, expected `low` or `high`"},
        {"name = 10", "invalid type: integer `10`, expected a string"},
        {"name = 1.5", "invalid type: floating point `1.5`, expected a string"},
        {"name = true", "invalid type: boolean `true`, expected a string"},
        {"name = []", "invalid type: sequence, expected a string"},
        {"name = 'x'\ncommand = 'ls'",
         "invalid type: string \"ls\", expected a sequence"},
        {"name = 'x'\npriority = 4000000000",
         "invalid value: integer `4000000000`, expected i32"},
        {"name = 'x'\nhuge = -1", "invalid value: integer `-1`, expected u64"},
        {"name = 'x'\npin = 'x'",
         "unknown variant `x`, expected one of `none`, `taskset`, `omp`"},
        {"name = 'x'\ncpus = 1\ncores = 1", "duplicate field `cpus`"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct task t = {0};
        struct conf_doc *doc;
        struct error err = ERROR_INIT;
        CU_ASSERT(decode(CONF_TOML, cases[i].text, &task_schema, &t, NULL, &doc, &err) <
                  0);
        CU_ASSERT_EQUAL(strncmp(err.text, "TOML parse error at line ", 25), 0);
        size_t n = strlen(err.text);
        CU_ASSERT_EQUAL(err.text[n - 1], '\n');
        err.text[n - 1] = 0;
        if (cases[i].message)
            check_text(cases[i].text, cases[i].message, strrchr(err.text, '\n') + 1);
        else
            CU_ASSERT_PTR_NOT_NULL(strstr(
                err.text, "unknown field `titel`, expected one of `name`, `title`, "));
        conf_destroy(doc);
    }
}

static void test_accessors(void)
{
    struct conf_doc *doc = parse_fine(
        CONF_YAML,
        "{i: -0, f: -.inf, g: 1e3, b: True, n: , s: t, h: 0xffffffffffffffff}");
    CU_ASSERT_PTR_NOT_NULL_FATAL(doc);
    const struct conf_node *root = conf_root(doc);
    int64_t i = 5;
    uint64_t u = 5;
    double d = 5;
    bool b = false;
    CU_ASSERT_TRUE(conf_int(conf_get(root, "i"), &i) && i == 0);
    CU_ASSERT_TRUE(conf_uint(conf_get(root, "i"), &u) && u == 0);
    CU_ASSERT_TRUE(conf_float(conf_get(root, "f"), &d) && d < -1e308);
    CU_ASSERT_TRUE(conf_float(conf_get(root, "g"), &d) && d > 999.9 && d < 1000.1);
    CU_ASSERT_FALSE(conf_int(conf_get(root, "g"), &i));
    CU_ASSERT_TRUE(conf_bool(conf_get(root, "b"), &b) && b);
    CU_ASSERT_FALSE(conf_bool(conf_get(root, "s"), &b));
    CU_ASSERT_FALSE(conf_float(conf_get(root, "n"), &d));
    CU_ASSERT_FALSE(conf_int(conf_get(root, "h"), &i));
    CU_ASSERT_TRUE(conf_uint(conf_get(root, "h"), &u) && u == UINT64_MAX);
    CU_ASSERT_PTR_NULL(conf_get(root, "nothing"));
    CU_ASSERT_PTR_NULL(conf_get(conf_get(root, "i"), "i"));
    conf_destroy(doc);
    conf_destroy(NULL);
}

TEST_MAIN("conf decode", TEST(test_values), TEST(test_spelling), TEST(test_messages),
          TEST(test_toml_messages), TEST(test_accessors))
