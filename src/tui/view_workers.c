/* Workers: how many are connected over time, and the list of them. */
#include "tui/view.h"

#include <stdio.h>
#include "tui/chart.h"
#include "tui/sheet.h"

/*
 * Indices of the workers that there were, as the list has them: those that are online
 * first, then the others, the latest on top; behind them the running tasks of each
 * worker of the model. *n receives how many are listed.
 */
static const uint32_t *list_workers(struct view *v, uint64_t *n)
{
    const struct dash *d = v->dash;
    size_t all = d->workers.len;
    uint32_t *list = view_numbers(v, 2 * all);
    *n = 0;
    for (size_t i = 0; i < all; i++)
        if (dash_connected(d->workers.data[i], view_at(v)))
            list[(*n)++] = (uint32_t)i;
    for (size_t i = all; i-- > 0;)
        if (d->workers.data[i]->connected_us <= view_at(v) &&
            !dash_connected(d->workers.data[i], view_at(v)))
            list[(*n)++] = (uint32_t)i;
    return list;
}

static bool find_row(const struct view *v, const uint32_t *list, uint64_t n,
                     uint64_t *row)
{
    for (uint64_t i = 0; v->workers.chosen && i < n; i++)
        if (v->dash->workers.data[list[i]]->id == v->workers.id) {
            *row = i;
            return true;
        }
    return false;
}

bool view_key_workers(struct view *v, uint32_t key)
{
    uint64_t n, to, row = v->workers.top;
    const uint32_t *list = list_workers(v, &n);
    bool chosen = find_row(v, list, n, &row);
    if (key == 'i') {
        if (n == 0)
            return false;
        /* Without a choice it is the first one on the screen. */
        v->worker =
            chosen ? v->workers.id : v->dash->workers.data[list[MIN(row, n - 1)]]->id;
        v->from = SCREEN_WORKERS;
        v->on_worker = (struct view_tasks){.page = 0};
        v->screen = SCREEN_WORKER;
        return true;
    }
    if (!view_move(key, chosen, row, n, v->page, &to))
        return false;
    v->workers.chosen = true;
    v->workers.id = v->dash->workers.data[list[to]]->id;
    return true;
}

static void draw_chart(struct view *v, struct grid *g, struct rect r)
{
    struct rect in = grid_box(g, r, "Connected workers", false);
    if (in.w < 12 || in.h < 3)
        return;
    struct dash_axis axis = view_axis(v, g, in);
    uint32_t *out = view_numbers(v, axis.n);
    dash_worker_series(v->dash, axis, out);
    const struct chart_line line = {"workers", GRID_GREEN, '*', out};
    struct chart c = {.lines = &line,
                      .n_lines = 1,
                      .n = axis.n,
                      .from_us = axis.from_us,
                      .to_us = axis.to_us,
                      .unit = ""};
    chart_draw(g, in, &c);
}

struct listing {
    const struct view *v;
    const uint32_t *list, *running;
};

static const char *status_of(const struct dash_worker *w, uint64_t at_us)
{
    if (dash_connected(w, at_us))
        return "online";
    switch (w->end) {
    case WORKER_STOPPED:
        return "offline: stopped";
    case WORKER_IDLE_TIMEOUT:
        return "offline: timeout";
    case WORKER_TIME_LIMIT:
        return "offline: time-limit";
    case WORKER_CONNECTION_LOST:
    case WORKER_HEARTBEAT_LOST:
    case WORKER_RUNNING:
    case WORKER_END_COUNT:
        break;
    }
    return "offline: lost";
}

static void fill_row(void *arg, uint64_t number, struct sheet_row *out)
{
    const struct listing *l = arg;
    uint64_t at = view_at(l->v);
    const struct dash_worker *w = l->v->dash->workers.data[l->list[number]];
    bool online = dash_connected(w, at);
    const struct dash_sample *s = online ? dash_sample(w, at, NULL) : NULL;
    (void)snprintf(out->text[0], 64, "%u", w->id);
    out->long_text[1] = w->config.hostname;
    out->colour[2] = online                     ? GRID_GREEN
                     : w->end == WORKER_STOPPED ? GRID_PLAIN
                                                : GRID_RED;
    (void)snprintf(out->text[2], 64, "%s", status_of(w, at));
    (void)snprintf(out->text[3], 64, "%u", l->running[w->index]);
    if (s)
        (void)snprintf(out->text[4], 64, "%u%%", (s->cpu + 50u) / 100);
    if (s && s->memory_total)
        (void)snprintf(out->text[5], 64, "%.0f%%",
                       100.0 * (double)(s->memory_total - s->memory_free) /
                           (double)s->memory_total);
}

void view_draw_workers(struct view *v, struct grid *g, struct rect r)
{
    if (r.h >= 14 && r.w >= 40) {
        int upper = MAX(r.h / 3, 7);
        draw_chart(v, g, (struct rect){r.x, r.y, r.w, upper});
        r.y += upper;
        r.h -= upper;
    }
    static const struct sheet_column columns[] = {
        {"ID", 6, true},       {"Hostname", 0, false},
        {"Status", 19, false}, {"Running tasks", 13, true},
        {"CPU util", 8, true}, {"Mem util", 8, true}};
    struct sheet s = {.title = "Workers",
                      .empty = "no workers",
                      .columns = columns,
                      .n_columns = ARRAY_SIZE(columns),
                      .focused = true,
                      .top = v->workers.top};
    const uint32_t *list = list_workers(v, &s.total);
    uint32_t *running = v->numbers.data + v->dash->workers.len;
    dash_running(v->dash, view_at(v), running);
    struct listing l = {v, list, running};
    s.has_selected = find_row(v, list, s.total, &s.selected);
    sheet_scroll(&s, r);
    v->workers.top = s.top;
    v->page = (int)sheet_fit(r);
    sheet_draw(g, r, &s, fill_row, &l);
}
