/* The engine of automatic allocation: when it looks at the demand, helper commands. */
#include "server/autoalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "base/xmem.h"

#define HELPERS_MAX 8u
#define LOOKS_MAX 4u /* of them; the others are there for who waits for one */
#define KILL_MS 5000 /* a program that was stopped, and is not gone then, hangs */

/* ---- helper commands ------------------------------------------------------------- */

struct helper {
    struct list_node node; /* engine.helpers */
    struct server *server;
    struct io_command *running; /* NULL: it waits for its turn */
    struct batch_command command;
    char *dir;
    bool look;
    int (*before)(void *arg, struct error *err);
    void (*behind)(void *arg, struct io_command_result *r);
    helper_fn *fn;
    void *arg;
};

static void helpers_start(struct server *s);
static void give_up_waiting(struct server *s);

static void helper_free(struct helper *h)
{
    list_remove(&h->node);
    batch_command_release(&h->command);
    free(h->dir);
    free(h);
}

static bool ended_well(const struct io_command_result *r)
{
    return r->rc == 0 && WIFEXITED(r->status) && WEXITSTATUS(r->status) == 0;
}

static void on_helper(void *arg, struct io_command_result *r)
{
    struct helper *h = arg;
    struct server *s = h->server;
    helper_fn *fn = h->fn;
    void *fn_arg = h->arg;
    s->alloc->n_running--;
    s->alloc->n_looks -= h->look;
    if (s->alloc->overdue && !s->alloc->giving_up && ended_well(r))
        io_timer_start(s->alloc->overdue, s->alloc->stop_ms, 0);
    helper_free(h);
    (void)server_now_us(s);
    fn(s, fn_arg, r);
    helpers_start(s);
    if (s->alloc->giving_up)
        give_up_waiting(s);
    autoalloc_leave(s);
}

static void helper_start(struct helper *h)
{
    struct server *s = h->server;
    const struct io_command_spec spec = {
        .argv =
            h->command.words.len ? (const char *const *)h->command.words.data : NULL,
        .dir = h->dir,
        .timeout_ms = s->alloc->command_ms,
        .output_max = BATCH_OUTPUT_MAX,
        .before = h->before,
        .behind = h->behind,
        .arg = h->arg,
    };
    s->alloc->n_running++;
    s->alloc->n_looks += h->look;
    h->running = io_command_start(s->loop, &spec, on_helper, h);
}

static void helpers_start(struct server *s)
{
    LIST_FOR_EACH_SAFE(&s->alloc->helpers, node, next)
    {
        struct helper *h = CONTAINER_OF(node, struct helper, node);
        if (s->alloc->n_running >= HELPERS_MAX || s->alloc->giving_up)
            return;
        if (!h->running && !(h->look && s->alloc->n_looks >= LOOKS_MAX))
            helper_start(h);
    }
}

void helper_run(struct server *s, const struct helper_spec *spec, helper_fn *fn,
                void *arg)
{
    struct helper *h = xcalloc(1, sizeof *h);
    h->server = s;
    if (spec->command) {
        h->command = *spec->command;
        *spec->command = (struct batch_command){VEC_INIT};
    }
    h->dir = spec->dir ? xstrdup(spec->dir) : NULL;
    h->look = spec->look;
    h->before = spec->before;
    h->behind = spec->behind;
    h->fn = fn;
    h->arg = arg;
    if (spec->urgent)
        list_push_front(&s->alloc->helpers, &h->node);
    else
        list_push_back(&s->alloc->helpers, &h->node);
    helpers_start(s);
}

bool helper_ok(const char *program, const struct io_command_result *r,
               struct error *err)
{
    struct buf text = BUF_INIT(ERROR_TEXT_MAX);
    char how[64];
    if (ended_well(r))
        return true;
    *err = r->err;
    if (!r->started) {
        /* Files that cannot be written say so themselves. */
        if (r->err.code == ERR_SYSTEM && r->err.sys && !strchr(r->err.text, '"'))
            (void)error_cause(err, "%s start failed", program);
        return false;
    }
    if (r->rc != 0)
        (void)snprintf(how, sizeof how, "%.60s", r->err.text);
    else if (WIFEXITED(r->status))
        (void)snprintf(how, sizeof how, "Exit code: %d", WEXITSTATUS(r->status));
    else
        (void)snprintf(how, sizeof how, "Signal: %d", WTERMSIG(r->status));
    batch_describe(how, (struct span){r->err_out.data, r->err_out.len},
                   (struct span){r->out.data, r->out.len}, &text);
    (void)error_set(err, ERR_SYSTEM, "%s", buf_cstr(&text));
    (void)error_cause(err, "%s execution failed", program);
    buf_release(&text);
    return false;
}

