/*
 * Starts and ends on their way to the server. Messages with them are a millisecond
 * apart, more where tasks are short, unless one is urgent; ends are kept until the
 * server acknowledges their batch, so that a lost connection loses none.
 */
#include "worker/internal.h"

#include <stdlib.h>
#include "base/clock.h"
#include "base/xmem.h"

#define ENDS_MAX ((size_t)4 << 20)

void report_soon(struct worker *w)
{
    w->flush_now = true;
}

static uint64_t gather_ms(const struct lane *l)
{
    bool brief = l && l->mean_us && l->mean_us < BRIEF_US;
    return brief ? GATHER_BRIEF_MS : GATHER_MS;
}

/* What the launcher gathered is not kept again: that would only cost a wake-up. */
static void gather(struct worker *w, const struct lane *l)
{
    uint64_t ms = gather_ms(l);
    uint64_t now_us = clock_mono_us(), due_us = now_us + ms * 1000;
    if (now_us - w->reported_us >= ms * 1000) {
        report_soon(w);
    } else if (!io_timer_active(w->gather) || due_us < w->report_due_us) {
        w->report_due_us = due_us;
        io_timer_start(w->gather, ms, 0);
    }
}

void report_start(struct worker *w, struct task *t)
{
    list_push_back(&w->fresh, &t->started);
    if (t->group->dependants)
        report_soon(w);
    else
        gather(w, t->lane);
}

/* Cancelled tasks in the launcher's hands hold the seat until they come back from
 * there, and others tell what became of it only when their output is written: to the
 * server's books they run. */
void report_doomed(struct worker *w, const struct lane *l)
{
    size_t pos = 0;
    uint64_t handle, value;
    while (u64map_next(&w->tasks, &pos, &handle, &value)) {
        struct task *t = (struct task *)(uintptr_t)value;
        if (t->lane == l && t->canceled && !t->reported_start &&
            !list_linked(&t->started))
            list_push_back(&w->fresh, &t->started);
    }
}

static void send_starts(struct worker *w)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    while (!list_empty(&w->fresh)) {
        struct task *t = CONTAINER_OF(list_first(&w->fresh), struct task, started);
        list_remove(&t->started);
        t->reported_start = true;
        struct task_start s = {.job = t->job,
                               .slot = t->slot,
                               .instance = t->instance,
                               .variant = t->end.variant,
                               .placement = t->end.placement,
                               .start_us = t->end.start_us};
        if (t->gang) {
            s.n_nodes = (uint32_t)t->gang->n;
            s.nodes = t->gang->workers;
        }
        task_start_encode(&s, &b);
    }
    struct msg_TASKS_STARTED m = {.starts = span_buf(&b)};
    if (b.len)
        msg_put_TASKS_STARTED(io_conn_batch(w->conn), &m);
    buf_release(&b);
}

void report_end_run(struct worker *w, const struct task_end *e, uint32_t count)
{
    if (w->n_ends == 0)
        task_end_writer_init(&w->end_writer, &w->ends);
    if (count > 1)
        task_end_write_run(&w->end_writer, e, count);
    else
        task_end_write(&w->end_writer, e);
    /* The writer holds the last element back, whose text may be freed. */
    if (e->message.n)
        task_end_writer_finish(&w->end_writer);
    w->n_ends += count;
    if (w->ends.len > ENDS_MAX)
        report_soon(w);
}

/* Half of what the lane was given is used up, and the server has not heard of it. */
static bool runs_dry(const struct lane *l)
{
    return !l || (!l->told_dry && l->queued + l->launched <= l->window / 2);
}

void report_end(struct worker *w, struct task *t)
{
    /* The end tells the start as well, but not which nodes a gang had. */
    if (t->gang && list_linked(&t->started) && w->registered)
        send_starts(w);
    if (list_linked(&t->started))
        list_remove(&t->started);
    report_end_run(w, &t->end, 1);
    struct lane *l = t->lane;
    bool dry = runs_dry(l);
    if (l)
        l->told_dry |= dry;
    if (t->group->dependants || t->released || dry)
        report_soon(w);
    else
        gather(w, l);
}

uint64_t report_end_within_us(const struct worker *w, const struct task *t)
{
    if (t->group->dependants || t->released || runs_dry(t->lane))
        return 0;
    uint64_t since_us = clock_mono_us() - w->reported_us;
    uint64_t all_us = gather_ms(t->lane) * 1000;
    return all_us - MIN(all_us, since_us);
}

static void send_batch(const struct sent_batch *b, struct buf *batch)
{
    struct msg_TASKS_ENDED m = {.seq = b->seq, .ends = span_buf(&b->ends)};
    msg_put_TASKS_ENDED(batch, &m);
}

void report_flush(struct worker *w)
{
    w->flush_now = false;
    io_timer_stop(w->gather);
    w->reported_us = clock_mono_us();
    if (w->registered) {
        placements_send(w);
        send_starts(w);
    }
    if (w->n_ends == 0)
        return;
    task_end_writer_finish(&w->end_writer);
    struct sent_batch *b = xcalloc(1, sizeof *b);
    b->seq = w->next_seq++;
    b->ends = w->ends;
    buf_init(&w->ends, BUF_MAX_DEFAULT);
    w->n_ends = 0;
    list_push_back(&w->sent, &b->node);
    if (w->registered)
        send_batch(b, io_conn_batch(w->conn));
}

void report_ack(struct worker *w, uint64_t seq)
{
    LIST_FOR_EACH_SAFE(&w->sent, node, next)
    {
        struct sent_batch *b = CONTAINER_OF(node, struct sent_batch, node);
        if (b->seq > seq)
            return;
        list_remove(&b->node);
        buf_release(&b->ends);
        free(b);
    }
}

void report_resend(struct worker *w, struct buf *batch)
{
    LIST_FOR_EACH(&w->sent, node)
    send_batch(CONTAINER_OF(node, struct sent_batch, node), batch);
}
