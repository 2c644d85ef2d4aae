/* The tasks of a workflow: their keys, and each made one group. */
#include <stdlib.h>
#include "base/path.h"
#include "base/text.h"
#include "base/xmem.h"
#include "model/paths.h"
#include "submit/workflow_impl.h"

/* --- values that only workflows have ------------------------------------ */

struct input_map {
    struct key_text file;
    struct key_input bytes;
};

static const struct conf_field input_fields[] = {
    {.key = "file",
     .type = CONF_AS_CALL,
     .offset = offsetof(struct input_map, file),
     .decode = key_decode_text},
    {.key = "base64",
     .type = CONF_AS_CALL,
     .offset = offsetof(struct input_map, bytes),
     .decode = key_decode_base64}};
static const struct conf_schema input_schema =
    CONF_SCHEMA("stdin", input_fields, CONF_DASHES);

char *workflow_file(const struct workflow *w, const char *path)
{
    const char *dir = w->options->submit_dir;
    char *file = dir ? path_join(dir, path) : xstrdup(path);
    return file ? file : xstrdup(path);
}

/* The data lives as long as the document: defaults hand it to many tasks. */
static int read_input_file(struct workflow *w, const struct key_text *path,
                           struct key_input *input)
{
    struct buf data = BUF_INIT(BUF_MAX_DEFAULT);
    char *file = workflow_file(w, path->text);
    int rc = workflow_read_file(file, &data, w->err);
    free(file);
    if (rc) {
        error_prefix(w->err, "cannot read '%s': ", path->text);
        return conf_locate(w->doc, path->at, w->err);
    }
    uint8_t *copy = conf_alloc(w->doc, data.len + 1);
    if (copy && data.len)
        memcpy(copy, data.data, data.len);
    *input = (struct key_input){copy, data.len};
    buf_release(&data);
    return copy ? 0 : error_nomem(w->err);
}

static int decode_input_map(struct conf_doc *doc, const struct conf_node *value,
                            struct workflow *w, struct key_input *input,
                            struct error *err)
{
    struct input_map map = {.file = {NULL, NULL}};
    int rc = conf_decode(doc, value, &input_schema, &map, w, NULL, err);
    if (rc)
        return rc;
    if (!map.file.text == !map.bytes.data)
        return conf_fail(doc, value, err, "stdin needs one of 'file' and 'base64'");
    if (map.file.text)
        return read_input_file(w, &map.file, input);
    *input = map.bytes;
    return 0;
}

/* stdin: a text, {file: PATH} or {base64: BYTES} */
static int decode_input(struct conf_doc *doc, const struct conf_node *value,
                        const struct conf_field *field, void *member, void *user,
                        struct error *err)
{
    (void)field;
    struct key_input *input = member;
    if (value->kind == CONF_MAP)
        return decode_input_map(doc, value, user, input, err);
    if (!conf_is_scalar(value) || value->kind == CONF_NULL)
        return conf_expected(doc, value, err,
                             "a text, {file: PATH} or {base64: BYTES}");
    *input = (struct key_input){(const uint8_t *)value->text, value->n};
    return 0;
}

/* --- schemas ------------------------------------------------------------ */

#define REQUEST_FIELDS(type_, at_)                                                \
    {.key = "cpus", .type = CONF_AS_SCALAR, .offset = offsetof(type_, at_ cpus)}, \
        {.key = "resources",                                                      \
         .aliases = "resource",                                                   \
         .type = CONF_AS_NODE,                                                    \
         .flags = CONF_OPTIONAL,                                                  \
         .offset = offsetof(type_, at_ resources)},                               \
        {.key = "nodes",                                                          \
         .aliases = "n-nodes",                                                    \
         .type = CONF_AS_CALL,                                                    \
         .offset = offsetof(type_, at_ cpus),                                     \
         .decode = key_decode_nodes},                                             \
        {.key = "weight",                                                         \
         .type = CONF_AS_CALL,                                                    \
         .offset = offsetof(type_, at_ weight),                                   \
         .decode = key_decode_weight},                                            \
    {                                                                             \
        .key = "time-request", .type = CONF_AS_CALL,                              \
        .offset = offsetof(type_, at_ min_time_ns), .decode = key_decode_duration \
    }

/* `cpus` is the first member: its place is that of the struct. */
_Static_assert(offsetof(struct request_keys, cpus) == 0, "request_keys");

static const struct conf_field variant_fields[] = {
    REQUEST_FIELDS(struct request_keys, )};
static const struct conf_schema variant_schema =
    CONF_SCHEMA("a request", variant_fields, CONF_DASHES);

