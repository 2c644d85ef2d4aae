/* AutoAllocator: allocations over time, queues, what one was told, its allocations. */
#include "tui/view.h"

#include <stdio.h>
#include "tui/sheet.h"

static const char *const alloc_words[ALLOC_STATE_COUNT] = {[ALLOC_QUEUED] = "queued",
                                                           [ALLOC_RUNNING] = "running",
                                                           [ALLOC_FINISHED] =
                                                               "finished",
                                                           [ALLOC_FAILED] = "failed"};
static const enum grid_colour alloc_colours[ALLOC_STATE_COUNT] = {
    [ALLOC_RUNNING] = GRID_YELLOW,
    [ALLOC_FINISHED] = GRID_GREEN,
    [ALLOC_FAILED] = GRID_RED};

static uint64_t queues_at(const struct view *v)
{
    size_t n = v->dash->queues.len;
    while (n && v->dash->queues.data[n - 1]->created_us > view_at(v))
        n--;
    return n;
}

/* NULL: none is chosen. */
static const struct dash_queue *chosen_queue(const struct view *v, uint64_t *row)
{
    for (size_t i = 0; v->queues.chosen && i < queues_at(v); i++)
        if (v->dash->queues.data[i]->id == v->queues.id) {
            *row = i;
            return v->dash->queues.data[i];
        }
    return NULL;
}

static uint64_t allocs_at(const struct view *v, const struct dash_queue *q)
{
    size_t n = q->allocs.len;
    while (n && q->allocs.data[n - 1].queued_us > view_at(v))
        n--;
    return n;
}

/* ---- keys ------------------------------------------------------------------------ */

static bool move_alloc(struct view *v, uint32_t key, const struct dash_queue *q)
{
    uint64_t to, row = v->allocs.chosen ? v->allocs.id : v->allocs.top;
    if (!q || !view_move(key, v->allocs.chosen, row, allocs_at(v, q), v->page, &to))
        return false;
    v->allocs.chosen = true;
    v->allocs.id = (uint32_t)to;
    return true;
}

bool view_key_alloc(struct view *v, uint32_t key)
{
    uint64_t row = v->queues.top, to;
    const struct dash_queue *q = chosen_queue(v, &row);
    bool before = v->in_allocs;
    switch (key) {
    case '1':
        v->in_allocs = false;
        return before;
    case '2':
        v->in_allocs = true;
        return !before;
    case KEY_ESC:
        before = v->queues.chosen || v->allocs.chosen;
        if (v->in_allocs && v->allocs.chosen) {
            v->allocs = (struct view_list){.chosen = false};
        } else {
            v->queues.chosen = false;
            v->allocs = (struct view_list){.chosen = false};
        }
        return before;
    default:
        if (v->in_allocs)
            return move_alloc(v, key, q);
        if (!view_move(key, q != NULL, row, queues_at(v), v->page, &to))
            return false;
        v->queues.chosen = true;
        v->queues.id = v->dash->queues.data[to]->id;
        v->allocs = (struct view_list){.chosen = false};
        return true;
    }
}

/* ---- drawing --------------------------------------------------------------------- */

static void draw_chart(struct view *v, struct grid *g, struct rect r,
                       const struct dash_queue *q)
{
    char title[64] = "Allocations over time, all queues";
    if (q)
        (void)snprintf(title, sizeof title, "Allocations over time, queue %u", q->id);
    struct rect in = grid_box(g, r, title, false);
    if (in.w < 12 || in.h < 3)
        return;
    struct dash_axis axis = view_axis(v, g, in);
    uint32_t *out[ALLOC_STATE_COUNT],
        *all = view_numbers(v, axis.n * ALLOC_STATE_COUNT);
    for (size_t s = 0; s < ALLOC_STATE_COUNT; s++)
        out[s] = all + s * axis.n;
    dash_alloc_series(v->dash, q, axis, out);
    const struct chart_line lines[] = {
        {"queued", GRID_BLUE, 'q', out[ALLOC_QUEUED]},
        {"running", GRID_YELLOW, 'r', out[ALLOC_RUNNING]},
        {"finished", GRID_GREEN, 'f', out[ALLOC_FINISHED]},
        {"failed", GRID_RED, 'x', out[ALLOC_FAILED]}};
    struct chart c = {.lines = lines,
                      .n_lines = ARRAY_SIZE(lines),
                      .n = axis.n,
                      .from_us = axis.from_us,
                      .to_us = axis.to_us,
                      .unit = ""};
    chart_draw(g, in, &c);
}

static void pair_words(struct view_pairs *p, const char *label,
                       const struct alloc_words *words)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    for (size_t i = 0; i < words->n; i++)
        buf_printf(&b, "%s%s", i ? " " : "", words->v[i]);
    view_pair(p, label, words->n ? buf_cstr(&b) : "-");
    buf_release(&b);
}

