#include "client/job_view.h"

#include <stdlib.h>
#include <string.h>
#include "base/vec.h"

/* Room for one more element; `data` is the address of the element pointer. */
static bool grow(void *data, size_t *cap, size_t n, size_t size)
{
    return n < *cap || vec_grow(data, cap, n, 1, size);
}

/* --- jobs --------------------------------------------------------------- */

static int view_index_groups(struct job_view *v, struct error *err)
{
    const struct job_detail *d = &v->detail;
    size_t n = 0;
    for (size_t i = 0; i < d->n_submits; i++)
        n += d->submits[i].n_groups;
    v->groups = calloc(n + 1, sizeof *v->groups);
    if (!v->groups)
        return error_nomem(err);
    for (size_t i = 0; i < d->n_submits; i++) {
        const struct submit *s = &d->submits[i];
        for (size_t k = 0; k < s->n_groups; k++) {
            v->groups[v->n_groups++] =
                (struct view_group){s, &s->groups[k], v->n_slots};
            v->n_slots += s->groups[k].count;
        }
    }
    return 0;
}

static bool ascending(const struct job_view *v)
{
    uint64_t next = 0;
    for (size_t i = 0; i < v->n_groups; i++) {
        const struct view_group *g = &v->groups[i];
        if (g->group->count == 0)
            continue;
        if (g->group->first_id < next)
            return false;
        next = (uint64_t)group_id_at(g->submit, g->group, g->group->count - 1) + 1;
    }
    return true;
}

struct id_slot {
    uint32_t id, slot;
};

static int compare_ids(const void *a, const void *b)
{
    uint32_t x = ((const struct id_slot *)a)->id, y = ((const struct id_slot *)b)->id;
    return (x > y) - (x < y);
}

static int view_sort_ids(struct job_view *v, struct error *err)
{
    if (ascending(v))
        return 0;
    struct id_slot *all = calloc(v->n_slots, sizeof *all);
    v->by_id = calloc(v->n_slots, sizeof *v->by_id);
    if (!all || !v->by_id) {
        free(all);
        return error_nomem(err);
    }
    uint32_t n = 0;
    for (size_t i = 0; i < v->n_groups; i++)
        for (uint32_t k = 0; k < v->groups[i].group->count; k++, n++)
            all[n] = (struct id_slot){
                group_id_at(v->groups[i].submit, v->groups[i].group, k), n};
    qsort(all, n, sizeof *all, compare_ids);
    for (uint32_t i = 0; i < n; i++)
        v->by_id[i] = all[i].slot;
    free(all);
    return 0;
}

static void view_release(struct job_view *v)
{
    job_detail_release(&v->detail);
    free(v->groups);
    free(v->records);
    free(v->by_id);
    arena_release(&v->arena);
}

static int take_detail(struct job_views *v, struct span body, struct error *err)
{
    struct msg_RSP_JOB_DETAIL m;
    int rc = msg_get_RSP_JOB_DETAIL(body, &m, err);
    if (rc)
        return rc;
    if (!m.found) {
        if (!grow(&v->missing, &v->cap_missing, v->n_missing, sizeof *v->missing))
            return error_nomem(err);
        v->missing[v->n_missing++] = m.job;
        return 0;
    }
    struct job_view view = {.arena = ARENA_INIT};
    rc = job_detail_get(m.detail, &view.detail, err);
    if (rc)
        return rc;
    rc = view_index_groups(&view, err);
    if (rc == 0)
        rc = view_sort_ids(&view, err);
    if (rc == 0 && !grow(&v->items, &v->cap, v->n, sizeof *v->items))
        rc = error_nomem(err);
    if (rc)
        view_release(&view);
    else
        v->items[v->n++] = view;
    return rc;
}

int job_views_fetch(struct client *c, const struct buf *selector, struct job_views *v,
                    struct error *err)
{
    struct msg_REQ_JOB_DETAIL req = {.jobs = span_buf(selector), .submits = true};
    *v = (struct job_views){0};
    msg_put_REQ_JOB_DETAIL(client_batch(c), &req);
    int rc = client_send(c, err);
    while (rc == 0) {
        struct span body;
        rc = client_next(c, MSG_RSP_JOB_DETAIL, &body, err);
        if (rc == 0)
            rc = take_detail(v, body, err);
    }
    if (rc == 1)
        return 0;
    job_views_release(v);
    return rc;
}

