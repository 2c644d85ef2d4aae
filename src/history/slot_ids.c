#include "history/slot_ids.h"

void slot_ids_release(struct slot_ids *s)
{
    vec_release(&s->runs);
    s->n = 0;
    s->last = 0;
}

static bool add_ranges(struct slot_ids *s, const struct idset *ids)
{
    for (size_t i = 0; i < ids->n_ranges; i++) {
        const struct idrange *r = &ids->ranges[i];
        struct slot_ids_run run = {s->n, r->count, r->first, r->step};
        struct slot_ids_run *last = s->runs.len ? &vec_last(&s->runs) : NULL;
        if (last && last->step == 1 && r->step == 1 &&
            last->first_id + last->count == r->first)
            last->count += r->count;
        else if (!vec_push(&s->runs, run))
            return false;
        s->n += r->count;
    }
    return true;
}

int slot_ids_add(struct slot_ids *s, const struct submit *submit)
{
    if (submit_task_count(submit) > SUBMIT_TASKS_MAX - s->n)
        return ERR_CORRUPT;
    for (size_t i = 0; i < submit->n_groups; i++) {
        struct idset ids = IDSET_INIT;
        int rc = group_ids(submit, &submit->groups[i], &ids);
        if (rc == 0 && !add_ranges(s, &ids))
            rc = ERR_NOMEM;
        idset_release(&ids);
        if (rc != 0)
            return rc;
    }
    return 0;
}

uint32_t slot_ids_at(struct slot_ids *s, uint32_t slot)
{
    const struct slot_ids_run *runs = s->runs.data;
    size_t i = s->last;
    if (slot < runs[i].first_slot || slot - runs[i].first_slot >= runs[i].count) {
        size_t low = 0, high = s->runs.len;
        while (high - low > 1) {
            size_t mid = low + (high - low) / 2;
            if (runs[mid].first_slot <= slot)
                low = mid;
            else
                high = mid;
        }
        i = s->last = low;
    }
    return runs[i].first_id + (slot - runs[i].first_slot) * runs[i].step;
}
