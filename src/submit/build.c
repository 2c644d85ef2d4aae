#include "submit/build.h"

#include <stdlib.h>
#include <string.h>
#include "base/duration.h"
#include "base/path.h"
#include "base/text.h"
#include "base/xmem.h"
#include "model/paths.h"
#include "submit/entries.h"
#include "submit/fields.h"

#define MANY_FILES 999

/* --- options of both sides ---------------------------------------------- */

static bool in_line(const struct submit_input *in, const char *name)
{
    return args_given(in->line, name);
}

static bool in_directives(const struct submit_input *in, const char *name)
{
    return in->directives && args_declared(in->directives->args, name) &&
           args_given(in->directives->args, name);
}

/* The side whose value counts: the command line wins. */
static const struct args *side_of(const struct submit_input *in, const char *name)
{
    return !in_line(in, name) && in_directives(in, name) ? in->directives->args
                                                         : in->line;
}

static const char *pick(const struct submit_input *in, const char *name)
{
    return args_str(side_of(in, name), name);
}

static bool pick_flag(const struct submit_input *in, const char *name)
{
    return args_flag(side_of(in, name), name);
}

/* Options that exclude each other: what the line says silences the directives. */
static const char *pick_unless(const struct submit_input *in, const char *name,
                               const char *const *rivals)
{
    for (; *rivals; rivals++)
        if (in_line(in, *rivals))
            return args_str(in->line, name);
    return pick(in, name);
}

/* --- resources ---------------------------------------------------------- */

static int add_cpus(const char *text, struct request_variant *v, struct error *err)
{
    enum request_policy policy;
    uint64_t amount;
    int rc = request_value_parse(text, &policy, &amount, err);
    return rc ? rc : request_variant_add(v, "cpus", policy, amount, err);
}

/* The directives are those of Nextflow up to 24.10: no other program asks for such a
 * log. */
static bool from_old_nextflow(const struct args *directives)
{
    const char *log = args_str(directives, "log");
    return log && strcmp(path_base(log), ".command.log") == 0;
}

/*
 * Nextflow up to 24.04 counts memory in bytes, 24.10 in MiB, and nothing else tells the
 * two apart. Taken for MiB, bytes are more than any node has and the job would wait for
 * ever; this many are 8 MiB or 8 TiB, and neither release is used for less or for more.
 */
#define OLD_NEXTFLOW_BYTES_MIN (AMOUNT_ONE << 23)

static uint64_t mebibytes_of_bytes(uint64_t amount)
{
    uint64_t mebibyte = AMOUNT_ONE << 20;
    return (amount + mebibyte - 1) / mebibyte * AMOUNT_ONE;
}

static int add_resource(const char *text, bool old_nextflow, struct request_variant *v,
                        struct error *err)
{
    enum request_policy policy;
    uint64_t amount;
    char *name = NULL;
    int rc = request_entry_parse(text, &name, &policy, &amount, err);
    if (rc == 0 && old_nextflow && strcmp(name, "mem") == 0 &&
        amount >= OLD_NEXTFLOW_BYTES_MIN)
        amount = mebibytes_of_bytes(amount);
    if (rc == 0)
        rc = request_variant_add(v, name, policy, amount, err);
    free(name);
    return rc;
}

static int add_resources(const struct args *args, bool old_nextflow,
                         struct request_variant *v, struct error *err)
{
    int rc = 0;
    struct args_list list = args_list(args, "resource");
    for (size_t i = 0; rc == 0 && i < list.n; i++)
        rc = add_resource(list.items[i], old_nextflow, v, err);
    return rc;
}

static bool names_cpus(const struct args *args)
{
    struct args_list list = args_list(args, "resource");
    for (size_t i = 0; i < list.n; i++) {
        size_t len = strcspn(list.items[i], "= \t");
        if (len == 4 && strncmp(list.items[i], "cpus", len) == 0)
            return true;
    }
    return false;
}