bool helper_cancelled(const struct batch_ops *ops, const struct io_command_result *r,
                      struct error *err)
{
    const struct batch_answer answer = {.ok = helper_ok(ops->cancel_program, r, err),
                                        .out = {r->out.data, r->out.len},
                                        .err = {r->err_out.data, r->err_out.len}};
    return batch_cancelled(ops, &answer);
}

/* ---- demand ---------------------------------------------------------------------- */

static struct sched_kind kind_of(const struct alloc_queue *q,
                                 const struct alloc_supply *supply)
{
    const struct alloc_params *p = &q->params;
    return (struct sched_kind){
        .pools = q->has_known ? &q->known : &p->pools,
        .partial = !q->has_known,
        .life_us = (p->worker_limit_ns ? p->worker_limit_ns : p->time_limit_ns) / 1000,
        .min_utilization = p->min_utilization,
        .coming = supply->coming,
        .n_coming = supply->n_coming,
        .max_more = supply->more,
        .max_nodes = p->max_workers_per_alloc,
        .max_room = supply->room,
    };
}

static void submit_for(struct server *s, struct alloc_queue *q,
                       const struct sched_use *use, uint64_t now_us)
{
    const struct alloc_demand d = {use->n_workers, use->gangs, use->n_gangs};
    uint32_t *sizes = xmalloc(q->params.backlog * sizeof *sizes);
    size_t n = alloc_plan(q, &d, now_us, sizes, q->params.backlog);
    if (n) {
        alloc_round_began(q, now_us);
        autoalloc_round(s, q, sizes, n);
    }
    free(sizes);
}

/* An active queue that submits nothing now has its part in the demand by what comes to
 * it. Of a paused one nobody knows whether it is to go on: others stand in for it. */
static void check_demand(struct server *s, uint64_t now_us)
{
    const struct alloc_book *b = &s->alloc->book;
    struct alloc_supply *supplies = xcalloc(b->queues.len + 1, sizeof *supplies);
    struct sched_kind *kinds = xcalloc(b->queues.len + 1, sizeof *kinds);
    struct sched_use *uses = xcalloc(b->queues.len + 1, sizeof *uses);
    size_t n = 0; /* up to the last queue that may submit */
    for (size_t i = 0; i < b->queues.len; i++) {
        const struct alloc_queue *q = b->queues.data[i];
        if (q->state == QUEUE_ACTIVE && !q->removing)
            alloc_supply(q, now_us, &supplies[i]);
        kinds[i] = kind_of(q, &supplies[i]);
        if (supplies[i].more)
            n = i + 1;
    }
    if (n)
        sched_query(s->sched, kinds, n, uses);
    for (size_t i = 0; i < b->queues.len; i++) {
        if (supplies[i].more)
            submit_for(s, b->queues.data[i], &uses[i], now_us);
        sched_use_release(&uses[i]);
        alloc_supply_release(&supplies[i]);
    }
    free(supplies);
    free(kinds);
    free(uses);
}

static void on_tick(void *arg)
{
    struct server *s = arg;
    struct alloc_engine *e = s->alloc;
    uint64_t now = clock_mono_us();
    (void)server_now_us(s);
    if (s->stopping || e->book.queues.len == 0 || commit_overdue(s))
        return;
    autoalloc_look_suspects(s, now);
    if (!e->dirty && now < e->checked_us + e->delay_ms * 1000)
        return;
    assign_round(s);
    if (s->sched_dirty) /* it is not done, or waits for workers to come back */
        return;
    e->dirty = false;
    e->checked_us = now;
    check_demand(s, now);
}

static void on_refresh(void *arg)
{
    struct server *s = arg;
    (void)server_now_us(s);
    for (size_t i = 0; i < s->alloc->book.queues.len; i++)
        autoalloc_look(s, s->alloc->book.queues.data[i]);
    autoalloc_trim_directories(s);
}

/* ---- life ------------------------------------------------------------------------ */

static uint64_t setting(const char *name, uint64_t value)
{
    uint32_t n;
    const char *text = getenv(name);
    if (!text)
        return value;
    if (text_to_u32(text, &n) && n > 0)
        return n;
    log_warn("%s has to be a positive number, not '%s'", name, text);
    return value;
}

/* Behind a rebuilt program the kernel's name of the old file has a mark. */
static char *find_self(void)
{
    static const char mark[] = " (deleted)";
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return xstrdup("hq");
    self[n] = '\0';
    size_t len = strlen(self);
    if (len > strlen(mark) && strcmp(self + len - strlen(mark), mark) == 0)
        self[len - strlen(mark)] = '\0';
    return xstrdup(self);
}