void job_views_release(struct job_views *v)
{
    for (size_t i = 0; i < v->n; i++)
        view_release(&v->items[i]);
    free(v->items);
    free(v->missing);
    *v = (struct job_views){0};
}

/* --- tasks -------------------------------------------------------------- */

static int keep_record(struct job_view *v, const struct task_view *t, struct error *err)
{
    if (!grow(&v->records, &v->cap_records, v->n_records, sizeof *v->records))
        return error_nomem(err);
    struct task_view *kept = &v->records[v->n_records];
    *kept = *t;
    if (t->message.n) {
        char *text = arena_strndup(&v->arena, (const char *)t->message.p, t->message.n);
        if (!text)
            return error_nomem(err);
        kept->message.p = (const uint8_t *)text;
    }
    if (t->n_nodes) {
        uint8_t *nodes = arena_array(&v->arena, t->n_nodes, 4);
        if (!nodes)
            return error_nomem(err);
        memcpy(nodes, t->nodes, (size_t)t->n_nodes * 4);
        kept->nodes = nodes;
    }
    v->n_records++;
    return 0;
}

static int take_page(struct job_view *v, struct span page, struct error *err)
{
    struct cursor c = cursor_make(page.p, page.n);
    struct task_view t;
    int rc = 0;
    while (rc == 0 && task_view_get(&c, &t)) {
        bool good = t.slot < v->n_slots && t.record.state < TASK_STATE_COUNT &&
                    (v->n_records == 0 || v->records[v->n_records - 1].slot < t.slot);
        rc = good ? keep_record(v, &t, err)
                  : error_set(err, ERR_CORRUPT, "malformed page of tasks");
    }
    if (rc == 0 && c.failed)
        rc = error_set(err, ERR_CORRUPT, "malformed page of tasks");
    return rc;
}

/* The records of one page from `slot` on; *next: where the next page begins. */
static int load_page(struct client *c, struct job_view *v, uint32_t slot,
                     uint32_t *next, struct error *err)
{
    struct msg_REQ_TASK_PAGE req = {.job = v->detail.info.id, .slot = slot};
    struct msg_RSP_TASK_PAGE page;
    struct span body;
    msg_put_REQ_TASK_PAGE(client_batch(c), &req);
    int rc = client_call(c, MSG_RSP_TASK_PAGE, &body, err);
    if (rc == 0)
        rc = msg_get_RSP_TASK_PAGE(body, &page, err);
    if (rc == 0)
        rc = take_page(v, page.page, err);
    if (rc == 0)
        *next = page.end || page.next_slot <= slot ? v->n_slots
                                                   : MIN(page.next_slot, v->n_slots);
    return rc;
}

int job_view_load_tasks(struct client *c, struct job_view *v, struct error *err)
{
    int rc = 0;
    for (uint32_t slot = 0; slot < v->n_slots && rc == 0;)
        rc = load_page(c, v, slot, &slot, err);
    v->loaded = rc == 0;
    return rc;
}

static const struct view_group *group_of(const struct job_view *v, uint32_t slot)
{
    size_t low = 0, high = v->n_groups;
    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        if (v->groups[mid].first_slot <= slot)
            low = mid;
        else
            high = mid;
    }
    return &v->groups[low];
}

static const struct task_view *record_of(const struct job_view *v, uint32_t slot)
{
    /* Usually there are records of all slots from the first one on. */
    if (v->n_records == 0 || slot < v->records[0].slot)
        return NULL;
    uint32_t place = slot - v->records[0].slot;
    if (place < v->n_records && v->records[place].slot == slot)
        return &v->records[place];
    size_t low = 0, high = v->n_records;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (v->records[mid].slot < slot)
            low = mid + 1;
        else
            high = mid;
    }
    return low < v->n_records && v->records[low].slot == slot ? &v->records[low] : NULL;
}

static struct task_ref ref_of(const struct job_view *v, uint32_t slot)
{
    const struct view_group *g = group_of(v, slot);
    struct task_ref t = {.slot = slot, .index = slot - g->first_slot, .group = g};
    t.id = group_id_at(g->submit, g->group, t.index);
    t.body = &g->submit->bodies[g->group->body];
    t.record = record_of(v, slot);
    t.state = t.record ? (enum task_state)t.record->record.state : TASK_WAITING;
    return t;
}

