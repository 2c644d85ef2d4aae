/*
 * Dependencies. Needs stand in the submits; here they become edges from what is waited
 * for to what waits. Whole groups are waited for with one counter, element-wise needs
 * are looked up in the records of the tasks, so that neither costs memory per task.
 */
#include "server/state.h"

#include <stdlib.h>
#include "base/xmem.h"

static void edge_add(struct job *job, uint32_t from, uint32_t to, enum edge_kind kind,
                     uint32_t slot)
{
    if (job->n_edges == job->cap_edges) {
        job->cap_edges = job->cap_edges ? job->cap_edges * 2 : 8;
        job->edges = xrealloc(job->edges, job->cap_edges * sizeof *job->edges);
    }
    job->edges[job->n_edges] = (struct job_edge){
        .to = to, .next = job->groups[from].edges, .slot = slot, .kind = (uint8_t)kind};
    job->groups[from].edges = (uint32_t)job->n_edges++;
}

/* A need of group `to`; false when what it needs can never finish any more. */
static bool need_add(struct job *job, const struct job_submit *sub, uint32_t to,
                     const struct need *need)
{
    struct job_group *g = &job->groups[to];
    uint32_t from, slot = 0;
    switch ((enum need_kind)need->kind) {
    case NEED_EACH:
        if (g->each_needs < UINT8_MAX)
            g->each_needs++;
        edge_add(job, sub->first_group + need->value, to, EDGE_EACH, 0);
        return true;
    case NEED_GROUP:
        from = sub->first_group + need->value;
        if (job->groups[from].unfinished == 0)
            return true;
        edge_add(job, from, to, EDGE_GROUP, 0);
        break;
    case NEED_TASK:
        /* Resolution has checked that the task exists. */
        if (!job_slot_of(job, need->value, &slot))
            return false;
        if (job_task_state(job, slot) == TASK_FINISHED)
            return true;
        if (task_state_terminal(job_task_state(job, slot)))
            return false;
        from = (uint32_t)(job_group_of(job, slot) - job->groups);
        if (job->groups[from].count == 1) {
            edge_add(job, from, to, EDGE_GROUP, 0);
        } else {
            edge_add(job, from, to, EDGE_SLOT, slot);
            job->groups[from].dependants = 1;
        }
        break;
    }
    g->waits++;
    return true;
}

void graph_add_submit(struct state *s, struct job *job, const struct job_submit *sub)
{
    for (size_t i = 0; i < sub->spec.n_groups; i++) {
        const struct task_group *spec = &sub->spec.groups[i];
        uint32_t to = sub->first_group + (uint32_t)i;
        bool possible = true;
        for (uint32_t k = 0; k < spec->n_needs; k++)
            possible &= need_add(job, sub, to, &sub->spec.needs[spec->needs + k]);
        struct job_group *g = &job->groups[to];
        if (!possible) {
            g->waits++; /* never satisfied */
            (void)state_abort(s, job, g->first_slot, g->count, sub->time_us);
        }
    }
    /* What waits for an aborted group goes too; groups may be in any order. */
    for (size_t i = 0; i < sub->spec.n_groups; i++) {
        const struct job_group *g = &job->groups[sub->first_group + i];
        if (g->count && job_task_state(job, g->first_slot) == TASK_ABORTED)
            graph_task_failed(s, job, g->first_slot, sub->time_us);
    }
    for (size_t i = 0; i < sub->spec.n_groups; i++) {
        const struct job_group *g = &job->groups[sub->first_group + i];
        if (g->waits == 0 && g->each_needs == 0 && g->count &&
            job_task_state(job, g->first_slot) == TASK_WAITING)
            s->hooks.ready(s->hooks.arg, job, g, g->first_slot, g->count);
    }
}

/* Whether every element-wise need of task i of the group is finished. */
static bool each_met(const struct job *job, const struct job_group *g, uint32_t i)
{
    const struct job_submit *sub = &job->submits[g->submit];
    const struct task_group *spec = job_group_spec(job, g);
    for (uint32_t k = 0; k < spec->n_needs; k++) {
        const struct need *need = &sub->spec.needs[spec->needs + k];
        if (need->kind != NEED_EACH)
            continue;
        const struct job_group *from = &job->groups[sub->first_group + need->value];
        if (job_task_state(job, from->first_slot + i) != TASK_FINISHED)
            return false;
    }
    return true;
}

/* Announces those of tasks [i, i + n) of the group that wait for nothing any more. */
static void announce(struct state *s, struct job *job, const struct job_group *g,
                     uint32_t i, uint32_t n)
{
    if (g->waits)
        return;
    uint32_t run = 0, end = i + n;
    for (; i < end; i++) {
        bool ready = job_task_state(job, g->first_slot + i) == TASK_WAITING &&
                     (g->each_needs == 0 || each_met(job, g, i));
        if (ready) {
            run++;
            continue;
        }
        if (run)
            s->hooks.ready(s->hooks.arg, job, g, g->first_slot + i - run, run);
        run = 0;
    }
    if (run)
        s->hooks.ready(s->hooks.arg, job, g, g->first_slot + end - run, run);
}