static int build_request(const struct submit_input *in, struct task_body *body,
                         struct error *err)
{
    static const char *const not_nodes[] = {"nodes", NULL};
    static const char *const not_cpus[] = {"cpus", "pin", NULL};
    const char *cpus = pick_unless(in, "cpus", not_nodes);
    const char *nodes = pick_unless(in, "nodes", not_cpus);
    const char *weight = pick(in, "weight");
    bool named =
        names_cpus(in->line) || (in->directives && names_cpus(in->directives->args));
    if (cpus && named)
        return error_set(err, ERR_INVALID,
                         "--cpus and --resource cpus=... cannot be combined");
    struct request_variant *v = xcalloc(1, sizeof *v);
    body->request = (struct request){v, 1};
    v->weight = AMOUNT_ONE;
    v->n_nodes = nodes ? (uint32_t)strtoul(nodes, NULL, 10) : 0;
    int rc = weight ? weight_parse(weight, &v->weight, err) : 0;
    if (rc == 0)
        rc = duration_parse(pick(in, "time-request"), &v->min_time_ns, err);
    if (rc == 0 && !named)
        rc = add_cpus(cpus ? cpus : "1", v, err);
    if (rc == 0)
        rc = add_resources(in->line, false, v, err);
    if (rc == 0 && in->directives)
        rc = add_resources(in->directives->args,
                           from_old_nextflow(in->directives->args), v, err);
    return rc;
}

/* --- the body ----------------------------------------------------------- */

static bool has_variable(const struct task_body *body, const char *key)
{
    for (size_t i = 0; i < body->n_env; i++)
        if (strcmp(body->env[i].key, key) == 0)
            return true;
    return false;
}

static int add_environment(const struct args *args, struct task_body *body, bool *twice,
                           struct error *err)
{
    struct args_list list = args_list(args, "env");
    for (size_t i = 0; i < list.n; i++) {
        size_t len = strcspn(list.items[i], "=");
        char *key = xstrndup(list.items[i], len);
        const char *value = list.items[i][len] ? list.items[i] + len + 1 : "";
        *twice = *twice || has_variable(body, key);
        int rc = task_body_setenv(body, key, value);
        free(key);
        if (rc)
            return error_nomem(err);
    }
    return 0;
}

/* Directives first, so that the command line replaces their values. */
static int build_environment(const struct submit_input *in, struct notices *notices,
                             struct task_body *body, struct error *err)
{
    bool twice = false;
    int rc =
        in->directives ? add_environment(in->directives->args, body, &twice, err) : 0;
    if (rc == 0)
        rc = add_environment(in->line, body, &twice, err);
    if (rc == 0 && twice)
        notice_warn(notices, "Some environment variables were ignored. Check if you "
                             "haven't used duplicate keys.");
    return rc;
}

static int build_stdio(const char *text, struct stdio_spec *spec, struct error *err)
{
    return text ? stdio_parse(text, spec, err) : 0;
}

static void build_stream(const struct submit_input *in, struct task_body *body)
{
    const char *dir = pick(in, "stream"), *file = pick(in, "log");
    body->stream_kind = file ? STREAM_FILE : dir ? STREAM_DIR : STREAM_NONE;
    body->stream = file ? xstrdup(file) : dir ? xstrdup(dir) : NULL;
    body->text_view = file && dir ? xstrdup(dir) : NULL;
    body->log_replace = pick_flag(in, "log-replace");
}

static void build_binding(const struct submit_input *in, struct task_body *body)
{
    static const char *const not_nodes[] = {"nodes", NULL};
    const char *pin = pick_unless(in, "pin", not_nodes);
    const char *membind = pick(in, "membind");
    body->pin = !pin                       ? PIN_NONE
                : strcmp(pin, "omp") == 0  ? PIN_OMP
                : strcmp(pin, "none") == 0 ? PIN_OFF
                                           : PIN_TASKSET;
    if (membind)
        body->membind = strcmp(membind, "off") == 0      ? MEMBIND_OFF
                        : strcmp(membind, "strict") == 0 ? MEMBIND_STRICT
                                                         : MEMBIND_PREFERRED;
}