struct task_ref job_view_task(const struct job_view *v, uint32_t i)
{
    return ref_of(v, v->by_id ? v->by_id[i] : i);
}

int job_view_visit(struct client *c, struct job_view *v, task_visit_fn *fn, void *arg,
                   struct error *err)
{
    int rc = v->by_id && !v->loaded ? job_view_load_tasks(c, v, err) : 0;
    uint32_t end = v->loaded ? v->n_slots : 0;
    for (uint32_t i = 0; i < v->n_slots && rc == 0; i++) {
        if (i == end) {
            v->n_records = 0;
            arena_release(&v->arena);
            rc = load_page(c, v, i, &end, err);
        }
        struct task_ref task = job_view_task(v, i);
        if (rc == 0)
            rc = fn(arg, v, &task, err);
    }
    return rc;
}

bool job_view_find_task(const struct job_view *v, uint32_t id, struct task_ref *t)
{
    uint32_t low = 0, high = v->n_slots;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        *t = job_view_task(v, mid);
        if (t->id == id)
            return true;
        if (t->id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}

/* --- facts of a task ---------------------------------------------------- */

uint64_t task_start_us(const struct task_ref *t)
{
    return t->record && t->state != TASK_WAITING
               ? record_time_get(t->record->record.start)
               : 0;
}

uint64_t task_end_us(const struct task_ref *t)
{
    return t->record && task_state_terminal(t->state)
               ? record_time_get(t->record->record.end)
               : 0;
}

bool task_was_started(const struct task_ref *t)
{
    return t->state != TASK_ABORTED && task_start_us(t) != 0;
}

void task_print_error(const struct task_ref *t, struct buf *out)
{
    if (t->state != TASK_FAILED || !t->record)
        return;
    if (t->record->message.n)
        buf_append(out, t->record->message.p, t->record->message.n);
    else
        task_failure_print(&t->record->record, out);
}

static const char *worker_name(const struct job_view *v, uint32_t id)
{
    for (size_t i = 0; i < v->detail.n_workers; i++)
        if (v->detail.workers[i].id == id)
            return v->detail.workers[i].hostname;
    return "N/A";
}

void task_print_workers(const struct job_view *v, const struct task_ref *t,
                        struct buf *out)
{
    if (!task_was_started(t))
        return;
    const struct task_view *r = t->record;
    if (!r->n_nodes && r->record.worker)
        buf_puts(out, worker_name(v, r->record.worker));
    for (uint32_t i = 0; i < r->n_nodes; i++)
        buf_printf(out, "%s%s", i ? "\n" : "",
                   worker_name(v, get_u32(r->nodes + 4 * i)));
}

int task_paths(const struct job_view *v, const struct task_ref *t,
               const char *server_uid, struct task_paths *paths, struct error *err)
{
    const struct task_group *g = t->group->group;
    const struct group_extra *extra =
        g->extra ? &t->group->submit->extras[g->extra - 1] : NULL;
    const struct path_context ctx = {
        .job = v->detail.info.id,
        .submit_dir = t->group->submit->submit_dir,
        .server_uid = server_uid,
        .task = true,
        .task_id = t->id,
        .instance = t->record ? t->record->record.instance : 0,
        .axes = extra && extra->n_axes ? extra : NULL,
        .axis_index = t->index,
    };
    return task_paths_resolve(t->body, &ctx, paths) ? error_nomem(err) : 0;
}

int job_view_stream(const struct job_view *v, char **path, struct error *err)
{
    const char *found = NULL;
    for (size_t i = 0; i < v->n_groups; i++) {
        const struct submit *sub = v->groups[i].submit;
        const char *stream = sub->bodies[v->groups[i].group->body].stream;
        if (!stream || (found && strcmp(found, stream) == 0))
            continue;
        if (found)
            return error_set(err, ERR_INVALID,
                             "Job %u writes into several logs: '%s', '%s'; name one",
                             v->detail.info.id, found, stream);
        found = stream;
    }
    if (!found)
        return error_set(err, ERR_NOT_FOUND, "Job %u writes into no log",
                         v->detail.info.id);
    *path = strdup(found);
    return *path ? 0 : error_nomem(err);
}