void graph_task_finished(struct state *s, struct job *job, uint32_t slot,
                         uint32_t count)
{
    struct job_group *g = job_group_of(job, slot);
    g->unfinished -= count;
    for (uint32_t e = g->edges; e != NO_EDGE; e = job->edges[e].next) {
        const struct job_edge *edge = &job->edges[e];
        struct job_group *to = &job->groups[edge->to];
        switch ((enum edge_kind)edge->kind) {
        case EDGE_EACH:
            announce(s, job, to, slot - g->first_slot, count);
            break;
        case EDGE_GROUP:
            if (g->unfinished == 0 && --to->waits == 0)
                announce(s, job, to, 0, to->count);
            break;
        case EDGE_SLOT:
            if (edge->slot >= slot && edge->slot - slot < count && --to->waits == 0)
                announce(s, job, to, 0, to->count);
            break;
        }
    }
}

struct abort_item {
    uint32_t slot, count; /* just failed or aborted, all in one group */
};

struct abort_stack {
    struct abort_item *items;
    size_t n, cap;
};

static void stack_push(struct abort_stack *st, uint32_t slot, uint32_t count)
{
    if (st->n == st->cap) {
        st->cap = st->cap ? st->cap * 2 : 16;
        st->items = xrealloc(st->items, st->cap * sizeof *st->items);
    }
    st->items[st->n++] = (struct abort_item){slot, count};
}

/* Aborts what still waits in the range; what was aborted is followed further. */
static void abort_range(struct state *s, struct job *job, struct abort_stack *st,
                        uint32_t slot, uint32_t count, uint64_t time_us)
{
    if (state_abort(s, job, slot, count, time_us))
        stack_push(st, slot, count);
}

void graph_task_failed(struct state *s, struct job *job, uint32_t slot,
                       uint64_t time_us)
{
    struct abort_stack st = {0};
    stack_push(&st, slot, 1);
    while (st.n) {
        struct abort_item item = st.items[--st.n];
        const struct job_group *g = job_group_of(job, item.slot);
        for (uint32_t e = g->edges; e != NO_EDGE; e = job->edges[e].next) {
            const struct job_edge *edge = &job->edges[e];
            const struct job_group *to = &job->groups[edge->to];
            switch ((enum edge_kind)edge->kind) {
            case EDGE_EACH:
                abort_range(s, job, &st, to->first_slot + (item.slot - g->first_slot),
                            item.count, time_us);
                break;
            case EDGE_GROUP:
                abort_range(s, job, &st, to->first_slot, to->count, time_us);
                break;
            case EDGE_SLOT:
                if (edge->slot >= item.slot && edge->slot - item.slot < item.count)
                    abort_range(s, job, &st, to->first_slot, to->count, time_us);
                break;
            }
        }
    }
    free(st.items);
}

void graph_announce_all(struct state *s, struct job *job)
{
    for (size_t i = 0; i < job->n_groups; i++)
        announce(s, job, &job->groups[i], 0, job->groups[i].count);
}

void graph_count_needs(struct job *job, uint32_t slot, uint32_t *total,
                       uint32_t *unfinished)
{
    const struct job_group *g = job_group_of(job, slot);
    const struct job_submit *sub = &job->submits[g->submit];
    const struct task_group *spec = job_group_spec(job, g);
    *total = *unfinished = 0;
    for (uint32_t k = 0; k < spec->n_needs; k++) {
        const struct need *need = &sub->spec.needs[spec->needs + k];
        uint32_t other;
        const struct job_group *from;
        switch ((enum need_kind)need->kind) {
        case NEED_GROUP:
            from = &job->groups[sub->first_group + need->value];
            *total += from->count;
            *unfinished += from->unfinished;
            break;
        case NEED_EACH:
            from = &job->groups[sub->first_group + need->value];
            other = from->first_slot + (slot - g->first_slot);
            *total += 1;
            *unfinished += job_task_state(job, other) != TASK_FINISHED;
            break;
        case NEED_TASK:
            *total += 1;
            *unfinished += !job_slot_of(job, need->value, &other) ||
                           job_task_state(job, other) != TASK_FINISHED;
            break;
        }
    }
}

void graph_visit_needs(struct job *job, uint32_t slot, graph_visit_fn *fn, void *arg)
{
    const struct job_group *g = job_group_of(job, slot);
    const struct job_submit *sub = &job->submits[g->submit];
    const struct task_group *spec = job_group_spec(job, g);
    for (uint32_t k = 0; k < spec->n_needs; k++) {
        const struct need *need = &sub->spec.needs[spec->needs + k];
        uint32_t other;
        const struct job_group *from;
        switch ((enum need_kind)need->kind) {
        case NEED_GROUP:
            from = &job->groups[sub->first_group + need->value];
            fn(arg, job, from->first_slot, from->count);
            break;
        case NEED_EACH:
            from = &job->groups[sub->first_group + need->value];
            fn(arg, job, from->first_slot + (slot - g->first_slot), 1);
            break;
        case NEED_TASK:
            if (job_slot_of(job, need->value, &other))
                fn(arg, job, other, 1);
            break;
        }
    }
}

void graph_visit_dependants(struct job *job, uint32_t slot, graph_visit_fn *fn,
                            void *arg)
{
    const struct job_group *g = job_group_of(job, slot);
    for (uint32_t e = g->edges; e != NO_EDGE; e = job->edges[e].next) {
        const struct job_edge *edge = &job->edges[e];
        const struct job_group *to = &job->groups[edge->to];
        if (edge->kind == EDGE_EACH)
            fn(arg, job, to->first_slot + (slot - g->first_slot), 1);
        else if (edge->kind == EDGE_GROUP || edge->slot == slot)
            fn(arg, job, to->first_slot, to->count);
    }
}
