/* The top of a workflow: reading, parameters, keys of the job, options that win. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/path.h"
#include "base/text.h"
#include "base/xmem.h"
#include "submit/build.h"
#include "submit/fields.h"
#include "submit/workflow_impl.h"

#define MANY_FILES 999
#define HIDDEN_PREFIX                                              \
    "x-" /* keys of the top that are passed over: room for anchors \
          */

int workflow_read_file(const char *path, struct buf *text, struct error *err)
{
    bool input = strcmp(path, "-") == 0;
    int fd = input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_sys(err, "%s", "");
    int rc = buf_read_fd(text, fd);
    if (rc == ERR_SYSTEM)
        error_sys(err, "%s", "");
    else if (rc)
        error_set(err, rc, "it is larger than %zu MiB", text->max >> 20);
    if (!input)
        (void)close(fd);
    return rc;
}

/* --- parameters --------------------------------------------------------- */

struct params {
    size_t n;
    const char **names;  /* NULL-ended */
    const char **values; /* NULL: must be set */
    const struct conf_node *map;
};

static const char *params_lookup(void *arg, const char *name)
{
    const struct params *p = arg;
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->names[i], name) == 0)
            return p->values[i];
    return NULL;
}

static int declare_params(struct workflow *w, struct params *p)
{
    const struct conf_node *map = p->map;
    p->n = map ? map->n : 0;
    p->names = xcalloc(p->n + 1, sizeof *p->names);
    p->values = xcalloc(p->n + 1, sizeof *p->values);
    for (size_t i = 0; i < p->n; i++) {
        const struct conf_pair *pair = &map->pairs[i];
        const struct conf_node *value = pair->value;
        if (!conf_is_scalar(value) || strlen(value->text) != value->n)
            return conf_expected(w->doc, value, w->err, "a text or number");
        p->names[i] = pair->key->text;
        p->values[i] = value->kind == CONF_NULL ? NULL : value->text;
    }
    return 0;
}

static int set_param(struct workflow *w, struct params *p, const char *setting)
{
    size_t len = strcspn(setting, "=");
    for (size_t i = 0; i < p->n; i++)
        if (strlen(p->names[i]) == len && memcmp(p->names[i], setting, len) == 0) {
            p->values[i] = setting[len] ? setting + len + 1 : "";
            return 0;
        }
    char *name = xstrndup(setting, len);
    const char *meant = text_suggest(name, p->names);
    int rc = error_set(w->err, ERR_INVALID, "%s declares no parameter '%s'%s%s%s",
                       conf_name(w->doc), name, meant ? ", did you mean '" : "",
                       meant ? meant : "", meant ? "'?" : "");
    free(name);
    return rc;
}

static int check_params(struct workflow *w, const struct params *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (!p->values[i])
            return conf_fail(
                w->doc, p->map->pairs[i].key, w->err,
                "parameter '%s' has no default, set it with --set %s=VALUE",
                p->names[i], p->names[i]);
    return 0;
}

static int fill_params(struct workflow *w, const struct conf_node *root)
{
    struct params p = {.map = conf_get(root, "params")};
    if (p.map && p.map->kind == CONF_NULL)
        p.map = NULL;
    if (p.map && p.map->kind != CONF_MAP)
        return conf_expected(w->doc, p.map, w->err, "a map of parameters to values");
    int rc = declare_params(w, &p);
    for (size_t i = 0; rc == 0 && i < w->options->n_sets; i++)
        rc = set_param(w, &p, w->options->sets[i]);
    if (rc == 0)
        rc = check_params(w, &p);
    const struct conf_params params = {params_lookup, &p, p.names};
    if (rc == 0)
        rc = conf_substitute(w->doc, p.map, &params, w->err);
    free(p.names);
    free(p.values);
    return rc;
}

/* --- keys of the job ---------------------------------------------------- */

struct top {
    struct task_keys keys; /* stream, log, log-replace */
    const struct conf_node *name;
    const struct conf_node *params;
    const struct conf_node *defaults;
    const struct conf_node *tasks;
    int64_t max_fails;
};

#define TOP(name_, member_, type_) \
    .key = name_, .type = (type_), .offset = offsetof(struct top, member_)

