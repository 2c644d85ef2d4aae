/*
 * Job files: [[task]] tables, or one [array]. Texts of errors are part of the contract
 * (reference of jobs, 14.4).
 */
#include <stdlib.h>
#include "base/path.h"
#include "base/u64map.h"
#include "base/vec.h"
#include "base/xmem.h"
#include "submit/workflow_impl.h"

/* --- schemas ------------------------------------------------------------ */

struct job_task {
    struct task_keys keys;
    const struct conf_node *command;
    const struct conf_node *deps;    /* task */
    int64_t id;                      /* task; -1: automatic */
    const struct conf_node *ids;     /* array */
    const struct conf_node *entries; /* array */
};

static const struct conf_field variant_fields[] = {
    {.key = "resources",
     .type = CONF_AS_NODE,
     .offset = offsetof(struct request_keys, resources)},
    {.key = "n_nodes", .type = CONF_AS_CALL, .decode = key_decode_nodes},
    {.key = "time_request",
     .type = CONF_AS_CALL,
     .offset = offsetof(struct request_keys, min_time_ns),
     .decode = key_decode_duration},
    {.key = "weight",
     .type = CONF_AS_CALL,
     .offset = offsetof(struct request_keys, weight),
     .decode = key_decode_weight}};
static const struct conf_schema variant_schema =
    CONF_SCHEMA("a request", variant_fields, CONF_DASHES);

#define KEY(name_, member_, type_) \
    .key = name_, .type = (type_), .offset = offsetof(struct job_task, member_)
#define CALL(name_, member_, decode_) \
    KEY(name_, keys.member_, CONF_AS_CALL), .decode = (decode_)

static const struct conf_field input_fields[] = {{.key = "base64",
                                                  .type = CONF_AS_CALL,
                                                  .flags = CONF_REQUIRED,
                                                  .decode = key_decode_base64}};
static const struct conf_schema input_schema =
    CONF_SCHEMA("stdin", input_fields, CONF_DASHES);

/* stdin: a string, or { base64 = "…" } for bytes that are no text */
static int decode_input(struct conf_doc *doc, const struct conf_node *value,
                        const struct conf_field *field, void *member, void *user,
                        struct error *err)
{
    (void)field;
    const char *text;
    if (value->kind == CONF_MAP)
        return conf_decode(doc, value, &input_schema, member, user, NULL, err);
    if (!conf_string(value, &text))
        return conf_expected(doc, value, err, "a string");
    *(struct key_input *)member = (struct key_input){(const uint8_t *)text, value->n};
    return 0;
}

#define SHARED_FIELDS                                                              \
    {KEY("command", command, CONF_AS_NODE), .flags = CONF_REQUIRED},               \
        {KEY("env", keys.env, CONF_AS_NODE)},                                      \
        {CALL("stdout", out, key_decode_stdio), .arg = "job"},                     \
        {CALL("stderr", err, key_decode_stdio), .arg = "job"},                     \
        {CALL("cwd", cwd, key_decode_text)}, {CALL("stdin", input, decode_input)}, \
        {KEY("task_dir", keys.task_dir, CONF_AS_BOOL)},                            \
        {CALL("time_limit", time_limit_ns, key_decode_limit)},                     \
        {KEY("priority", keys.priority, CONF_AS_I32)},                             \
        {CALL("crash_limit", crash_limit, key_decode_crash_limit)},                \
        {CALL("pin", run, key_decode_pin)},                                        \
    {                                                                              \
        KEY("request", keys.request.variants, CONF_AS_NODE)                        \
    }

static const struct conf_field task_fields[] = {
    {KEY("id", id, CONF_AS_I64), .min = 0, .max = IDSET_ID_MAX},
    {KEY("deps", deps, CONF_AS_NODE)},
    SHARED_FIELDS};
static const struct conf_field array_fields[] = {
    {KEY("ids", ids, CONF_AS_NODE)},
    {KEY("entries", entries, CONF_AS_NODE)},
    SHARED_FIELDS};
static const struct conf_schema task_schema =
    CONF_SCHEMA("a task", task_fields, CONF_DASHES);
static const struct conf_schema array_schema =
    CONF_SCHEMA("the array", array_fields, CONF_DASHES);

struct top {
    const char *name;
    int64_t max_fails;
    struct key_text stream;
    const struct conf_node *task;
    const struct conf_node *array;
    bool data_layer; /* without effect */
};