static void draw_params(struct grid *g, struct rect r, const struct dash_queue *q)
{
    char title[64] = "Parameters";
    if (q)
        (void)snprintf(title, sizeof title, "Parameters of queue %u", q->id);
    struct view_pairs p = {.g = g, .in = grid_box(g, r, title, false)};
    p.y = p.in.y;
    p.label_width = 18;
    if (!q) {
        grid_text(g, p.in.x, p.in.y, p.in.w, style_of(GRID_PLAIN, GRID_DIM),
                  "no queue is chosen");
        return;
    }
    const struct alloc_params *a = &q->params;
    view_pair(&p, "Manager", a->manager == MANAGER_PBS ? "PBS" : "Slurm");
    view_pair(&p, "Name", a->name ? a->name : "-");
    view_pair_limit(&p, "Time limit", a->time_limit_ns, "-");
    view_pairf(&p, "Backlog", "%u", a->backlog);
    view_pairf(&p, "Workers per alloc", "%u", a->max_workers_per_alloc);
    if (a->max_worker_count)
        view_pairf(&p, "Max workers", "%u", a->max_worker_count);
    else
        view_pair(&p, "Max workers", "-");
    pair_words(&p, "Additional args", &a->additional_args);
    pair_words(&p, "Worker args", &a->worker_args);
    view_pair_limit(&p, "Idle timeout", a->idle_timeout_ns, "-");
    view_pairf(&p, "Min utilization", "%g", a->min_utilization);
    if (a->worker_start_cmd)
        view_pair(&p, "Start command", a->worker_start_cmd);
    if (a->worker_stop_cmd)
        view_pair(&p, "Stop command", a->worker_stop_cmd);
    if (a->worker_wrap_cmd)
        view_pair(&p, "Wrap command", a->worker_wrap_cmd);
}

struct listing {
    const struct view *v;
    const struct dash_queue *q;
    bool with_day;
};

static void put_time(const struct listing *l, uint64_t us, char out[64])
{
    char time[CHART_TIME_BYTES];
    bool known = us && us <= view_at(l->v);
    (void)snprintf(out, 64, "%s", known ? view_time(l->v, us, l->with_day, time) : "-");
}

static void fill_queue(void *arg, uint64_t number, struct sheet_row *out)
{
    const struct listing *l = arg;
    const struct dash_queue *q = l->v->dash->queues.data[number];
    (void)snprintf(out->text[0], 64, "%u", q->id);
    (void)snprintf(out->text[1], 64, "%llu", (unsigned long long)allocs_at(l->v, q));
    put_time(l, q->created_us, out->text[2]);
    put_time(l, q->removed_us, out->text[3]);
}

static void draw_queues(struct view *v, struct grid *g, struct rect r)
{
    struct listing l = {.v = v, .with_day = r.w >= 52};
    int time = l.with_day ? 14 : 13;
    const struct sheet_column columns[] = {{"ID", 4, true},
                                           {"#Allocations", 12, true},
                                           {"Creation Time", time, false},
                                           {"Removal Time", 0, false}};
    struct sheet s = {.title = "Queues",
                      .empty = "no queues",
                      .columns = columns,
                      .n_columns = ARRAY_SIZE(columns),
                      .focused = !v->in_allocs,
                      .total = queues_at(v),
                      .top = v->queues.top};
    s.has_selected = chosen_queue(v, &s.selected) != NULL;
    sheet_scroll(&s, r);
    v->queues.top = s.top;
    if (!v->in_allocs)
        v->page = (int)sheet_fit(r);
    sheet_draw(g, r, &s, fill_queue, &l);
}

static void fill_alloc(void *arg, uint64_t number, struct sheet_row *out)
{
    const struct listing *l = arg;
    const struct dash_alloc *a = &l->q->allocs.data[number];
    enum alloc_state state = dash_alloc_state(a, view_at(l->v));
    out->long_text[0] = a->id;
    if (state < ALLOC_STATE_COUNT) {
        (void)snprintf(out->text[1], 64, "%s", alloc_words[state]);
        out->colour[1] = alloc_colours[state];
    }
    (void)snprintf(out->text[2], 64, "%u", a->workers);
    put_time(l, a->queued_us, out->text[3]);
    put_time(l, a->started_us, out->text[4]);
    put_time(l, a->ended_us, out->text[5]);
}

static void draw_allocs(struct view *v, struct grid *g, struct rect r,
                        const struct dash_queue *q)
{
    struct listing l = {.v = v, .q = q, .with_day = r.w >= 86};
    int time = l.with_day ? 14 : 11;
    const struct sheet_column columns[] = {
        {"Allocation ID", 0, false}, {"Status", 8, false},
        {"#Workers", 8, true},       {"Queued Time", time, false},
        {"Start Time", time, false}, {"Finish Time", time, false}};
    struct sheet s = {.title = "Allocations",
                      .empty = q ? "no allocations" : "choose a queue",
                      .columns = columns,
                      .n_columns = ARRAY_SIZE(columns),
                      .focused = v->in_allocs,
                      .total = q ? allocs_at(v, q) : 0,
                      .top = v->allocs.top,
                      .has_selected = v->allocs.chosen,
                      .selected = v->allocs.id};
    sheet_scroll(&s, r);
    v->allocs.top = s.top;
    if (v->in_allocs)
        v->page = (int)sheet_fit(r);
    sheet_draw(g, r, &s, fill_alloc, &l);
}

void view_draw_alloc(struct view *v, struct grid *g, struct rect r)
{
    uint64_t row = 0;
    const struct dash_queue *q = chosen_queue(v, &row);
    if (r.h < 14 || r.w < 60) {
        if (v->in_allocs)
            draw_allocs(v, g, r, q);
        else
            draw_queues(v, g, r);
        return;
    }
    int upper = MAX(r.h / 2, 14), left = MAX(r.w * 11 / 20, 46),
        chart = MAX(upper / 2, 8);
    if (r.h - upper < 5) /* too low for a list below */
        upper = r.h;
    struct rect queues = {r.x, r.y + chart, left, upper - chart};
    if (upper == r.h && v->in_allocs)
        draw_allocs(v, g, queues, q);
    else
        draw_queues(v, g, queues);
    draw_chart(v, g, (struct rect){r.x, r.y, left, chart}, q);
    draw_params(g, (struct rect){r.x + left, r.y, r.w - left, upper}, q);
    if (upper < r.h)
        draw_allocs(v, g, (struct rect){r.x, r.y + upper, r.w, r.h - upper}, q);
}
