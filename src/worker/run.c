/* One task on its way into the launcher: environment, paths, standard streams. */
#include "worker/internal.h"

#include <linux/mempolicy.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "base/xmem.h"

_Static_assert(TASK_INPUT_MAX < LAUNCH_REQUEST_MAX, "the launcher takes all input");

/* A growing list of owned strings. */
struct words {
    char **w;
    size_t n, cap;
};

static void words_add(struct words *l, char *word)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->w = xrealloc(l->w, l->cap * sizeof *l->w);
    }
    l->w[l->n++] = word;
}

static void words_release(struct words *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->w[i]);
    free(l->w);
}

struct task *task_of_handle(const struct worker *w, uint64_t handle)
{
    uint64_t value;
    return u64map_get(&w->tasks, handle, &value) ? (struct task *)(uintptr_t)value
                                                 : NULL;
}

struct path_context task_path_context(const struct worker *w, const struct task *t)
{
    const struct group_def *g = t->group;
    return (struct path_context){
        .job = t->job,
        .submit_dir = g->body->submit_dir,
        .server_uid = w->server_uid,
        .task = true,
        .task_id = t->task_id,
        .instance = t->instance,
        .axes = g->ids.n_extras ? &g->ids.extras[0] : NULL,
        .axis_index = t->slot - g->first_slot,
    };
}

/* ---- environment of a seat --------------------------------------------------------
 */

/* "gpus/nvidia" -> "gpus_nvidia" */
static void put_resource_name(struct buf *out, const char *name)
{
    for (; *name; name++) {
        bool plain = (*name >= '0' && *name <= '9') || (*name >= 'a' && *name <= 'z') ||
                     (*name >= 'A' && *name <= 'Z');
        buf_putc(out, plain ? *name : '_');
    }
}

static void entry_env(struct words *env, const struct worker *w, const struct seat *s,
                      const struct request_entry *e, const struct alloc_entry *ae)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT), labels = BUF_INIT(BUF_MAX_DEFAULT);
    buf_puts(&b, "HQ_RESOURCE_REQUEST_");
    put_resource_name(&b, e->name);
    buf_putc(&b, '=');
    request_value_print(e->policy, e->amount, &b);
    words_add(env, buf_steal(&b));
    if (ae && ae->n) {
        alloc_print_labels(&w->setup->config.pools, &s->allocation, ae, &labels);
        buf_init(&b, BUF_MAX_DEFAULT);
        buf_puts(&b, "HQ_RESOURCE_VALUES_");
        put_resource_name(&b, e->name);
        buf_printf(&b, "=%s", buf_cstr(&labels));
        words_add(env, buf_steal(&b));
        if (strcmp(e->name, "cpus") == 0)
            words_add(env, xasprintf("HQ_CPUS=%s", buf_cstr(&labels)));
        /* Where GPUs of whatever kind were asked for, the pool tells which they are. */
        const char *kind = w->setup->config.pools.pools[ae->pool].name;
        if (strcmp(kind, "gpus/nvidia") == 0) {
            words_add(env, xasprintf("CUDA_VISIBLE_DEVICES=%s", buf_cstr(&labels)));
            words_add(env, xstrdup("CUDA_DEVICE_ORDER=PCI_BUS_ID"));
        }
        if (strcmp(kind, "gpus/amd") == 0)
            words_add(env, xasprintf("ROCR_VISIBLE_DEVICES=%s", buf_cstr(&labels)));
    }
    buf_release(&labels);
}

void seat_make_env(struct worker *w, struct seat *s)
{
    struct words env = {0};
    const struct request_variant *v = s->lane->request;
    const struct alloc_entry *entries = allocation_entries(&s->allocation);
    for (size_t i = 0; i < v->n_entries; i++) {
        const struct alloc_entry *ae = NULL;
        for (uint32_t k = 0; k < s->allocation.n_entries; k++)
            if (entries[k].entry == i)
                ae = &entries[k];
        entry_env(&env, w, s, &v->entries[i], ae);
    }
    if (s->lane->class->request.n_variants > 1)
        words_add(&env, xasprintf("HQ_RESOURCE_VARIANT=%u", s->lane->variant));
    s->env = env.w;
    s->n_env = env.n;
}

/* ---- what depends on the task ------------------------------------------------------
 */

static bool body_sets(const struct task_body *b, const char *key)
{
    for (size_t i = 0; i < b->n_env; i++)
        if (strcmp(b->env[i].key, key) == 0)
            return true;
    return false;
}

