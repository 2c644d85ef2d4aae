/* The invariants of the whole state. A broken one ends the process with a message. */
#include <stdlib.h>
#include "base/xmem.h"
#include "sched/internal.h"
#include "sched/room.h"

static void check_lane(const struct worker *w, const struct lane *l)
{
    uint32_t n = 0;
    for (int list = 0; list < LANE_LISTS; list++) {
        HQ_ASSERT(run_list_valid(&l->lists[list]));
        n += l->lists[list].n_tasks;
    }
    HQ_ASSERT(n == l->n_tasks);
    HQ_ASSERT(l->worker == w && l->variant < l->class->n_ways);
    HQ_ASSERT(l->grants <= l->n_tasks);
    HQ_ASSERT(l->retract_count == 0 || l->retracting);
    uint32_t spare = l->retracting ? 0 : lane_spare(l);
    HQ_ASSERT(!spare || !l->lists[LANE_UNSTARTED].n_tasks ||
              run_list_from_end(&l->lists[LANE_UNSTARTED], spare)->priority <=
                  l->class->highest_sent);
    HQ_ASSERT(list_linked(&l->ahead) == (l->n_tasks > l->grants));
    HQ_ASSERT(l->n_tasks == 0 ? l->worker_pos == NO_INDEX
                              : w->active.data[l->worker_pos] == l &&
                                    l->class->lanes.data[l->class_pos] == l);
    HQ_ASSERT(list_linked(&l->ghosts) || l->lists[LANE_GHOST_NEW].n_tasks == 0);
    HQ_ASSERT(l->lists[LANE_GHOST_FENCED].n_tasks == 0 || l->retracting);
}

/* free = total minus what the grants hold, exactly. */
static void check_amounts(const struct worker *w)
{
    int64_t *used = xcalloc(w->n_resources + 1, sizeof *used);
    for (size_t i = 0; i < w->lanes.len; i++) {
        const struct lane *l = w->lanes.data[i];
        const struct way *way = lane_way(l);
        for (uint32_t k = 0; k < way->n_needs; k++) {
            uint32_t resource = worker_resource(w, &way->needs[k]);
            if (resource < w->n_resources)
                used[resource] += worker_need(w, &way->needs[k]) * l->grants;
        }
    }
    for (uint32_t r = 0; r < w->n_resources; r++)
        HQ_ASSERT(w->free[r] == w->total[r] - used[r]);
    free(used);
}

static void check_worker(const struct sched *s, const struct worker *w)
{
    uint32_t tasks = 0, running = 0, blocked = 0;
    size_t active = 0;
    HQ_ASSERT(s->workers.data[w->index] == w && worker_find(s, w->id) == w);
    for (size_t i = 0; i < w->lanes.len; i++) {
        const struct lane *l = w->lanes.data[i];
        check_lane(w, l);
        tasks += l->lists[LANE_UNSTARTED].n_tasks + l->lists[LANE_STARTED].n_tasks;
        running += l->lists[LANE_STARTED].n_tasks;
        blocked += l->blocked;
        active += l->n_tasks > 0;
    }
    HQ_ASSERT(tasks == w->n_tasks && running == w->n_running);
    HQ_ASSERT(active == w->active.len && blocked == w->n_blocked);
    HQ_ASSERT(!w->gang || active == 0);
    HQ_ASSERT((w->idle_since_us != 0) == (active == 0 && !w->gang && !w->reserved));
    check_amounts(w);
}