static const struct conf_field top_fields[] = {
    {.key = "name", .type = CONF_AS_STRING, .offset = offsetof(struct top, name)},
    {.key = "max_fails",
     .type = CONF_AS_I64,
     .offset = offsetof(struct top, max_fails),
     .min = 0,
     .max = UINT32_MAX},
    {.key = "stream",
     .type = CONF_AS_CALL,
     .offset = offsetof(struct top, stream),
     .decode = key_decode_text},
    {.key = "task", .type = CONF_AS_NODE, .offset = offsetof(struct top, task)},
    {.key = "array", .type = CONF_AS_NODE, .offset = offsetof(struct top, array)},
    {.key = "data_layer",
     .type = CONF_AS_BOOL,
     .offset = offsetof(struct top, data_layer)}};
static const struct conf_schema top_schema =
    CONF_SCHEMA("a job file", top_fields, CONF_DASHES);

/* --- one task ----------------------------------------------------------- */

struct jobfile {
    struct conf_doc *doc;
    struct submit *s;
    struct error *err;
    struct body_set bodies;
    struct key_text stream;
};

/* A missing command is told first, at the table, whatever else is wrong there. */
static int decode_task(struct jobfile *f, const struct conf_node *map,
                       const struct conf_schema *schema, struct job_task *t)
{
    *t = (struct job_task){.id = -1};
    task_keys_init(&t->keys);
    t->keys.stream = f->stream;
    if (map->kind == CONF_MAP && !conf_get(map, "command")) {
        struct conf_node bare = *map;
        bare.n = 0;
        return conf_decode(f->doc, &bare, schema, t, f, NULL, f->err);
    }
    return conf_decode(f->doc, map, schema, t, f, NULL, f->err);
}

static int add_command(struct jobfile *f, const struct job_task *t, uint32_t *argv)
{
    static const struct conf_field as_words = {.key = "command",
                                               .type = CONF_AS_STRINGS};
    struct conf_words words;
    int rc = conf_decode_value(f->doc, t->command, &as_words, &words, NULL, f->err);
    if (rc)
        return rc;
    *argv = submit_add_argv(f->s, words.v, words.n);
    return *argv == UINT32_MAX ? error_nomem(f->err) : 0;
}

/* Body and words of the task, which are in the group then. */
static int add_body(struct jobfile *f, const struct job_task *t, struct task_group *g)
{
    struct task_body body;
    int rc = add_command(f, t, &g->argv);
    if (rc == 0)
        rc = task_body_make(f->doc, &t->keys, &variant_schema, &body, f->err);
    return rc ? rc : body_set_add(&f->bodies, f->s, &body, &g->body, f->err);
}

/* --- [array] ------------------------------------------------------------ */

static int read_ids(struct jobfile *f, const struct conf_node *value, struct idset *ids)
{
    const char *text;
    if (!conf_string(value, &text))
        return conf_expected(f->doc, value, f->err, "a string");
    return idset_parse(ids, text, f->err) ? conf_locate(f->doc, value, f->err) : 0;
}

static int read_entries(struct jobfile *f, const struct conf_node *value,
                        struct conf_words *entries)
{
    static const struct conf_field as_words = {.key = "entries",
                                               .type = CONF_AS_STRINGS};
    return conf_decode_value(f->doc, value, &as_words, entries, NULL, f->err);
}

/* The longest ascending run of ids from range *at on. */
static int take_run(const struct idset *ids, size_t *at, struct idset *run)
{
    uint64_t last = 0;
    int rc = 0;
    for (; rc == 0 && *at < ids->n_ranges; ++*at) {
        const struct idrange *r = &ids->ranges[*at];
        if (run->n_ranges && r->first <= last)
            break;
        rc = idset_append(run, *r);
        last = r->first + (uint64_t)(r->count - 1) * r->step;
    }
    return rc;
}