#define KEY(name_, member_, type_) \
    .key = name_, .type = (type_), .offset = offsetof(struct task_keys, member_)
#define CALL(name_, member_, decode_) \
    KEY(name_, member_, CONF_AS_CALL), .decode = (decode_)

#define BODY_FIELDS                                                                \
    {KEY("env", env, CONF_AS_NODE), .flags = CONF_OPTIONAL},                       \
        {CALL("cwd", cwd, key_decode_text)}, {CALL("stdin", input, decode_input)}, \
        {CALL("stdout", out, key_decode_stdio)},                                   \
        {CALL("stderr", err, key_decode_stdio)},                                   \
        {CALL("stream", stream, key_decode_text)},                                 \
        {CALL("log", log, key_decode_text)},                                       \
        {KEY("log-replace", log_replace, CONF_AS_BOOL)},                           \
        {CALL("max-output", run, key_decode_max_output)},                          \
        {CALL("max-job-output", max_job_output, key_decode_size)},                 \
        {KEY("task-dir", task_dir, CONF_AS_BOOL)},                                 \
        {CALL("time-limit", time_limit_ns, key_decode_limit)},                     \
        {KEY("priority", priority, CONF_AS_I32)},                                  \
        {CALL("crash-limit", crash_limit, key_decode_crash_limit)},                \
        {CALL("pin", run, key_decode_pin)},                                        \
        {KEY("membind", membind, CONF_AS_ENUM), .names = key_membind_names},       \
        {KEY("request", request.variants, CONF_AS_NODE)},                          \
        REQUEST_FIELDS(struct task_keys, request.)

#define RESERVED_FIELDS                          \
    {.key = "retries", .flags = CONF_RESERVED},  \
        {.key = "when", .flags = CONF_RESERVED}, \
    {                                            \
        .key = "mpi", .flags = CONF_RESERVED     \
    }

/* `run` is the first member, as above. */
_Static_assert(offsetof(struct task_keys, run) == 0, "task_keys");

static const struct conf_field default_fields[] = {BODY_FIELDS, RESERVED_FIELDS};
static const struct conf_schema default_schema =
    CONF_SCHEMA("'defaults'", default_fields, CONF_DASHES);

/* Keys about the tasks themselves come first: a task with no others has the body of the
 * defaults. */
static const struct conf_field task_fields[] = {
    {KEY("run", run, CONF_AS_NODE), .aliases = "command", .flags = CONF_REQUIRED},
    {KEY("needs", needs, CONF_AS_NODE), .aliases = "deps", .flags = CONF_OPTIONAL},
    {KEY("matrix", matrix, CONF_AS_NODE)},
    {KEY("array", array, CONF_AS_NODE), .aliases = "ids"},
    {KEY("each-line", each_line, CONF_AS_NODE)},
    {KEY("each-json", each_json, CONF_AS_NODE), .aliases = "from-json"},
    {KEY("entries", entries, CONF_AS_NODE)},
    BODY_FIELDS,
    RESERVED_FIELDS};
#define BODY_FIELDS_FROM 7
static const struct conf_schema task_schema =
    CONF_SCHEMA("a task", task_fields, CONF_DASHES);

/* --- streams ------------------------------------------------------------ */

/* A stream silences the log of the defaults and the other way round. */
static int settle_stream(struct workflow *w, struct task_keys *k,
                         struct key_text stream, struct key_text log)
{
    bool own_stream = k->stream.at != stream.at, own_log = k->log.at != log.at;
    if (own_stream && own_log)
        return conf_fail(w->doc, k->log.at, w->err,
                         "'log' cannot be used with 'stream'");
    if (own_stream)
        k->log = (struct key_text){0};
    if (own_log)
        k->stream = (struct key_text){0};
    return 0;
}

static int decode_keys(struct workflow *w, const struct conf_node *map,
                       const struct conf_schema *schema, struct task_keys *k,
                       uint64_t *seen)
{
    struct key_text stream = k->stream, log = k->log;
    int rc = conf_decode(w->doc, map, schema, k, w, seen, w->err);
    return rc ? rc : settle_stream(w, k, stream, log);
}

int workflow_read_defaults(struct workflow *w, const struct conf_node *defaults)
{
    struct task_body body;
    int rc = decode_keys(w, defaults, &default_schema, &w->defaults, NULL);
    if (rc)
        return rc;
    /* Values that every task overrides are checked all the same. */
    rc = task_body_make(w->doc, &w->defaults, &variant_schema, &body, w->err);
    if (rc == 0)
        task_body_release(&body);
    return rc;
}

/* --- what it runs ------------------------------------------------------- */