/* CPUs of the seat for OpenMP, unless the job says otherwise. */
static void openmp_env(struct words *env, const struct worker *w, const struct seat *s,
                       const struct task_body *b)
{
    if (!s->lane)
        return;
    const struct request_entry *cpus = request_variant_find(s->lane->request, "cpus");
    if (!cpus)
        return;
    const struct alloc_entry *entries = allocation_entries(&s->allocation);
    for (uint32_t k = 0; k < s->allocation.n_entries; k++) {
        const struct alloc_entry *e = &entries[k];
        if (&s->lane->request->entries[e->entry] != cpus)
            continue;
        if (e->n && e->amount % AMOUNT_ONE == 0 && !body_sets(b, "OMP_NUM_THREADS"))
            words_add(env, xasprintf("OMP_NUM_THREADS=%u", e->n));
        if (b->pin != PIN_OMP || !e->n)
            continue;
        struct buf labels = BUF_INIT(BUF_MAX_DEFAULT);
        alloc_print_labels(&w->setup->config.pools, &s->allocation, e, &labels);
        if (!body_sets(b, "OMP_PROC_BIND"))
            words_add(env, xstrdup("OMP_PROC_BIND=close"));
        if (!body_sets(b, "OMP_PLACES"))
            words_add(env, xasprintf("OMP_PLACES={%s}", buf_cstr(&labels)));
        buf_release(&labels);
    }
}

static void axis_env(struct words *env, const struct task *t)
{
    const struct group_def *g = t->group;
    const struct group_extra *e = g->ids.n_extras ? &g->ids.extras[0] : NULL;
    char number[AXIS_NUMBER_SIZE];
    for (size_t a = 0; e && a < e->n_axes; a++) {
        size_t index = axis_value_index(e, a, t->slot - g->first_slot);
        words_add(env, xasprintf("HQ_AXIS_%s=%s", e->axes[a].name,
                                 axis_value(&e->axes[a], index, number)));
    }
}

static void gang_env(struct words *env, const struct task *t)
{
    words_add(env, xasprintf("HQ_NUM_NODES=%zu", t->gang->n));
    words_add(env, xasprintf("HQ_NODE_FILE=%s/hq-nodefile", t->dir));
    words_add(env, xasprintf("HQ_HOST_FILE=%s/hq-hostfile", t->dir));
}

static void task_env(struct words *env, const struct worker *w, const struct task *t)
{
    struct buf token = BUF_INIT(BUF_MAX_DEFAULT);
    for (size_t i = 0; i < t->seat->n_env; i++)
        words_add(env, xstrdup(t->seat->env[i]));
    openmp_env(env, w, t->seat, &t->group->body->body);
    axis_env(env, t);
    words_add(env, xasprintf("HQ_TASK_ID=%u", t->task_id));
    words_add(env, xasprintf("HQ_INSTANCE_ID=%u", t->instance));
    if (t->entry)
        words_add(env, xasprintf("HQ_ENTRY=%.*s", (int)t->n_entry, (char *)t->entry));
    notify_token(w, t, &token);
    words_add(env, xasprintf("HQ_ACCESS_KEY=%s", buf_cstr(&token)));
    buf_release(&token);
    if (t->dir) {
        words_add(env, xasprintf("HQ_TASK_DIR=%s", t->dir));
        words_add(env, xasprintf("HQ_ERROR_FILENAME=%s/hq-error", t->dir));
    }
    if (t->gang)
        gang_env(env, t);
}

/* Arguments with the placeholders of axes filled in. */
static void expand_args(struct words *args, const struct worker *w,
                        const struct task *t)
{
    struct path_context ctx = task_path_context(w, t);
    for (size_t i = 0; i < t->group->n_argv; i++) {
        struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
        placeholders_expand(t->group->argv[i], &ctx, NULL, t->group->body->body.shell,
                            &b);
        words_add(args, buf_steal(&b));
    }
}

/* ---- the template of a group -------------------------------------------------------
 */

static struct launch_output output_of(const struct task_body *b,
                                      const struct stdio_spec *s, const char *path)
{
    switch (stdio_effective(b, s)) {
    case STDIO_FILE:
        return (struct launch_output){
            s->append ? LAUNCH_OUTPUT_APPEND : LAUNCH_OUTPUT_FILE, path};
    case STDIO_STREAM:
        return (struct launch_output){LAUNCH_OUTPUT_PIPE, NULL};
    case STDIO_NONE:
    case STDIO_DEFAULT:
        break;
    }
    return (struct launch_output){LAUNCH_OUTPUT_NULL, NULL};
}