static void check_class(const struct sched *s, const struct task_class *c)
{
    uint64_t waiting = 0, grants = 0, unstarted = 0, started = 0, retracts = 0;
    HQ_ASSERT(queues_valid(&c->queues));
    QUEUES_FOR_EACH(&c->queues, q)
    waiting += q->ready.n_tasks;
    for (size_t i = 0; i < c->lanes.len; i++) {
        const struct lane *l = c->lanes.data[i];
        HQ_ASSERT(l->class == c && l->class_pos == i);
        grants += l->grants;
        unstarted += l->lists[LANE_UNSTARTED].n_tasks;
        started +=
            l->lists[LANE_STARTED].n_tasks + l->lists[LANE_GHOST_STARTED].n_tasks;
    }
    for (size_t i = 0; i < s->workers.len; i++) {
        const struct worker *w = s->workers.data[i];
        for (uint32_t v = 0; w && v < c->n_ways; v++) {
            const struct lane *l = lane_find(w, c->id, (uint8_t)v);
            retracts += l ? l->retract_count : 0;
        }
    }
    HQ_ASSERT(waiting == c->waiting && grants == c->grants);
    HQ_ASSERT(started == c->started && unstarted == c->unstarted &&
              retracts == c->retracts);
    HQ_ASSERT(!waiting || c->touched || c->order_pos != NO_INDEX);
    if (c->reserved_id) {
        const struct worker *w = worker_find(s, c->reserved_id);
        HQ_ASSERT(w && w->reserved == c && c->waiting);
    }
    uint64_t ahead_us = 0;
    LIST_FOR_EACH((struct list *)(uintptr_t)&c->ahead, node)
    {
        const struct lane *l = CONTAINER_OF(node, struct lane, ahead);
        HQ_ASSERT(l->class == c && l->ahead_us >= ahead_us);
        ahead_us = l->ahead_us;
    }
    LIST_FOR_EACH((struct list *)(uintptr_t)&c->settled, node)
    {
        const struct lane *l = CONTAINER_OF(node, struct lane, ahead);
        const struct run_list *ahead = &l->lists[LANE_UNSTARTED];
        HQ_ASSERT(!ahead->n_tasks || l->retracting ||
                  run_list_first(ahead)->priority <= c->settled_top);
    }
    LIST_FOR_EACH((struct list *)(uintptr_t)&c->hungry, node)
    HQ_ASSERT(CONTAINER_OF(node, struct lane, hungry)->class == c);
}

static void check_room(const struct sched *s)
{
    for (uint32_t word = 0; word < s->room_words; word++)
        for (size_t c = 0; c < s->classes.len; c++) {
            bool any = s->room[(size_t)word * s->room_stride + c] != 0;
            HQ_ASSERT(any == (s->room_sum[(size_t)(word / 64) * s->room_stride + c] >>
                                  word % 64 &
                              1));
        }
}

static void check_gangs(const struct sched *s)
{
    size_t members = 0, held = 0;
    for (size_t i = 0; i < s->gangs.len; i++) {
        const struct gang *g = s->gangs.data[i];
        HQ_ASSERT(g->workers.len > 0 && g->workers.data[0] == g->root);
        members += g->workers.len;
        uint32_t group = worker_find(s, g->root)->group;
        for (size_t k = 0; k < g->workers.len; k++) {
            const struct worker *w = worker_find(s, g->workers.data[k]);
            HQ_ASSERT(w && w->gang == g && w->group == group);
        }
    }
    for (size_t i = 0; i < s->workers.len; i++)
        held += s->workers.data[i] && s->workers.data[i]->gang;
    HQ_ASSERT(members == held);
}

static void check_groups(const struct sched *s)
{
    uint32_t members = 0;
    for (size_t i = 0; i < s->groups.len; i++) {
        const struct group *g = &s->groups.data[i];
        uint32_t idle = 0;
        for (size_t k = 0; k < g->members.len; k++) {
            const struct worker *w = g->members.data[k];
            HQ_ASSERT(w->group == i && w->group_pos == k);
            HQ_ASSERT(k == 0 || g->members.data[k - 1]->id < w->id);
            HQ_ASSERT(w->was_idle == worker_is_idle(w));
            HQ_ASSERT(!w->was_idle || k >= g->idle_from);
            HQ_ASSERT((w->wasted_from_us != 0) == (w->was_idle && w->reserved));
            idle += w->was_idle;
        }
        HQ_ASSERT(idle == g->n_idle);
        members += (uint32_t)g->members.len;
    }
    HQ_ASSERT(members == s->n_workers);
}

void sched_sanity_check(const struct sched *s)
{
    uint64_t waiting = 0;
    uint32_t n_workers = 0, n_reserved = 0;
    const struct worker *last = NULL;
    for (size_t i = 0; i < s->workers.len; i++) {
        const struct worker *w = s->workers.data[i];
        if (!w)
            continue;
        HQ_ASSERT(!last || last->id < w->id);
        check_worker(s, w);
        n_workers++;
        n_reserved += w->reserved != NULL;
        last = w;
    }
    HQ_ASSERT(n_workers == s->n_workers && n_reserved == s->reserved.len);
    for (size_t i = 0; i < s->classes.len; i++) {
        HQ_ASSERT(s->classes.data[i]->id == i);
        check_class(s, s->classes.data[i]);
        waiting += s->classes.data[i]->waiting;
    }
    HQ_ASSERT(waiting == s->waiting);
    check_room(s);
    check_gangs(s);
    check_groups(s);
}