static int build_limits(const struct submit_input *in, struct task_body *body,
                        struct error *err)
{
    const char *limit = pick(in, "time-limit");
    body->priority = (int32_t)strtol(pick(in, "priority"), NULL, 10);
    int rc = crash_limit_parse(pick(in, "crash-limit"), &body->crash_limit, err);
    if (rc == 0 && limit) {
        rc = duration_parse(limit, &body->time_limit_ns, err);
        body->time_limit_ns = MAX(body->time_limit_ns, DURATION_ZERO_NS);
    }
    return rc;
}

static int build_output_limits(const struct submit_input *in, struct task_body *body,
                               struct error *err)
{
    const char *task = pick(in, "max-output"), *job = pick(in, "max-job-output");
    int rc = 0;
    if ((task || job) && body->stream_kind == STREAM_NONE)
        return error_set(
            err, ERR_INVALID,
            "--%s limits what goes into a log: give --log or --stream, too",
            task ? "max-output" : "max-job-output");
    if (task)
        rc = output_limit_parse(task, &body->max_output, &body->keep_tail, err);
    if (rc == 0 && job)
        rc = text_parse_size(job, &body->max_job_output, err);
    return rc;
}

static int build_body(const struct submit_input *in, struct task_body *body,
                      struct error *err)
{
    const char *cwd = pick(in, "cwd");
    body->cwd = cwd ? xstrdup(cwd) : NULL;
    body->task_dir = pick_flag(in, "task-dir");
    build_stream(in, body);
    build_binding(in, body);
    int rc = build_limits(in, body, err);
    if (rc == 0)
        rc = build_output_limits(in, body, err);
    if (rc == 0)
        rc = build_stdio(pick(in, "stdout"), &body->out, err);
    if (rc == 0)
        rc = build_stdio(pick(in, "stderr"), &body->err, err);
    if (rc == 0 && in->input) {
        body->has_input = true;
        body->n_input = in->input->len;
        body->input = in->input->len ? xmemdup(in->input->data, in->input->len) : NULL;
    }
    return rc;
}

/* --- placeholders and warnings ------------------------------------------ */

static void warn_unknown(const char *text, const char *what, struct notices *notices)
{
    static const char *const known[] = {
        "JOB_ID", "TASK_ID", "INSTANCE_ID", "SUBMIT_DIR", "SERVER_UID", "CWD", NULL};
    struct buf names = BUF_INIT(BUF_MAX_DEFAULT);
    size_t n = text ? placeholders_unknown(text, known, &names) : 0;
    if (n)
        notice_warn(notices, "Found unknown placeholder%s `%s` in %s", n > 1 ? "s" : "",
                    buf_cstr(&names), what);
    buf_release(&names);
}

/* A log is shared by all tasks of the job, whatever its name says. */
static void warn_kept(const char *path, struct notices *notices)
{
    static const char *const kept[] = {"TASK_ID", "INSTANCE_ID", "CWD"};
    for (size_t i = 0; path && i < ARRAY_SIZE(kept); i++)
        if (placeholders_contain(path, kept[i]))
            notice_warn(notices,
                        "Placeholder `%s` is not replaced in log path: one log holds "
                        "all tasks",
                        kept[i]);
}

static int check_placeholders(const struct task_body *body, struct notices *notices,
                              struct error *err)
{
    if (body->cwd && placeholders_contain(body->cwd, "CWD"))
        return error_set(err, ERR_INVALID,
                         "Working directory path cannot contain the working directory "
                         "placeholder `%%{CWD}`.");
    warn_unknown(body->out.path, "stdout path", notices);
    warn_unknown(body->err.path, "stderr path", notices);
    warn_unknown(body->stream, "log path", notices);
    warn_kept(body->stream, notices);
    warn_unknown(body->text_view, "stream path", notices);
    warn_unknown(body->cwd, "working directory path", notices);
    return 0;
}

