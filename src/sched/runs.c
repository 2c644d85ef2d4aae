#include "sched/runs.h"
#include <string.h>
#include <stdlib.h>
#include "base/xmem.h"

void run_list_release(struct run_list *l)
{
    free(l->runs);
    *l = (struct run_list){NULL, 0, 0, 0, 0};
}

void run_list_clear(struct run_list *l)
{
    l->head = l->end = l->n_tasks = 0;
}

static uint64_t run_key(uint32_t job, uint32_t slot)
{
    return (uint64_t)job << 32 | slot;
}

/* Whether a comes before b in queue order. */
static bool run_before(const struct task_run *a, const struct task_run *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority;
    return run_key(a->job, a->slot) < run_key(b->job, b->slot);
}

/* Whether b continues a without a hole. */
static bool run_joins(const struct task_run *a, const struct task_run *b)
{
    return a->priority == b->priority && a->job == b->job &&
           run_key(a->job, a->slot) + a->count == run_key(b->job, b->slot);
}

/* Room for one more run behind the end. */
static void run_list_make_room(struct run_list *l)
{
    if (l->end < l->cap)
        return;
    uint32_t len = l->end - l->head;
    if (l->head > 0 && l->head >= len / 2) {
        memmove(l->runs, l->runs + l->head, len * sizeof *l->runs);
        l->head = 0;
        l->end = len;
        return;
    }
    l->cap = MAX(8u, l->cap * 2);
    l->runs = xrealloc(l->runs, l->cap * sizeof *l->runs);
}

/* Index of the first run that does not come before `run`. */
static uint32_t run_list_position(const struct run_list *l, const struct task_run *run)
{
    uint32_t low = l->head, high = l->end;
    if (low == high || run_before(&l->runs[high - 1], run))
        return high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (run_before(&l->runs[middle], run))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void run_list_remove_at(struct run_list *l, uint32_t at)
{
    if (at == l->head) {
        l->head++;
    } else {
        memmove(&l->runs[at], &l->runs[at + 1], (l->end - at - 1) * sizeof *l->runs);
        l->end--;
    }
    if (l->head == l->end)
        l->head = l->end = 0;
}

static void run_list_insert_at(struct run_list *l, uint32_t at, struct task_run run)
{
    if (at == l->head && l->head > 0) {
        l->runs[--l->head] = run;
        return;
    }
    uint32_t offset = at - l->head;
    run_list_make_room(l);
    at = l->head + offset;
    memmove(&l->runs[at + 1], &l->runs[at], (l->end - at) * sizeof *l->runs);
    l->runs[at] = run;
    l->end++;
}

void run_list_add(struct run_list *l, struct task_run run)
{
    uint32_t at = run_list_position(l, &run);
    l->n_tasks += run.count;
    if (at > l->head && run_joins(&l->runs[at - 1], &run)) {
        l->runs[at - 1].count += run.count;
        if (at < l->end && run_joins(&l->runs[at - 1], &l->runs[at])) {
            l->runs[at - 1].count += l->runs[at].count;
            run_list_remove_at(l, at);
        }
        return;
    }
    if (at < l->end && run_joins(&run, &l->runs[at])) {
        l->runs[at].slot = run.slot;
        l->runs[at].count += run.count;
        return;
    }
    run_list_insert_at(l, at, run);
}

uint32_t run_list_take(struct run_list *l, uint32_t job, uint32_t slot, uint32_t count,
                       int32_t *priority)
{
    for (uint32_t i = l->head; i < l->end; i++) {
        struct task_run *r = &l->runs[i];
        if (r->job != job || slot < r->slot || slot - r->slot >= r->count)
            continue;
        uint32_t before = slot - r->slot;
        uint32_t n = MIN(count, r->count - before), after = r->count - before - n;
        *priority = r->priority;
        l->n_tasks -= n;
        if (before == 0 && after == 0) {
            run_list_remove_at(l, i);
        } else if (before == 0) {
            r->slot += n;
            r->count = after;
        } else {
            r->count = before;
            if (after > 0)
                run_list_insert_at(
                    l, i + 1, (struct task_run){job, slot + n, after, r->priority});
        }
        return n;
    }
    return 0;
}

uint32_t run_list_move_job(struct run_list *l, uint32_t job, struct run_list *to)
{
    uint32_t moved = 0, kept = l->head;
    for (uint32_t i = l->head; i < l->end; i++) {
        if (l->runs[i].job == job) {
            moved += l->runs[i].count;
            run_list_add(to, l->runs[i]);
        } else {
            l->runs[kept++] = l->runs[i];
        }
    }
    l->end = kept;
    l->n_tasks -= moved;
    if (l->head == l->end)
        l->head = l->end = 0;
    return moved;
}

uint32_t run_list_count_below(const struct run_list *l, int32_t priority)
{
    uint32_t n = 0;
    for (uint32_t i = l->end; i > l->head && l->runs[i - 1].priority < priority; i--)
        n += l->runs[i - 1].count;
    return n;
}

const struct task_run *run_list_from_end(const struct run_list *l, uint32_t n)
{
    uint32_t at = l->end - 1, seen = l->runs[at].count;
    while (seen < n && at > l->head)
        seen += l->runs[--at].count;
    return &l->runs[at];
}

bool run_list_valid(const struct run_list *l)
{
    uint64_t n = 0;
    for (uint32_t i = l->head; i < l->end; i++) {
        const struct task_run *r = &l->runs[i];
        n += r->count;
        if (r->count == 0 || run_key(0, r->slot) + r->count > (1ULL << 32))
            return false;
        if (i == l->head)
            continue;
        const struct task_run *p = &l->runs[i - 1];
        if (!run_before(p, r) || run_joins(p, r))
            return false;
        if (p->priority == r->priority && p->job == r->job &&
            (uint64_t)p->slot + p->count > r->slot)
            return false;
    }
    return n == l->n_tasks && l->end <= l->cap && l->head <= l->end;
}