static bool is_pinned(const struct task_body *b)
{
    return b->pin == PIN_TASKSET || b->pin == PIN_OMP;
}

static void template_env(struct words *env, const struct worker *w,
                         const struct group_def *g)
{
    const struct task_body *b = &g->body->body;
    for (size_t i = 0; i < b->n_env; i++)
        words_add(env, xasprintf("%s=%s", b->env[i].key, b->env[i].value));
    words_add(env, xasprintf("HQ_JOB_ID=%u", g->job));
    words_add(env, xasprintf("HQ_SUBMIT_DIR=%s", g->body->submit_dir));
    words_add(env, xasprintf("HQ=%s", w->setup->hq_path));
    if (is_pinned(b))
        words_add(env, xasprintf("HQ_PIN=%s", b->pin == PIN_OMP ? "omp" : "taskset"));
}

/* `paths` are those of one task; only what all tasks share is taken from them. */
static int make_template(struct worker *w, struct group_def *g,
                         const struct task_paths *paths, struct error *err)
{
    const struct task_body *b = &g->body->body;
    struct words env = {0};
    template_env(&env, w, g);
    struct launch_spec spec = {
        .argv = g->dynamic_args ? NULL : (const char *const *)g->argv,
        .n_argv = g->dynamic_args ? 0 : g->n_argv,
        .env = (const char *const *)env.w,
        .n_env = env.n,
        .cwd = g->dynamic_cwd ? NULL : paths->cwd,
        .input = b->has_input ? b->input : NULL,
        .input_size = b->n_input,
    };
    if (!g->dynamic_out)
        spec.out = output_of(b, &b->out, paths->out);
    if (!g->dynamic_err)
        spec.err = output_of(b, &b->err, paths->err);
    int rc = launcher_template(w->launcher, &spec, &g->template_id, err);
    words_release(&env);
    return rc;
}

/* ---- start ------------------------------------------------------------------------
 */

static enum pin_scope scope_of(const struct task_body *b)
{
    return is_pinned(b) ? PIN_EXACT : b->pin == PIN_OFF ? PIN_RANK : PIN_DOMAINS;
}

/* Binding of a slot: decided once per seat, from its allocation. */
static int seat_binding(struct worker *w, const struct task *t, struct pin_plan *plan,
                        struct launch_binding *binding, struct error *err)
{
    const struct task_body *b = &t->group->body->body;
    int rc = 0;
    if (!t->seat->lane)
        pinner_plan_rank(w->pinner, plan);
    else
        rc = pinner_plan(w->pinner, &t->seat->allocation, scope_of(b),
                         (enum membind_mode)b->membind, plan, err);
    *binding = (struct launch_binding){
        .cpus = (const uint8_t *)plan->cpus.words,
        .cpus_size = plan->cpus.n_words * sizeof *plan->cpus.words,
        .nodes = (const uint64_t *)plan->nodes.words,
        .n_nodes = plan->nodes.n_words,
        .memory = plan->mempolicy == MPOL_BIND      ? LAUNCH_MEMORY_STRICT
                  : plan->mempolicy == MPOL_DEFAULT ? LAUNCH_MEMORY_OFF
                                                    : LAUNCH_MEMORY_PREFERRED,
        .must = is_pinned(b),
    };
    return rc;
}

static int prepare(struct worker *w, struct task *t, struct error *err)
{
    struct group_def *g = t->group;
    struct task_paths paths;
    struct path_context ctx = task_path_context(w, t);
    if ((g->body->body.task_dir || t->gang) && taskdir_create(w, t, err) != 0)
        return err->code;
    bool need_paths = g->template_id == NO_TEMPLATE || g->dynamic_cwd ||
                      g->dynamic_out || g->dynamic_err ||
                      g->body->body.out.rm_if_finished ||
                      g->body->body.err.rm_if_finished;
    if (!need_paths)
        return 0;
    if (task_paths_resolve(&g->body->body, &ctx, &paths) != 0)
        return error_nomem(err);
    int rc = 0;
    if (g->template_id == NO_TEMPLATE)
        rc = make_template(w, g, &paths, err);
    t->cwd = paths.cwd;
    t->out = paths.out;
    t->err = paths.err;
    return rc;
}

static void on_failed(void *arg)
{
    struct task *t = arg;
    char *text = t->message;
    t->message = NULL;
    task_fail_before_start(t->worker, t, t->end.started, text);
}