static int add_array_group(struct jobfile *f, struct task_group g, struct idset *run,
                           const struct conf_words *entries, uint64_t from)
{
    struct group_extra extra;
    int rc = 0;
    g.first_id = run->ranges[0].first;
    g.count = (uint32_t)idset_count(run);
    group_extra_init(&extra);
    bool plain = run->n_ranges == 1 && run->ranges[0].step == 1;
    if (!plain) {
        extra.ids = *run;
        *run = (struct idset)IDSET_INIT;
    }
    for (uint32_t i = 0; rc == 0 && entries->n && i < g.count; i++) {
        const char *entry = entries->v[from + i];
        rc = group_extra_add_entry(&extra, entry, strlen(entry));
    }
    if (rc == 0 && (!plain || entries->n))
        g.extra = submit_add_extra(f->s, &extra) + 1;
    if (rc || ((!plain || entries->n) && !g.extra) ||
        submit_add_group(f->s, &g) == UINT32_MAX)
        rc = error_nomem(f->err);
    group_extra_release(&extra);
    return rc;
}

/* Ids are ascending inside a group: a new one starts wherever the order turns back. */
static int add_array_groups(struct jobfile *f, const struct task_group *g,
                            const struct idset *ids, const struct conf_words *entries)
{
    uint64_t n_done = 0;
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < ids->n_ranges;) {
        struct idset run = IDSET_INIT;
        if (take_run(ids, &at, &run))
            rc = error_nomem(f->err);
        uint64_t n = idset_count(&run);
        if (rc == 0)
            rc = add_array_group(f, *g, &run, entries, n_done);
        n_done += n;
        idset_release(&run);
    }
    return rc;
}

static int read_extent(struct jobfile *f, const struct job_task *t, struct idset *ids,
                       struct conf_words *entries)
{
    int rc = t->ids ? read_ids(f, t->ids, ids) : 0;
    if (rc == 0 && t->entries)
        rc = read_entries(f, t->entries, entries);
    if (rc)
        return rc;
    if (!t->ids && entries->n == 0)
        return error_set(
            f->err, ERR_INVALID,
            "One of attributes of array must be defined: 'ids', 'entries'");
    if (t->ids && entries->n && idset_count(ids) != entries->n)
        return error_set(f->err, ERR_INVALID,
                         "Items 'ids' and 'entries' does not match");
    if (idset_count(ids) > SUBMIT_TASKS_MAX)
        return error_set(f->err, ERR_TOO_BIG, "too many tasks");
    return !t->ids && idset_add(ids, 0, entries->n, 1) ? error_nomem(f->err) : 0;
}

static int read_array(struct jobfile *f, const struct conf_node *array)
{
    struct job_task t;
    struct task_group g = {0};
    struct idset ids = IDSET_INIT;
    struct conf_words entries = {NULL, 0};
    int rc = decode_task(f, array, &array_schema, &t);
    if (rc == 0)
        rc = read_extent(f, &t, &ids, &entries);
    if (rc == 0)
        rc = add_body(f, &t, &g);
    if (rc == 0)
        rc = add_array_groups(f, &g, &ids, &entries);
    idset_release(&ids);
    return rc;
}

/* --- [[task]] ----------------------------------------------------------- */

struct node_task {
    struct task_group group;
    uint32_t id;
    uint32_t first_dep, n_deps; /* in graph.deps, as they stand in the file */
    uint32_t n_open;            /* deps that are not in the order yet */
    uint32_t first_user;        /* in graph.users */
    uint32_t n_users;
    bool placed;
};

struct graph {
    struct node_task *tasks;
    uint32_t n;
    VEC(uint32_t) deps;
    struct u64map by_id; /* id -> index */
    uint32_t *users;     /* tasks that depend on a task, in the order of the file */
    uint32_t *order;     /* of submission */
    uint32_t n_order;
};

static void graph_release(struct graph *g)
{
    free(g->tasks);
    vec_release(&g->deps);
    u64map_release(&g->by_id);
    free(g->users);
    free(g->order);
}

static int read_deps(struct jobfile *f, const struct conf_node *list, struct graph *g,
                     struct node_task *task)
{
    static const struct conf_field as_id = {.key = "deps", .type = CONF_AS_U32};
    task->first_dep = (uint32_t)g->deps.len;
    if (list && list->kind != CONF_SEQ)
        return conf_expected(f->doc, list, f->err, "a sequence");
    for (uint32_t i = 0; list && i < list->n; i++) {
        uint32_t id = 0;
        int rc = conf_decode_value(f->doc, list->items[i], &as_id, &id, NULL, f->err);
        if (rc)
            return rc;
        if (!vec_push(&g->deps, id))
            return error_nomem(f->err);
        task->n_deps++;
    }
    return 0;
}