struct command {
    const char **words;
    size_t n;
    const char *shell_words[3];
    bool shell, expand;
};

static int read_words(struct workflow *w, const struct conf_node *run,
                      struct command *command)
{
    static const struct conf_field as_words = {.key = "run", .type = CONF_AS_TEXTS};
    struct conf_words words;
    int rc = conf_decode_value(w->doc, run, &as_words, &words, NULL, w->err);
    if (rc)
        return rc;
    if (words.n == 0)
        return conf_fail(w->doc, run, w->err, "there is nothing to run");
    command->words = words.v;
    command->n = words.n;
    for (size_t i = 0; i < words.n; i++)
        command->expand |= strstr(words.v[i], "%{") != NULL;
    return 0;
}

static int read_command(struct workflow *w, const struct conf_node *run,
                        struct command *command)
{
    *command = (struct command){.shell = run->kind != CONF_SEQ};
    if (!command->shell)
        return read_words(w, run, command);
    if (!conf_is_scalar(run) || run->kind == CONF_NULL || strlen(run->text) != run->n)
        return conf_expected(w->doc, run, w->err,
                             "a text for the shell or a list of words");
    if (run->text[strspn(run->text, " \t\n")] == '\0')
        return conf_fail(w->doc, run, w->err, "there is nothing to run");
    command->shell_words[0] = "sh";
    command->shell_words[1] = "-c";
    command->shell_words[2] = run->text;
    command->words = command->shell_words;
    command->n = 3;
    command->expand = strstr(run->text, "%{") != NULL;
    return 0;
}

/* --- its body ----------------------------------------------------------- */

static int make_body(struct workflow *w, const struct task_keys *k,
                     const struct command *command, bool plain, uint32_t *index)
{
    struct task_body body;
    uint32_t *known = &w->default_bodies[command->shell | command->expand << 1];
    if (plain && *known != UINT32_MAX) {
        *index = *known;
        return 0;
    }
    int rc = task_body_make(w->doc, k, &variant_schema, &body, w->err);
    if (rc)
        return rc;
    body.shell = command->shell;
    body.expand_args = command->expand;
    rc = body_set_add(&w->bodies, w->s, &body, index, w->err);
    if (rc == 0 && plain)
        *known = *index;
    return rc;
}

/* --- placeholders ------------------------------------------------------- */

static bool names_axis(const struct group_extra *extra, const char *text)
{
    for (size_t i = 0; i < extra->n_axes; i++)
        if (placeholders_contain(text, extra->axes[i].name))
            return true;
    return false;
}

static void warn_unknown(struct workflow *w, const char *text, const char *what,
                         const struct group_extra *extra, const char *task)
{
    static const char *const known[] = {"JOB_ID",     "TASK_ID",    "INSTANCE_ID",
                                        "SUBMIT_DIR", "SERVER_UID", "CWD"};
    const char *names[ARRAY_SIZE(known) + AXES_MAX + 1];
    size_t n = 0;
    if (!text || !strstr(text, "%{"))
        return;
    for (; n < ARRAY_SIZE(known); n++)
        names[n] = known[n];
    for (size_t i = 0; i < extra->n_axes; i++)
        names[n++] = extra->axes[i].name;
    names[n] = NULL;
    struct buf found = BUF_INIT(BUF_MAX_DEFAULT);
    size_t n_found = placeholders_unknown(text, names, &found);
    if (n_found)
        notice_warn(w->notices, "Found unknown placeholder%s `%s` in %s of task '%s'",
                    n_found > 1 ? "s" : "", buf_cstr(&found), what, task);
    buf_release(&found);
}

/* In a command unknown placeholders may have a meaning of their own, as in
 * `curl -w '%{http_code}'`: only what looks like a mistyped axis is remarked. */
static void warn_mistyped(struct workflow *w, const struct command *command,
                          const struct group_extra *extra, const char *task)
{
    const char *axes[AXES_MAX + 1] = {NULL};
    if (!command->expand || extra->n_axes == 0)
        return;
    for (size_t i = 0; i < extra->n_axes; i++)
        axes[i] = extra->axes[i].name;
    for (size_t i = 0; i < command->n; i++) {
        struct buf found = BUF_INIT(BUF_MAX_DEFAULT);
        size_t n = placeholders_unknown(command->words[i], axes, &found);
        const char *meant = n == 1 ? text_suggest(buf_cstr(&found), axes) : NULL;
        if (meant)
            notice_warn(
                w->notices,
                "Found unknown placeholder `%s` in the command of task '%s', did "
                "you mean `%s`?",
                buf_cstr(&found), task, meant);
        buf_release(&found);
    }
}

