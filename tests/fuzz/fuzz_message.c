/*
 * Every decoder of messages and of what they carry. The first byte of the input chooses
 * one. What a decoder accepts is used as the programs use it, and encoded again: those
 * bytes must decode to the same.
 */
#include <stdlib.h>
#include <string.h>
#include "model/event.h"
#include "model/paths.h"
#include "wire/lists.h"
#include "wire/messages.h"
#include "wire/views.h"

#define WALK_MAX 2000u /* tasks looked at of one group */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct span span_of(const struct buf *b)
{
    return (struct span){b->data, b->len};
}

static bool same_bytes(const struct buf *a, const struct buf *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

/* ---- submits --------------------------------------------------------------------- */

static void walk_extra(const struct group_extra *e, const struct task_group *g)
{
    char number[AXIS_NUMBER_SIZE];
    size_t n = 0;
    for (uint32_t i = 0; i < g->count && i < WALK_MAX; i++) {
        if (e->has_entries) {
            struct span entry = group_entry(e, i);
            for (size_t k = 0; k < entry.n; k++)
                n += entry.p[k];
        }
        for (size_t a = 0; a < e->n_axes; a++) {
            size_t v = axis_value_index(e, a, i);
            HQ_ASSERT(v < e->axes[a].n_values);
            n += strlen(axis_value(&e->axes[a], v, number));
        }
    }
    HQ_ASSERT(n != SIZE_MAX);
}

static void walk_group(const struct submit *s, const struct task_group *g)
{
    size_t n_words;
    char **words = submit_argv(s, g->argv, &n_words);
    HQ_ASSERT(words && words[n_words] == NULL);
    const struct path_context ctx = {.job = 1,
                                     .submit_dir = s->submit_dir,
                                     .server_uid = "uid",
                                     .task = true,
                                     .task_id = 1,
                                     .axes =
                                         g->extra ? &s->extras[g->extra - 1] : NULL};
    struct buf text = BUF_INIT(1 << 16);
    for (size_t i = 0; g->count && i < n_words; i++)
        placeholders_expand(words[i], &ctx, NULL, true, &text);
    buf_release(&text);
    free(words);
    const char *name = submit_text(s, g->name);
    HQ_ASSERT(!name || strlen(name) < s->text.len);
    HQ_ASSERT(g->body < s->n_bodies && (uint64_t)g->needs + g->n_needs <= s->n_needs);
    for (uint32_t i = 0; i < g->count && i < WALK_MAX; i++)
        (void)group_index_of(s, g, group_id_at(s, g, i));
    if (g->extra)
        walk_extra(&s->extras[g->extra - 1], g);
    if (g->count) {
        struct task_paths paths;
        HQ_ASSERT(task_paths_resolve(&s->bodies[g->body], &ctx, &paths) == 0);
        task_paths_release(&paths);
    }
}

static void fuzz_submit(struct span in)
{
    struct cursor c = cursor_make(in.p, in.n);
    struct submit s, again;
    struct error err = ERROR_INIT;
    if (submit_decode(&s, &c, &err) != 0) {
        HQ_ASSERT(err.text[0] && s.n_groups == 0 && !s.groups && !s.text.data);
        return;
    }
    for (size_t i = 0; i < s.n_groups; i++)
        walk_group(&s, &s.groups[i]);
    struct buf one = BUF_INIT(BUF_MAX_DEFAULT), two = BUF_INIT(BUF_MAX_DEFAULT);
    submit_encode(&s, &one);
    c = cursor_make(one.data, one.len);
    HQ_ASSERT(submit_decode(&again, &c, &err) == 0 && cursor_left(&c) == 0);
    submit_encode(&again, &two);
    HQ_ASSERT(same_bytes(&one, &two));
    submit_release(&again);
    submit_release(&s);
    buf_release(&one);
    buf_release(&two);
}

static void fuzz_body(struct span in)
{
    struct cursor c = cursor_make(in.p, in.n);
    struct task_body b, copy;
    if (task_body_decode(&b, &c) != 0)
        return;
    struct buf one = BUF_INIT(BUF_MAX_DEFAULT), two = BUF_INIT(BUF_MAX_DEFAULT);
    HQ_ASSERT(task_body_copy(&copy, &b) == 0);
    task_body_encode(&b, &one);
    task_body_encode(&copy, &two);
    HQ_ASSERT(same_bytes(&one, &two));
    task_body_release(&b);
    task_body_release(&copy);
    buf_release(&one);
    buf_release(&two);
}

static void fuzz_extra(struct span in)
{
    struct cursor c = cursor_make(in.p, in.n);
    struct group_extra e;
    uint32_t count = cursor_u8(&c);
    if (group_extra_decode(&e, count, &c) != 0)
        return;
    struct task_group g = {.count = count};
    walk_extra(&e, &g);
    group_extra_release(&e);
}

/* ---- workers --------------------------------------------------------------------- */

static void fuzz_worker_config(struct span in)
{
    struct cursor c = cursor_make(in.p, in.n);
    struct worker_config w, copy;
    if (worker_config_decode(&w, &c) != 0)
        return;
    struct buf one = BUF_INIT(BUF_MAX_DEFAULT), two = BUF_INIT(BUF_MAX_DEFAULT);
    HQ_ASSERT(worker_config_copy(&copy, &w) == 0);
    worker_config_encode(&w, &one);
    worker_config_encode(&copy, &two);
    HQ_ASSERT(same_bytes(&one, &two));
    for (size_t i = 0; i < w.pools.n_pools; i++)
        pool_print_summary(&w.pools, i, &two);
    worker_config_release(&w);
    worker_config_release(&copy);
    buf_release(&one);
    buf_release(&two);
}

static void fuzz_worker_info(struct span in)
{
    struct worker_info i, again;
    if (worker_info_get(in, &i) != 0)
        return;
    struct buf one = BUF_INIT(BUF_MAX_DEFAULT), two = BUF_INIT(BUF_MAX_DEFAULT);
    worker_info_put(&one, &i);
    HQ_ASSERT(worker_info_get(span_of(&one), &again) == 0);
    worker_info_put(&two, &again);
    HQ_ASSERT(same_bytes(&one, &two));
    worker_info_release(&i);
    worker_info_release(&again);
    buf_release(&one);
    buf_release(&two);
}

static void fuzz_hw_state(struct span in)
{
    struct cursor c = cursor_make(in.p, in.n);
    struct hw_state s, again;
    if (hw_state_decode(&s, &c) != 0)
        return;
    struct buf one = BUF_INIT(BUF_MAX_DEFAULT), two = BUF_INIT(BUF_MAX_DEFAULT);
    hw_state_encode(&s, &one);
    c = cursor_make(one.data, one.len);
    HQ_ASSERT(hw_state_decode(&again, &c) == 0 && c.p == c.end);
    hw_state_encode(&again, &two);
    HQ_ASSERT(same_bytes(&one, &two));
    hw_state_release(&s);
    hw_state_release(&again);
    buf_release(&one);
    buf_release(&two);
}

/* ---- events ---------------------------------------------------------------------- */

static size_t read_ends(struct cursor *c, struct buf *rewritten, uint64_t *tasks)
{
    struct task_end_reader r;
    struct task_end_writer w;
    struct task_end e;
    uint32_t count;
    size_t n = 0;
    *tasks = 0;
    task_end_reader_init(&r, c);
    task_end_writer_init(&w, rewritten);
    while (task_end_read(&r, &e, &count)) {
        HQ_ASSERT(count >= 1 && e.slot <= UINT32_MAX - (count - 1));
        HQ_ASSERT(task_state_terminal((enum task_state)e.state));
        task_end_write_run(&w, &e, count);
        *tasks += count;
        n++;
    }
    task_end_writer_finish(&w);
    return n;
}

static void fuzz_ends(struct span in)
{
    struct cursor c = cursor_make(in.p, in.n);
    struct buf one = BUF_INIT(BUF_MAX_DEFAULT), two = BUF_INIT(BUF_MAX_DEFAULT);
    uint64_t tasks, tasks_again;
    size_t n = read_ends(&c, &one, &tasks);
    if (!c.failed) {
        c = cursor_make(one.data, one.len);
        size_t n_again = read_ends(&c, &two, &tasks_again);
        HQ_ASSERT(!c.failed && n_again <= n && tasks == tasks_again);
        HQ_ASSERT(same_bytes(&one, &two));
    }
    buf_release(&one);
    buf_release(&two);
}

static void fuzz_starts(struct span in)
{
    struct cursor c = cursor_make(in.p, in.n);
    struct buf scratch = BUF_INIT(BUF_MAX_DEFAULT);
    struct task_start s;
    struct task_restart r;
    uint64_t sum = 0;
    while (task_start_decode(&s, &c, &scratch))
        for (uint32_t i = 0; i < s.n_nodes; i++)
            sum += s.nodes[i];
    c = cursor_make(in.p, in.n);
    while (task_restart_decode(&r, &c))
        sum += r.slot;
    struct task_sent sent;
    c = cursor_make(in.p, in.n);
    while (task_sent_decode(&sent, &c))
        HQ_ASSERT(sent.count >= 1);
    HQ_ASSERT(sum != UINT64_MAX);
    buf_release(&scratch);
}

static void fuzz_event_head(struct span in)
{
    struct cursor c = cursor_make(in.p, in.n);
    struct event_head h;
    if (event_read_head(&c, &h) == 0)
        HQ_ASSERT(h.type > 0 && h.type < EVENT_TYPE_COUNT);
}

/* ---- lists ----------------------------------------------------------------------- */

static void fuzz_runs(struct span in)
{
    struct assigned_run a;
    struct slot_run s;
    struct slot_range r;
    struct cursor c = cursor_make(in.p, in.n);
    while (assigned_run_get(&c, &a)) {
        HQ_ASSERT(a.count >= 1 && a.slot <= UINT32_MAX - (a.count - 1));
        for (uint32_t i = 0; a.entries && i < a.count && !c.failed; i++)
            (void)cursor_bytes(&c);
    }
    c = cursor_make(in.p, in.n);
    while (slot_run_get(&c, &s))
        HQ_ASSERT(s.count >= 1 && s.slot <= UINT32_MAX - (s.count - 1));
    c = cursor_make(in.p, in.n);
    while (slot_range_get(&c, &r))
        HQ_ASSERT(r.count >= 1 && r.slot <= UINT32_MAX - (r.count - 1));
}

static void fuzz_lists(struct span in)
{
    struct held_task t;
    struct op_result o;
    struct selector s;
    struct cursor c = cursor_make(in.p, in.n);
    while (held_task_get(&c, &t))
        ;
    c = cursor_make(in.p, in.n);
    while (op_result_get(&c, &o))
        HQ_ASSERT(o.outcome <= OP_FAILED);
    if (selector_get(in, &s) == 0) {
        struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
        struct selector again;
        selector_put(&b, &s);
        HQ_ASSERT(selector_get(span_of(&b), &again) == 0 && again.kind == s.kind &&
                  idset_count(&again.ids) == idset_count(&s.ids));
        selector_release(&again);
        selector_release(&s);
        buf_release(&b);
    }
}

/* ---- views ----------------------------------------------------------------------- */

static void fuzz_server_info(struct span in)
{
    struct server_info i;
    if (server_info_get(in, &i) == 0) {
        HQ_ASSERT(i.uid && i.client_host && i.worker_host && i.version);
        server_info_release(&i);
    }
}

static void fuzz_jobs(struct span in)
{
    struct cursor c = cursor_make(in.p, in.n);
    struct job_info i;
    struct job_detail d;
    struct error err = ERROR_INIT;
    while (job_info_get(&c, &i)) {
        HQ_ASSERT(i.name);
        job_info_release(&i);
    }
    if (job_detail_get(in, &d, &err) == 0)
        job_detail_release(&d);
}

static void fuzz_tasks(struct span in)
{
    struct cursor c = cursor_make(in.p, in.n);
    struct task_view v;
    uint32_t sum = 0;
    while (task_view_get(&c, &v)) {
        HQ_ASSERT(v.record.state < TASK_STATE_COUNT);
        for (uint32_t i = 0; i < v.n_nodes; i++)
            sum += get_u32(v.nodes + 4 * (size_t)i);
    }
    HQ_ASSERT(c.failed || c.p == c.end || sum);
}

/* ---- messages -------------------------------------------------------------------- */

static void fuzz_batch(struct span in)
{
    struct cursor c = cursor_make(in.p, in.n);
    struct buf out = BUF_INIT(1 << 20);
    uint8_t type;
    struct span body;
    while (msg_next(&c, &type, &body) == 0) {
        struct buf one = BUF_INIT(BUF_MAX_DEFAULT), two = BUF_INIT(BUF_MAX_DEFAULT);
        msg_print(type, body, &out);
        switch (type) {
#define MESSAGE(name, number, fields)                                              \
    case number: {                                                                 \
        struct msg_##name m, again;                                                \
        struct cursor mc;                                                          \
        struct span mb;                                                            \
        uint8_t mt;                                                                \
        if (msg_get_##name(body, &m, NULL) != 0)                                   \
            break;                                                                 \
        msg_put_##name(&one, &m);                                                  \
        mc = cursor_make(one.data, one.len);                                       \
        HQ_ASSERT(msg_next(&mc, &mt, &mb) == 0 && mt == number && mc.p == mc.end); \
        HQ_ASSERT(msg_get_##name(mb, &again, NULL) == 0);                          \
        msg_put_##name(&two, &again);                                              \
        HQ_ASSERT(same_bytes(&one, &two));                                         \
        break;                                                                     \
    }
#include "wire/messages.def"
#undef MESSAGE
        default:
            HQ_ASSERT(strcmp(msg_name(type), "unknown") == 0);
        }
        buf_release(&one);
        buf_release(&two);
    }
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const decoders[])(struct span) = {
        fuzz_batch,         fuzz_submit,      fuzz_body,    fuzz_extra,
        fuzz_worker_config, fuzz_worker_info, fuzz_ends,    fuzz_starts,
        fuzz_event_head,    fuzz_runs,        fuzz_lists,   fuzz_server_info,
        fuzz_jobs,          fuzz_tasks,       fuzz_hw_state};
    if (size == 0)
        return 0;
    decoders[data[0] % ARRAY_SIZE(decoders)]((struct span){data + 1, size - 1});
    return 0;
}