static const struct conf_field top_fields[] = {
    {TOP("name", name, CONF_AS_SCALAR)},
    {TOP("max-fails", max_fails, CONF_AS_I64), .min = 0, .max = UINT32_MAX},
    {TOP("stream", keys.stream, CONF_AS_CALL), .decode = key_decode_text},
    {TOP("log", keys.log, CONF_AS_CALL), .decode = key_decode_text},
    {TOP("log-replace", keys.log_replace, CONF_AS_BOOL)},
    {TOP("params", params, CONF_AS_NODE), .flags = CONF_OPTIONAL},
    {TOP("defaults", defaults, CONF_AS_NODE), .flags = CONF_OPTIONAL},
    {TOP("tasks", tasks, CONF_AS_NODE), .aliases = "task", .flags = CONF_REQUIRED},
    {.key = "retries", .flags = CONF_RESERVED},
    {.key = "when", .flags = CONF_RESERVED},
    {.key = "mpi", .flags = CONF_RESERVED}};
static const struct conf_schema top_schema =
    CONF_SCHEMA("a workflow", top_fields, CONF_DASHES);

static bool is_hidden(const struct conf_node *key)
{
    return strncmp(key->text, HIDDEN_PREFIX, strlen(HIDDEN_PREFIX)) == 0;
}

/* The root without the keys that are there for anchors only. */
static int visible_part(struct workflow *w, const struct conf_node *root,
                        struct conf_node *out)
{
    *out = *root;
    out->n = 0;
    out->pairs = conf_alloc(w->doc, (root->n + 1) * sizeof *out->pairs);
    if (!out->pairs)
        return error_nomem(w->err);
    for (uint32_t i = 0; i < root->n; i++)
        if (!is_hidden(root->pairs[i].key))
            out->pairs[out->n++] = root->pairs[i];
    return 0;
}

static int read_top(struct workflow *w, const struct conf_node *root, struct top *top)
{
    struct conf_node visible;
    int rc = visible_part(w, root, &visible);
    if (rc == 0)
        rc = conf_decode(w->doc, &visible, &top_schema, top, w, NULL, w->err);
    if (rc == 0 && top->keys.stream.at && top->keys.log.at)
        rc = conf_fail(w->doc, top->keys.log.at, w->err,
                       "'log' cannot be used with 'stream'");
    return rc;
}

/* "flow" for a/flow.yml. */
static char *name_of_file(const char *path)
{
    const char *base = path_base(path);
    size_t n = strlen(base);
    static const char *const suffixes[] = {".yml", ".yaml"};
    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
        size_t len = strlen(suffixes[i]);
        if (n > len && strcmp(base + n - len, suffixes[i]) == 0)
            return xstrndup(base, n - len);
    }
    return n && base[0] != '<' ? xstrdup(base) : xstrdup("job");
}

static int read_job(struct workflow *w, const struct top *top)
{
    const struct workflow_options *o = w->options;
    struct submit *s = w->s;
    int rc = 0;
    s->graph = true;
    s->job = o->job;
    s->auto_ids = o->job != 0;
    s->submit_dir = o->submit_dir ? xstrdup(o->submit_dir) : path_cwd();
    if (!s->submit_dir)
        return error_sys(w->err, "cannot find the current directory");
    if (o->job)
        return 0;
    s->max_fails =
        o->max_fails ? (int64_t)strtoul(o->max_fails, NULL, 10) : top->max_fails;
    if (o->name)
        s->name = xstrdup(o->name);
    else
        s->name =
            top->name ? xstrdup(top->name->text) : name_of_file(conf_name(w->doc));
    rc = job_name_check(s->name, w->err);
    return rc && top->name && !o->name ? conf_locate(w->doc, top->name, w->err) : rc;
}

/* --- all together ------------------------------------------------------- */

/* --stream, --log and --log-replace. */
static int override_streams(struct workflow *w)
{
    const struct workflow_options *o = w->options;
    for (size_t i = 0; i < w->s->n_bodies; i++) {
        struct task_body *body = &w->s->bodies[i];
        if (o->stream || o->log) {
            free(body->stream);
            free(body->text_view);
            body->stream = xstrdup(o->log ? o->log : o->stream);
            body->stream_kind = o->log ? STREAM_FILE : STREAM_DIR;
            body->text_view = o->log && o->stream ? xstrdup(o->stream) : NULL;
            body->log_replace = false;
        }
        body->log_replace |= o->log_replace && body->stream_kind == STREAM_FILE;
    }
    return 0;
}