/* Reads all tasks; *max_id is the largest id that the file gives, 0 without any. */
static int read_graph(struct jobfile *f, const struct conf_node *list, struct graph *g,
                      int64_t *ids)
{
    for (uint32_t i = 0; i < list->n; i++) {
        struct job_task t;
        int rc = decode_task(f, list->items[i], &task_schema, &t);
        if (rc == 0)
            rc = add_body(f, &t, &g->tasks[i].group);
        if (rc == 0)
            rc = read_deps(f, t.deps, g, &g->tasks[i]);
        if (rc)
            return rc;
        ids[i] = t.id;
    }
    return 0;
}

/* Tasks without an id are numbered behind the largest one that is given. */
static int number_tasks(struct jobfile *f, struct graph *g, const int64_t *ids)
{
    int64_t next = 0;
    for (uint32_t i = 0; i < g->n; i++)
        next = MAX(next, ids[i]);
    for (uint32_t i = 0; i < g->n; i++) {
        int64_t id = ids[i] >= 0 ? ids[i] : ++next;
        if (id > IDSET_ID_MAX)
            return error_set(f->err, ERR_TOO_BIG, "there are no task ids left");
        g->tasks[i].id = (uint32_t)id;
        if (u64map_get(&g->by_id, (uint64_t)id, NULL))
            return error_set(f->err, ERR_EXISTS,
                             "Error: Task %u is defined multiple times", (unsigned)id);
        if (u64map_set(&g->by_id, (uint64_t)id, i))
            return error_nomem(f->err);
    }
    return 0;
}

/* The task of a dependency; false when the file has none. */
static bool find_dep(const struct graph *g, uint32_t dep, uint32_t *task)
{
    uint64_t index;
    if (!u64map_get(&g->by_id, dep, &index))
        return false;
    *task = (uint32_t)index;
    return true;
}

static void link_users(struct graph *g)
{
    uint32_t at = 0, other;
    for (uint32_t i = 0; i < g->n; i++)
        for (uint32_t k = 0; k < g->tasks[i].n_deps; k++)
            if (find_dep(g, g->deps.data[g->tasks[i].first_dep + k], &other))
                g->tasks[other].n_users++;
    for (uint32_t i = 0; i < g->n; i++) {
        g->tasks[i].first_user = at;
        at += g->tasks[i].n_users;
        g->tasks[i].n_users = 0;
    }
    g->users = xcalloc((size_t)at + 1, sizeof *g->users);
    for (uint32_t i = 0; i < g->n; i++)
        for (uint32_t k = 0; k < g->tasks[i].n_deps; k++)
            if (find_dep(g, g->deps.data[g->tasks[i].first_dep + k], &other)) {
                struct node_task *o = &g->tasks[other];
                g->users[o->first_user + o->n_users++] = i;
            }
}

/* First what depends on nothing, then what becomes free, each time in file order. */
static int sort_graph(struct jobfile *f, struct graph *g)
{
    g->order = xcalloc((size_t)g->n + 1, sizeof *g->order);
    for (uint32_t i = 0; i < g->n; i++) {
        g->tasks[i].n_open = g->tasks[i].n_deps;
        if (g->tasks[i].n_deps == 0)
            g->order[g->n_order++] = i;
    }
    for (uint32_t at = 0; at < g->n_order; at++) {
        struct node_task *done = &g->tasks[g->order[at]];
        done->placed = true;
        for (uint32_t k = 0; k < done->n_users; k++) {
            uint32_t user = g->users[done->first_user + k];
            if (--g->tasks[user].n_open == 0)
                g->order[g->n_order++] = user;
        }
    }
    for (uint32_t i = g->n; g->n_order < g->n && i-- > 0;)
        if (!g->tasks[i].placed)
            return error_set(f->err, ERR_INVALID,
                             "Error: Task %u is part of dependency cycle or has an "
                             "invalid dependencies",
                             g->tasks[i].id);
    return 0;
}

static int add_graph(struct jobfile *f, struct graph *g)
{
    for (uint32_t i = 0; i < g->n; i++) {
        struct node_task *t = &g->tasks[g->order[i]];
        t->group.first_id = t->id;
        t->group.count = 1;
        if (submit_add_group(f->s, &t->group) == UINT32_MAX)
            return error_nomem(f->err);
        for (uint32_t k = 0; k < t->n_deps; k++)
            if (submit_add_need(f->s, NEED_TASK, g->deps.data[t->first_dep + k]))
                return error_nomem(f->err);
    }
    return 0;
}