/* Whether several tasks would write to the same file. */
static void warn_shared(struct workflow *w, const struct task_keys *k,
                        const struct key_stdio *file, const char *channel,
                        const struct group_extra *extra, uint32_t count,
                        const char *task)
{
    if (count < 2 || file->kind != STDIO_FILE)
        return;
    const char *parts[] = {file->path, k->cwd.text};
    bool below_cwd = file->path[0] != '/' || placeholders_contain(file->path, "CWD");
    for (size_t i = 0; i < (below_cwd ? 2 : 1); i++)
        if (parts[i] &&
            (placeholders_contain(parts[i], "TASK_ID") || names_axis(extra, parts[i])))
            return;
    notice_warn(w->notices,
                "All %u tasks of '%s' have the same %s path `%s` and may overwrite the "
                "file. Consider adding `%%{TASK_ID}` to it.",
                count, task, channel, file->path);
}

static int check_placeholders(struct workflow *w, const struct task_keys *k,
                              const struct command *command,
                              const struct group_extra *extra, uint32_t count,
                              const char *task)
{
    if (k->cwd.text && placeholders_contain(k->cwd.text, "CWD"))
        return conf_fail(w->doc, k->cwd.at, w->err,
                         "Working directory path cannot contain the working directory "
                         "placeholder `%%{CWD}`.");
    warn_unknown(w, k->cwd.text, "working directory path", extra, task);
    warn_unknown(w, k->out.path, "stdout path", extra, task);
    warn_unknown(w, k->err.path, "stderr path", extra, task);
    warn_mistyped(w, command, extra, task);
    warn_shared(w, k, &k->out, "stdout", extra, count, task);
    warn_shared(w, k, &k->err, "stderr", extra, count, task);
    return 0;
}

/* --- its group ---------------------------------------------------------- */

static int add_group(struct workflow *w, const struct conf_pair *task,
                     const struct task_keys *k, bool plain, struct group_extra *extra)
{
    struct command command;
    struct task_group g = {.first_id = (uint32_t)w->n_tasks};
    bool used = false;
    int rc = read_command(w, k->run, &command);
    if (rc == 0)
        rc = workflow_read_extent(w, task->key, k, &g.count, extra, &used);
    if (rc == 0)
        rc = make_body(w, k, &command, plain, &g.body);
    if (rc == 0)
        rc = check_placeholders(w, k, &command, extra, g.count, task->key->text);
    if (rc)
        return rc;
    g.argv = submit_add_argv(w->s, command.words, command.n);
    g.name = submit_add_text(w->s, task->key->text);
    if (used)
        g.extra = submit_add_extra(w->s, extra) + 1;
    if (g.argv == UINT32_MAX || g.name == UINT32_MAX || (used && !g.extra) ||
        submit_add_group(w->s, &g) == UINT32_MAX)
        return error_nomem(w->err);
    return 0;
}

static int read_task(struct workflow *w, uint32_t index)
{
    const struct conf_pair *task = &w->tasks->pairs[index];
    struct group_extra extra;
    struct task_keys k;
    uint64_t seen;
    task_keys_inherit(&k, &w->defaults);
    int rc = decode_keys(w, task->value, &task_schema, &k, &seen);
    if (rc)
        return rc;
    group_extra_init(&extra);
    rc = add_group(w, task, &k, seen >> BODY_FIELDS_FROM == 0, &extra);
    group_extra_release(&extra);
    return rc ? rc : workflow_read_needs(w, index, k.needs);
}

static int name_tasks(struct workflow *w)
{
    const struct conf_node *tasks = w->tasks;
    if (tasks->kind != CONF_MAP)
        return conf_expected(w->doc, tasks, w->err, "a map of names to tasks");
    if (tasks->n == 0)
        return conf_fail(w->doc, tasks, w->err, "there are no tasks");
    for (uint32_t i = 0; i < tasks->n; i++) {
        const struct conf_node *name = tasks->pairs[i].key;
        if (!name->n || name->kind == CONF_NULL || strlen(name->text) != name->n ||
            strpbrk(name->text, "\n\t"))
            return conf_fail(
                w->doc, name, w->err,
                "the name of a task cannot be empty or hold a newline or a "
                "tab");
        uintptr_t value = (uintptr_t)i + 1;
        if (strmap_add(w->names, name->text, name->n, (void *)value))
            return error_nomem(w->err);
    }
    return 0;
}

int workflow_read_tasks(struct workflow *w)
{
    int rc = name_tasks(w);
    for (uint32_t i = 0; rc == 0 && i < w->tasks->n; i++)
        rc = read_task(w, i);
    return rc ? rc : workflow_check_needs(w);
}