void autoalloc_create(struct server *s)
{
    struct alloc_engine *e = s->alloc = xcalloc(1, sizeof *e);
    list_init(&e->helpers);
    list_init(&e->removals);
    list_init(&e->trials);
    e->tick_ms = setting("HQ_AUTOALLOC_SCHEDULE_TICK_INTERVAL_MS", 5000);
    e->delay_ms = setting("HQ_AUTOALLOC_MAX_SCHEDULE_DELAY_MS", 30000);
    e->refresh_ms = setting("HQ_AUTOALLOC_REFRESH_INTERVAL_MS", 1800000);
    e->command_ms = setting("HQ_AUTOALLOC_COMMAND_TIMEOUT_MS", 120000);
    e->look_ms = setting("HQ_AUTOALLOC_LOOK_INTERVAL_MS", 60000);
    e->stop_ms = setting("HQ_AUTOALLOC_STOP_TIMEOUT_MS", 30000);
    e->fails_max =
        (uint32_t)setting("HQ_AUTOALLOC_MAX_ALLOCATION_FAILS", ALLOC_FAILS_MAX_DEFAULT);
    e->hq = find_self();
    char *slash = strrchr(e->hq, '/');
    e->mpi_worker =
        xasprintf("%.*shq-mpi-worker", slash ? (int)(slash + 1 - e->hq) : 0, e->hq);
    e->dirty = true;
}

void autoalloc_start(struct server *s)
{
    struct alloc_engine *e = s->alloc;
    e->tick = io_timer_create(s->loop, on_tick, s);
    e->refresh = io_timer_create(s->loop, on_refresh, s);
    io_timer_start(e->tick, e->tick_ms, e->tick_ms);
    io_timer_start(e->refresh, e->refresh_ms, e->refresh_ms);
    autoalloc_restored(s);
}

void autoalloc_note(struct server *s)
{
    s->alloc->dirty = true;
}

static void cancel_all(struct server *s)
{
    struct alloc_book *b = &s->alloc->book;
    for (size_t i = 0; i < b->queues.len; i++) {
        const struct alloc_queue *q = b->queues.data[i];
        for (size_t k = 0; k < q->allocs.len && !q->removing; k++) {
            const struct allocation *a = q->allocs.data[k];
            if (allocation_active(a))
                autoalloc_cancel_known(s, q, a);
        }
    }
}

/* Its turn does not come any more. */
static void give_up(struct helper *h)
{
    struct io_command_result r = {.rc = ERR_TIMEOUT};
    struct server *s = h->server;
    helper_fn *fn = h->fn;
    void *arg = h->arg;
    (void)error_set(&r.err, ERR_TIMEOUT, "the server ends before its turn");
    helper_free(h);
    fn(s, arg, &r);
}

static struct helper *first_waiting(const struct server *s)
{
    LIST_FOR_EACH(&s->alloc->helpers, node)
    {
        struct helper *h = CONTAINER_OF(node, struct helper, node);
        if (!h->running)
            return h;
    }
    return NULL;
}

/* The end of one may bring others. */
static void give_up_waiting(struct server *s)
{
    struct helper *h;
    while ((h = first_waiting(s)) != NULL)
        give_up(h);
}

/* What cannot even be killed is left behind, and so is what its thread works on. */
static void abandon(struct helper *h)
{
    char *const *words = h->command.words.data;
    if (h->command.words.len)
        log_warn("'%s %s' does not end; the server does", words[0], words[1]);
    io_command_abandon(h->running);
    helper_free(h);
}

static void on_overdue(void *arg)
{
    struct server *s = arg;
    bool again = s->alloc->giving_up;
    s->alloc->giving_up = true;
    give_up_waiting(s);
    LIST_FOR_EACH_SAFE(&s->alloc->helpers, node, next)
    {
        struct helper *h = CONTAINER_OF(node, struct helper, node);
        if (again)
            abandon(h);
        else
            io_command_stop(h->running);
    }
    io_timer_start(s->alloc->overdue, KILL_MS, 0);
    autoalloc_leave(s);
}

/* Submissions under way end first; what they brought is cancelled as well. */
void autoalloc_stop(struct server *s)
{
    struct alloc_engine *e = s->alloc;
    io_timer_destroy(e->tick);
    io_timer_destroy(e->refresh);
    e->tick = e->refresh = NULL;
    cancel_all(s);
    e->overdue = io_timer_create(s->loop, on_overdue, s);
    io_timer_start(e->overdue, e->stop_ms, 0);
    autoalloc_leave(s);
}

void autoalloc_leave(struct server *s)
{
    struct alloc_engine *e = s->alloc;
    if (!e->overdue || !list_empty(&e->helpers))
        return;
    io_timer_destroy(e->overdue);
    e->overdue = NULL;
}

void autoalloc_release(struct server *s)
{
    struct alloc_engine *e = s->alloc;
    alloc_book_release(&e->book);
    for (size_t i = 0; i < e->inactive.len; i++)
        free(e->inactive.data[i]);
    vec_release(&e->inactive);
    free(e->hq);
    free(e->mpi_worker);
    free(e);
}