static int read_tasks(struct jobfile *f, const struct conf_node *list)
{
    struct graph g = {.n = list->n, .by_id = U64MAP_INIT};
    int64_t *ids = xcalloc((size_t)g.n + 1, sizeof *ids);
    g.tasks = xcalloc((size_t)g.n + 1, sizeof *g.tasks);
    f->s->graph = true;
    int rc = read_graph(f, list, &g, ids);
    if (rc == 0)
        rc = number_tasks(f, &g, ids);
    if (rc == 0) {
        link_users(&g);
        rc = sort_graph(f, &g);
    }
    if (rc == 0)
        rc = add_graph(f, &g);
    graph_release(&g);
    free(ids);
    return rc;
}

/* --- the file ----------------------------------------------------------- */

static int read_contents(struct jobfile *f, const struct top *top)
{
    const struct conf_node *task = top->task;
    if (task && task->kind != CONF_SEQ)
        return conf_expected(f->doc, task, f->err, "a sequence");
    bool has_tasks = task && task->n;
    if (!has_tasks && !top->array)
        return error_set(f->err, ERR_INVALID, "No tasks defined");
    if (has_tasks && top->array)
        return error_set(f->err, ERR_INVALID,
                         "Definition of array job and individual task cannot be mixed");
    return top->array ? read_array(f, top->array) : read_tasks(f, task);
}

int jobfile_decode(struct conf_doc *doc, const char *submit_dir, uint32_t job,
                   struct submit *out, struct error *err)
{
    struct jobfile f = {.doc = doc, .s = out, .err = err};
    struct top top = {.name = "", .max_fails = -1};
    int rc = conf_decode(doc, conf_root(doc), &top_schema, &top, NULL, NULL, err);
    if (rc)
        return rc;
    out->job = job;
    out->submit_dir = submit_dir ? xstrdup(submit_dir) : path_cwd();
    if (!out->submit_dir)
        return error_sys(err, "cannot find the current directory");
    if (!job) {
        out->name = xstrdup(top.name);
        out->max_fails = top.max_fails;
    }
    f.stream = top.stream;
    rc = body_set_init(&f.bodies, err);
    if (rc == 0)
        rc = read_contents(&f, &top);
    body_set_release(&f.bodies);
    return rc;
}

/* The messages about tasks as a whole are no errors of decoding. */
static int prefix(struct error *err)
{
    if (strncmp(err->text, "Error: ", strlen("Error: ")) == 0)
        return err->code;
    return error_prefix(err, "Deserialization error: ");
}

static bool is_yaml(const char *name)
{
    static const char *const suffixes[] = {".yml", ".yaml"};
    size_t n = strlen(name);
    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
        size_t len = strlen(suffixes[i]);
        if (n > len && strcmp(name + n - len, suffixes[i]) == 0)
            return true;
    }
    return false;
}

int jobfile_parse(const char *name, const void *text, size_t n, const char *submit_dir,
                  uint32_t job, struct submit *out, struct error *err)
{
    struct conf_doc *doc = NULL;
    if (is_yaml(name)) {
        const struct workflow_options options = {.submit_dir = submit_dir, .job = job};
        return workflow_parse(name, text, n, &options, out, err);
    }
    submit_init(out);
    int rc = conf_parse_toml(name, text, n, &doc, err);
    if (rc == 0)
        rc = jobfile_decode(doc, submit_dir, job, out, err);
    if (rc) {
        submit_release(out);
        rc = prefix(err);
    }
    conf_destroy(doc);
    return rc;
}

int jobfile_load(const char *path, const char *submit_dir, uint32_t job,
                 struct submit *out, struct error *err)
{
    struct buf text = BUF_INIT(CONF_INPUT_MAX);
    int rc = workflow_read_file(path, &text, err);
    if (rc)
        error_prefix(
            err, "Cannot read %s: ", strcmp(path, "-") == 0 ? "standard input" : path);
    else
        rc = jobfile_parse(path, text.data, text.len, submit_dir, job, out, err);
    buf_release(&text);
    return rc;
}
