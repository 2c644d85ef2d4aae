#include "cli/log_follow.h"

#include <errno.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>
#include "base/clock.h"

/* Looked at so often even if nothing tells of a change: inotify sees only what this
 * node writes. */
#define POLL_MS 400
#define ASK_SERVER_US UINT64_C(1000000)

static uint64_t task_key(const struct outlog_key *k)
{
    return (uint64_t)k->job << 32 | k->task;
}

/* ---- what is known of tasks
 * ----------------------------------------------------------
 */

/* False: the block is of an instance that was superseded. */
static bool note_block(struct log_follow *f, const struct outlog_key *k, bool ended,
                       bool *failed)
{
    uint64_t state = 0, key = task_key(k), now = (uint64_t)k->instance << 1 | ended;
    bool known = u64map_get(&f->tasks, key, &state);
    if (known && state >> 1 > k->instance)
        return false;
    if (known && now <= state)
        return true;
    *failed = u64map_set(&f->tasks, key, now) < 0;
    f->n_unfinished += !ended;
    f->n_unfinished -= known && !(state & 1);
    return true;
}

static int note_run(void *arg, const struct outlog_run *run, struct error *err)
{
    struct log_follow *f = arg;
    bool failed = false;
    (void)note_block(f, &run->refs[0].e.key, run->finished, &failed);
    return failed ? error_nomem(err) : 0;
}

/* ---- the end ------------------------------------------------------------------------
 */

/* Each chosen task has ended. Only when all that will come are known by their ids. */
static bool all_ended(const struct log_follow *f)
{
    const struct log_choice *c = f->choice;
    if (f->n_unfinished > 0 || !c->has_tasks || c->any_job)
        return false;
    return f->tasks.n >= idset_count(&c->jobs) * idset_count(&c->tasks);
}

/* The server is away, but all tasks that it told of are in the log with their ends. */
static bool log_tells_end(const struct log_follow *f)
{
    return f->s->away && f->s->n_tasks && f->n_unfinished == 0 &&
           f->tasks.n >= f->s->n_tasks;
}

static int is_over(struct log_follow *f, uint64_t *asked_us, bool *over,
                   struct error *err)
{
    uint64_t now_us = clock_mono_us();
    *over = f->until_finished && all_ended(f);
    if (!f->until_finished || *over || !f->s->has_job ||
        now_us - *asked_us < ASK_SERVER_US)
        return 0;
    *asked_us = now_us;
    int rc = log_source_job_ended(f->s, f->run, over, err);
    *over = *over || log_tells_end(f);
    return rc;
}

/* ---- waiting ------------------------------------------------------------------------
 */

static void watch(struct log_follow *f)
{
    f->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    for (size_t i = 0; f->inotify >= 0 && i < outlog_reader_n_files(f->s->reader); i++)
        (void)inotify_add_watch(f->inotify, outlog_reader_path(f->s->reader, i),
                                IN_MODIFY);
}

/* False: nobody reads our output any more. */
static bool wait_for_change(const struct log_follow *f)
{
    uint8_t events[4096];
    struct pollfd p[] = {{.fd = STDOUT_FILENO}, {.fd = f->inotify, .events = POLLIN}};
    (void)poll(p, ARRAY_SIZE(p), POLL_MS);
    while (f->inotify >= 0 && read(f->inotify, events, sizeof events) > 0)
        ;
    return !(p[0].revents & POLLERR);
}

/* ---- the calls ----------------------------------------------------------------------
 */

int log_follow_begin(struct log_follow *f, const struct run *run, struct log_source *s,
                     const struct log_choice *c, struct error *err)
{
    *f = (struct log_follow){.run = run,
                             .s = s,
                             .choice = c,
                             .until_finished = args_flag(run->args, "until-finished"),
                             .inotify = -1,
                             .tasks = U64MAP_INIT};
    if (f->until_finished && !s->has_job && (!c->has_tasks || c->any_job))
        return error_set(err, ERR_INVALID,
                         "--until-finished needs to know what is to come: name the job "
                         "instead of its log, or give --job and --task");
    watch(f);
    int rc = outlog_follow_create(&f->follow, s->reader, err);
    return rc < 0 ? rc : log_walk(s, c, note_run, f, err);
}

void log_follow_release(struct log_follow *f)
{
    outlog_follow_destroy(f->follow);
    u64map_release(&f->tasks);
    if (f->inotify >= 0)
        (void)close(f->inotify);
}

struct sink {
    struct log_follow *f;
    log_block_fn fn;
    void *arg;
};

static int on_news(void *arg, const struct outlog_ref *ref, const uint8_t *data,
                   struct error *err)
{
    const struct sink *k = arg;
    struct log_follow *f = k->f;
    const struct outlog_entry *e = &ref->e;
    bool ended = e->flags & OUTLOG_FLAG_END, failed = false;
    if (!log_choice_has_task(f->choice, f->s->reader, ref))
        return 0;
    bool newest = note_block(f, &e->key, ended, &failed);
    if (failed)
        return error_nomem(err);
    if (!newest && !f->choice->all_instances)
        return 0;
    bool output = log_choice_has_block(f->choice, e) && e->output > 0;
    return output || ended ? k->fn(k->arg, e, data, output ? e->output : 0, err) : 0;
}

/* Nothing is written to a file that was removed or moved away. NULL: none was. */
static const char *gone_file(const struct log_follow *f)
{
    const struct outlog_reader *r = f->s->reader;
    for (size_t i = 0; i < outlog_reader_n_files(r); i++)
        if (outlog_reader_gone(r, i))
            return outlog_reader_path(r, i);
    return NULL;
}

int log_follow_run(struct log_follow *f, log_block_fn fn, void *arg, struct error *err)
{
    struct sink sink = {f, fn, arg};
    uint64_t asked_us = 0;
    bool over = false;
    for (;;) {
        const char *gone = gone_file(f);
        int rc = is_over(f, &asked_us, &over, err);
        /* What was written before it was over is read after that was asked. */
        int got = 1;
        while (rc == 0 && got == 1) {
            got = outlog_follow_poll(f->follow, clock_mono_us(), on_news, &sink, err);
            rc = got < 0 ? got : 0;
            if (got == 1)
                f->s->heard_us = clock_mono_us();
            output_flush(f->run->out);
        }
        bool waits = outlog_follow_waits(f->follow);
        if (rc < 0 || (over && !waits) || f->run->out->sys)
            return rc;
        if (gone && !waits)
            return error_set(err, ERR_NOT_FOUND,
                             "'%s' was removed or replaced while it was followed",
                             gone);
        if ((waits || !(f->until_finished && all_ended(f))) && !wait_for_change(f))
            return 0;
    }
}