static void warn_files(struct workflow *w)
{
    uint64_t n_files = 0;
    for (size_t i = 0; i < w->s->n_groups; i++) {
        const struct task_group *g = &w->s->groups[i];
        const struct task_body *body = &w->s->bodies[g->body];
        if (body->stream_kind == STREAM_NONE)
            n_files += ((uint64_t)(body->out.kind != STDIO_NONE) +
                        (uint64_t)(body->err.kind != STDIO_NONE)) *
                       g->count;
    }
    if (n_files > MANY_FILES)
        notice_warn(
            w->notices,
            "The job will create %llu files for stdout and stderr. Consider the "
            "key `log` to gather all outputs in one file",
            (unsigned long long)n_files);
}

static int read_workflow(struct workflow *w, const struct conf_node *root)
{
    struct top top = {.max_fails = -1};
    task_keys_init(&top.keys);
    int rc = fill_params(w, root);
    if (rc == 0)
        rc = read_top(w, root, &top);
    if (rc == 0)
        rc = read_job(w, &top);
    if (rc)
        return rc;
    w->tasks = top.tasks;
    w->defaults = top.keys;
    rc = top.defaults ? workflow_read_defaults(w, top.defaults) : 0;
    if (rc == 0)
        rc = workflow_read_tasks(w);
    if (rc == 0)
        rc = override_streams(w);
    if (rc == 0)
        warn_files(w);
    return rc;
}

/* The keys of a job file instead of those of a workflow. */
static bool has_job_keys(const struct conf_node *root)
{
    const struct conf_node *task = conf_get(root, "task");
    return !conf_get(root, "tasks") &&
           (conf_get(root, "array") || (task && task->kind == CONF_SEQ));
}

static int read_document(struct workflow *w)
{
    const struct conf_node *root = conf_root(w->doc);
    if (root->kind != CONF_MAP)
        return conf_expected(w->doc, root, w->err,
                             "a workflow: a map with the key 'tasks'");
    if (has_job_keys(root))
        return jobfile_decode(w->doc, w->options->submit_dir, w->options->job, w->s,
                              w->err);
    for (size_t i = 0; i < ARRAY_SIZE(w->default_bodies); i++)
        w->default_bodies[i] = UINT32_MAX;
    w->names = strmap_create();
    int rc = w->names ? body_set_init(&w->bodies, w->err) : error_nomem(w->err);
    if (rc == 0)
        rc = read_workflow(w, root);
    body_set_release(&w->bodies);
    strmap_destroy(w->names);
    free(w->name_list);
    vec_release(&w->each);
    return rc;
}

int workflow_parse(const char *name, const void *text, size_t n,
                   const struct workflow_options *options, struct submit *out,
                   struct error *err)
{
    /* Remarks for nobody are kept as in quiet mode. */
    static const struct output nobody = {.mode = OUTPUT_QUIET};
    struct notices dropped;
    notices_init(&dropped, &nobody);
    submit_init(out);
    struct workflow w = {.options = options,
                         .notices = options->notices ? options->notices : &dropped,
                         .s = out,
                         .err = err};
    int rc = conf_parse_yaml(name, text, n, &w.doc, err);
    if (rc == 0)
        rc = read_document(&w);
    if (rc)
        submit_release(out);
    conf_destroy(w.doc);
    notices_release(&dropped);
    return rc;
}

int workflow_load(const char *path, const struct workflow_options *options,
                  struct submit *out, struct error *err)
{
    struct buf text = BUF_INIT(CONF_INPUT_MAX);
    bool input = strcmp(path, "-") == 0;
    int rc = workflow_read_file(path, &text, err);
    if (rc)
        error_prefix(err, "Cannot read %s: ", input ? "standard input" : path);
    else
        rc = workflow_parse(input ? "<stdin>" : path, text.data, text.len, options, out,
                            err);
    buf_release(&text);
    return rc;
}