/* Whether tasks of an array would all write to this path. */
static bool is_shared(const struct task_body *body, const struct stdio_spec *spec)
{
    if (spec->kind != STDIO_FILE || placeholders_contain(spec->path, "TASK_ID"))
        return false;
    bool below_cwd = spec->path[0] != '/' || placeholders_contain(spec->path, "CWD");
    return !(below_cwd && body->cwd && placeholders_contain(body->cwd, "TASK_ID"));
}

static void warn_shared(const char *channel, struct notices *notices)
{
    notice_warn(
        notices,
        "You have submitted an array job, but the `%s` path does not contain the "
        "task ID placeholder.\nIndividual tasks might thus overwrite the file. "
        "Consider adding `%%{TASK_ID}` to the `--%s` value.",
        channel, channel);
}

static void warn_array(const struct task_body *body, uint64_t n_tasks,
                       struct notices *notices)
{
    bool out = body->out.kind != STDIO_NONE, err = body->err.kind != STDIO_NONE;
    uint64_t n_files = n_tasks * ((uint64_t)out + (uint64_t)err);
    if (n_tasks < 2)
        return;
    if (body->stream_kind == STREAM_NONE && n_files > MANY_FILES)
        notice_warn(
            notices,
            "The job will create %llu files for %s. Consider using the `--stream` "
            "option to stream all outputs into a single file",
            (unsigned long long)n_files,
            out && err ? "stdout and stderr"
            : out      ? "stdout"
                       : "stderr");
    if (is_shared(body, &body->out))
        warn_shared("stdout", notices);
    if (is_shared(body, &body->err))
        warn_shared("stderr", notices);
}

/* --- tasks -------------------------------------------------------------- */

struct task_source {
    struct idset ids; /* of --array, in the order given */
    bool has_ids;
    struct entries entries; /* of --each-line or --from-json */
    bool has_entries;
};

static int read_tasks(const struct submit_input *in, struct notices *notices,
                      struct task_source *t, struct error *err)
{
    bool line =
        in_line(in, "array") || in_line(in, "each-line") || in_line(in, "from-json");
    struct submit_input side = *in;
    if (line)
        side.directives = NULL;
    const char *array = pick(&side, "array");
    const char *lines = pick(&side, "each-line"), *json = pick(&side, "from-json");
    *t = (struct task_source){.has_ids = array != NULL, .has_entries = lines || json};
    int rc = array ? idset_parse(&t->ids, array, err) : 0;
    if (rc == 0 && lines)
        rc = entries_read_lines(lines, notices, &t->entries, err);
    else if (rc == 0 && json)
        rc = entries_read_json(json, notices, &t->entries, err);
    return rc;
}

static void task_source_release(struct task_source *t)
{
    idset_release(&t->ids);
    if (t->has_entries)
        entries_release(&t->entries);
}

/* One group of the ids; takes *extra's contents. */
static int add_group(struct submit *s, struct task_group g, const struct idset *ids,
                     struct group_extra *extra, struct error *err)
{
    uint64_t count = idset_count(ids);
    bool plain = ids->n_ranges == 1 && ids->ranges[0].step == 1;
    if (count == 0)
        return 0;
    if (count > SUBMIT_TASKS_MAX)
        return error_set(err, ERR_TOO_BIG, "too many tasks");
    g.first_id = ids->ranges[0].first;
    g.count = (uint32_t)count;
    if (!plain && idset_copy(&extra->ids, ids))
        return error_nomem(err);
    if (!plain || extra->n_entries) {
        uint32_t index = submit_add_extra(s, extra);
        if (index == UINT32_MAX)
            return error_nomem(err);
        g.extra = index + 1;
    }
    return submit_add_group(s, &g) == UINT32_MAX ? error_nomem(err) : 0;
}