/* Takes the text. The task ends in the next turn of the loop: its seat is still being
 * filled, and an end would fill it from inside or free it. `started`: it counts as
 * started, since only its words or its log are missing. */
static void fail_soon(struct worker *w, struct task *t, bool started, char *text)
{
    t->end.started = started;
    free(t->message);
    t->message = text;
    t->phase = PHASE_LOG;
    if (!t->deadline)
        t->deadline = io_timer_create(w->loop, on_failed, t);
    io_timer_start(t->deadline, 0, 0);
}

void task_run(struct worker *w, struct task *t)
{
    struct error err = ERROR_INIT;
    if (prepare(w, t, &err) != 0) {
        fail_soon(w, t, false, xstrdup(err.text));
        return;
    }
    if (t->group->n_argv == 0) {
        fail_soon(w, t, true, xstrdup("No command arguments"));
        return;
    }
    int rc = streams_begin(w, t);
    if (rc == OUTLOG_PENDING)
        t->phase = PHASE_LOG;
    else if (rc == OUTLOG_READY)
        task_launch(w, t);
    else {
        char *text = t->message;
        t->message = NULL;
        fail_soon(w, t, true, text);
    }
}

static int launch(struct worker *w, struct task *t,
                  const struct launch_binding *binding, struct error *err)
{
    struct group_def *g = t->group;
    const struct task_body *b = &g->body->body;
    struct words env = {0}, args = {0};
    task_env(&env, w, t);
    if (g->dynamic_args)
        expand_args(&args, w, t);
    struct launch_task lt = {
        .handle = t->handle,
        .slot = t->seat->slot,
        .template = g->template_id,
        /* One that fills its pipe waits for us to read it. */
        .urgent = g->dependants || t->gang || g->mean_printed > FILLS_PIPE_BYTES,
        .own = {.argv = (const char *const *)args.w,
                .n_argv = args.n,
                .env = (const char *const *)env.w,
                .n_env = env.n,
                .cwd = g->dynamic_cwd ? t->cwd : NULL,
                .session = g->mean_us == 0 || g->mean_us > SESSION_US},
        .binding = binding,
    };
    if (g->dynamic_out)
        lt.own.out = output_of(b, &b->out, t->out);
    if (g->dynamic_err)
        lt.own.err = output_of(b, &b->err, t->err);
    int rc = launcher_task(w->launcher, &lt, err);
    words_release(&env);
    words_release(&args);
    return rc;
}

void task_launch(struct worker *w, struct task *t)
{
    struct error err = ERROR_INIT;
    struct pin_plan plan;
    struct launch_binding binding;
    /* Tasks of other bodies may share the lane but not the way of pinning. */
    bool usual = t->group->body->body.pin == PIN_NONE &&
                 t->group->body->body.membind == MEMBIND_PREFERRED;
    bool bind = !usual || !t->seat->bound;
    int rc = bind ? seat_binding(w, t, &plan, &binding, &err) : 0;
    t->end.placement = t->seat->placement;
    if (rc == 0 && bind)
        t->end.placement =
            placement_of(w, t->seat, scope_of(&t->group->body->body), &plan);
    if (rc == 0)
        rc = launch(w, t, bind ? &binding : NULL, &err);
    if (rc != 0) {
        fail_soon(w, t, false, xstrdup(err.text));
        return;
    }
    t->phase = PHASE_LAUNCHED;
    t->seat->bound = usual;
    t->seat->placement = t->end.placement;
    w->launcher_dirty = true;
}

void task_free(struct worker *w, struct task *t)
{
    HQ_ASSERT(!t->on_seat);
    (void)u64map_remove(&w->tasks, t->handle);
    uint64_t key = (uint64_t)t->job << 32 | t->slot, handle;
    if (u64map_get(&w->by_slot, key, &handle) && handle == t->handle)
        (void)u64map_remove(&w->by_slot, key);
    if (list_linked(&t->started))
        list_remove(&t->started);
    io_timer_destroy(t->deadline);
    io_timer_destroy(t->retry);
    taskdir_remove(t);
    group_unref(w, t->group);
    if (t->lane)
        lane_left(t->lane);
    if (t->gang) {
        for (size_t i = 0; i < t->gang->n; i++)
            free(t->gang->hosts[i]);
        free(t->gang->hosts);
        free(t->gang->workers);
        free(t->gang);
    }
    free(t->entry);
    free(t->message);
    free(t->cwd);
    free(t->out);
    free(t->err);
    free(t);
}