/* Ids are ascending inside a group: a new one starts wherever the order turns back. */
static int add_array(struct submit *s, struct task_group g, const struct idset *ids,
                     struct error *err)
{
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < ids->n_ranges;) {
        struct idset part = IDSET_INIT;
        uint64_t last = 0;
        for (; rc == 0 && at < ids->n_ranges; at++) {
            const struct idrange *r = &ids->ranges[at];
            if (part.n_ranges && r->first <= last)
                break;
            rc = idset_append(&part, *r); /* shown as it was written */
            last = r->first + (uint64_t)(r->count - 1) * r->step;
        }
        struct group_extra extra;
        group_extra_init(&extra);
        if (rc)
            rc = error_nomem(err);
        else
            rc = add_group(s, g, &part, &extra, err);
        if (rc)
            group_extra_release(&extra);
        idset_release(&part);
    }
    return rc;
}

/* Entries number i with i in `ids` (all of them without ids), ascending. */
static int add_entries(struct submit *s, struct task_group g,
                       const struct task_source *t, struct error *err)
{
    struct idset kept = IDSET_INIT, sorted = IDSET_INIT;
    struct group_extra extra;
    group_extra_init(&extra);
    int rc = 0;
    if (t->has_ids)
        rc = idset_sorted(&sorted, &t->ids);
    else if (t->entries.n)
        rc = idset_add(&sorted, 0, (uint32_t)t->entries.n, 1);
    struct idset_iter it = IDSET_ITER(&sorted);
    for (uint32_t id; rc == 0 && idset_next(&it, &id);) {
        if (id >= t->entries.n)
            break;
        const struct span *entry = &t->entries.items[id];
        rc = group_extra_add_entry(&extra, entry->p, entry->n);
        if (rc == 0)
            rc = idset_add(&kept, id, 1, 1);
    }
    if (rc)
        rc = error_nomem(err);
    else
        rc = add_group(s, g, &kept, &extra, err);
    if (rc || idset_count(&kept) == 0)
        group_extra_release(&extra);
    idset_release(&kept);
    idset_release(&sorted);
    return rc;
}

static int build_tasks(struct submit *s, struct task_group g,
                       const struct task_source *t, struct error *err)
{
    if (t->entries.n > SUBMIT_TASKS_MAX)
        return error_set(err, ERR_TOO_BIG, "too many entries");
    s->auto_ids = s->job && !t->has_ids;
    if (t->has_entries)
        return add_entries(s, g, t, err);
    if (t->has_ids)
        return add_array(s, g, &t->ids, err);
    g.count = 1;
    return submit_add_group(s, &g) == UINT32_MAX ? error_nomem(err) : 0;
}

/* --- command and name --------------------------------------------------- */

/* The words to run: the interpreter of the script, then those of the command line. */
static uint32_t add_command(struct submit *s, const struct submit_input *in,
                            char **name)
{
    struct args_list words = args_list(in->line, "COMMANDS");
    bool interpret = in->directives && !in->input;
    size_t n_front = interpret ? in->directives->interpreter.n : 0;
    const char **all = xcalloc(n_front + words.n + 1, sizeof *all);
    for (size_t i = 0; i < n_front; i++)
        all[i] = in->directives->interpreter.items[i];
    for (size_t i = 0; i < words.n; i++)
        all[n_front + i] = words.items[i];
    *name = xstrdup(all[0]);
    uint32_t argv = submit_add_argv(s, all, n_front + words.n);
    free(all);
    return argv;
}

/* The last part of a path; NULL for "/", "." and "..". */
static char *file_name(char *path)
{
    size_t n = strlen(path);
    while (n &&
           (path[n - 1] == '/' || (n > 1 && path[n - 1] == '.' && path[n - 2] == '/')))
        n--;
    path[n] = '\0';
    char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    return !*base || strcmp(base, ".") == 0 || strcmp(base, "..") == 0 ? NULL : base;
}

static int build_name(const struct submit_input *in, struct submit *s, char *program,
                      struct error *err)
{
    const char *name = pick(in, "name");
    if (s->job)
        return 0;
    if (name) {
        s->name = xstrdup(name);
        return job_name_check(name, err);
    }
    name = file_name(program);
    /* Programs may be called what jobs may not. */
    s->name = xstrdup(name && job_name_check(name, NULL) == 0 ? name : "job");
    return 0;
}

static int check_open_job(const struct submit_input *in, struct error *err)
{
    static const char *const refused[] = {"name", "max-fails"};
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        if (in_line(in, refused[i]) || in_directives(in, refused[i]))
            return error_set(err, ERR_INVALID,
                             "Parameter --%s is not allowed when submitting to an open "
                             "job.",
                             refused[i]);
    return 0;
}

/* --- all together ------------------------------------------------------- */

int submit_read_directives(const struct args *line, const struct buf *input,
                           struct directives *d, bool *found, struct error *err)
{
    const char *mode = args_str(line, "directives");
    struct args_list words = args_list(line, "COMMANDS");
    *found = false;
    if (strcmp(mode, "stdin") == 0) {
        if (!input)
            return error_set(err, ERR_INVALID,
                             "You have to use `--stdin` when you specify "
                             "`--directives=stdin`.");
        *found = true;
        return directives_parse(args_cmd(line), "stdin", input->data, input->len, d,
                                err);
    }
    if (strcmp(mode, "off") == 0 || words.n == 0)
        return 0;
    size_t n = strlen(words.items[0]);
    bool script = n >= 3 && strcmp(words.items[0] + n - 3, ".sh") == 0;
    if (strcmp(mode, "auto") == 0 && !script)
        return 0;
    *found = true;
    return directives_read(args_cmd(line), words.items[0], d, err);
}

static int build_checked(const struct submit_input *in, struct task_source *t,
                         struct notices *notices, struct task_body *body,
                         struct submit *s, struct error *err)
{
    char *program = NULL;
    struct task_group g = {0};
    g.argv = add_command(s, in, &program);
    int rc = g.argv == UINT32_MAX ? error_nomem(err) : 0;
    if (rc == 0)
        rc = check_placeholders(body, notices, err);
    if (rc == 0 && (g.body = submit_add_body(s, body)) == UINT32_MAX)
        rc = error_nomem(err);
    if (rc == 0)
        rc = build_tasks(s, g, t, err);
    if (rc == 0 && t->has_ids)
        warn_array(&s->bodies[g.body], submit_task_count(s), notices);
    if (rc == 0)
        rc = build_name(in, s, program, err);
    free(program);
    return rc;
}

int submit_build(const struct submit_input *in, struct notices *notices,
                 struct submit *s, struct error *err)
{
    struct task_body body;
    struct task_source tasks = {0};
    const char *max_fails = pick(in, "max-fails");
    task_body_init(&body);
    s->job = args_u32(in->line, "job", 0);
    s->max_fails = max_fails ? (int64_t)strtoul(max_fails, NULL, 10) : -1;
    s->submit_dir = path_cwd();
    int rc = s->submit_dir ? 0 : error_sys(err, "cannot find the current directory");
    if (rc == 0 && args_given(in->line, "job"))
        rc = check_open_job(in, err);
    if (rc == 0)
        rc = build_request(in, &body, err);
    if (rc == 0)
        rc = build_body(in, &body, err);
    if (rc == 0)
        rc = read_tasks(in, notices, &tasks, err);
    if (rc == 0)
        rc = build_environment(in, notices, &body, err);
    if (rc == 0)
        rc = build_checked(in, &tasks, notices, &body, s, err);
    task_source_release(&tasks);
    task_body_release(&body);
    return rc;
}
