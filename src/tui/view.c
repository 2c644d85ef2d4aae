#include "tui/view.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/duration.h"

#define DAY_CHARS 5 /* of "08-03 10:00:00" */

void view_init(struct view *v, const struct dash *d, bool stream, bool warning)
{
    *v = (struct view){.dash = d, .warning = warning};
    timeframe_init(&v->window, stream, d->last_us);
}

void view_release(struct view *v)
{
    dash_rows_release(&v->rows);
    vec_release(&v->numbers);
}

uint64_t view_latest(const struct view *v, uint64_t now_us)
{
    /* The clock of the server may be ahead of ours. */
    return v->window.stream ? MAX(now_us, v->dash->last_us) : v->dash->last_us;
}

uint32_t *view_numbers(struct view *v, size_t n)
{
    vec_clear(&v->numbers);
    if (!vec_reserve(&v->numbers, n + 1))
        abort();
    memset(v->numbers.data, 0, n * sizeof *v->numbers.data);
    return v->numbers.data;
}

struct dash_axis view_axis(const struct view *v, const struct grid *g, struct rect r)
{
    return (struct dash_axis){timeframe_from(&v->window), v->window.end_us,
                              chart_points(g, r)};
}

/* ---- keys ------------------------------------------------------------------------ */

bool view_move(uint32_t key, bool chosen, uint64_t row, uint64_t total, int page,
               uint64_t *to)
{
    uint64_t far = (uint64_t)MAX(page - 1, 1);
    if (total == 0)
        return false;
    row = MIN(row, total - 1);
    switch (key) {
    case KEY_GO_UP:
        *to = chosen ? row - MIN(row, 1u) : row;
        return true;
    case KEY_GO_DOWN:
        *to = chosen ? MIN(row + 1, total - 1) : row;
        return true;
    case KEY_GO_PAGE_UP:
        *to = row - MIN(row, far);
        return true;
    case KEY_GO_PAGE_DOWN:
        *to = MIN(row + far, total - 1);
        return true;
    case KEY_GO_FIRST:
        *to = 0;
        return true;
    case KEY_GO_LAST:
        *to = total - 1;
        return true;
    default:
        return false;
    }
}

static bool go(struct view *v, enum view_screen screen)
{
    if (v->screen == screen)
        return false;
    v->screen = screen;
    return true;
}

static bool screen_key(struct view *v, uint32_t key)
{
    switch (v->screen) {
    case SCREEN_JOBS:
        return view_key_jobs(v, key);
    case SCREEN_ALLOC:
        return view_key_alloc(v, key);
    case SCREEN_WORKERS:
        return view_key_workers(v, key);
    case SCREEN_WORKER:
        return view_key_worker(v, key);
    }
    return false;
}

enum view_answer view_key(struct view *v, uint32_t key, uint64_t now_us)
{
    uint64_t latest = view_latest(v, now_us);
    bool changed = false;
    timeframe_follow(&v->window, latest);
    if (key == 'q')
        return VIEW_QUIT;
    if (v->warning) {
        v->warning = false;
        return VIEW_CHANGED;
    }
    switch (key) {
    case 'j':
        changed = go(v, SCREEN_JOBS);
        break;
    case 'a':
        changed = go(v, SCREEN_ALLOC);
        break;
    case 'w':
        changed = go(v, SCREEN_WORKERS);
        break;
    case 'o':
    case 'p':
    case 'k':
    case 'l':
    case 'r':
        changed = timeframe_key(&v->window, (char)key, latest);
        break;
    default:
        changed = screen_key(v, key);
    }
    return changed ? VIEW_CHANGED : VIEW_SAME;
}

/* ---- pairs ----------------------------------------------------------------------- */

void view_pair(struct view_pairs *p, const char *label, const char *text)
{
    struct grid *g = p->g;
    int width = p->in.w - p->label_width, end = p->in.y + p->in.h;
    if (p->y >= end)
        return;
    grid_text(g, p->in.x, p->y, MIN(p->label_width - 1, p->in.w),
              style_of(GRID_PLAIN, GRID_BOLD), label);
    grid_text(g, p->in.x + p->label_width, p->y, width, style_plain(), text);
    p->y++;
}

void view_pairf(struct view_pairs *p, const char *label, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    view_pair(p, label, text);
}

void view_pair_time(struct view_pairs *p, const char *label, uint64_t us)
{
    struct buf b = BUF_INIT(64);
    if (us)
        time_print_local(us, &b);
    else
        buf_putc(&b, '-');
    view_pair(p, label, buf_cstr(&b));
    buf_release(&b);
}

void view_pair_limit(struct view_pairs *p, const char *label, uint64_t ns,
                     const char *none)
{
    struct buf b = BUF_INIT(256);
    if (ns)
        duration_print(ns == DURATION_ZERO_NS ? 0 : ns, &b);
    else
        buf_puts(&b, none);
    view_pair(p, label, buf_cstr(&b));
    buf_release(&b);
}

const char *view_time(const struct view *v, uint64_t us, bool with_day,
                      char out[CHART_TIME_BYTES])
{
    char day[CHART_TIME_BYTES], end[CHART_TIME_BYTES];
    (void)chart_time(us, true, day);
    (void)chart_time(view_at(v), true, end);
    (void)chart_time(us, with_day, out);
    if (!with_day && strncmp(day, end, DAY_CHARS) != 0)
        (void)snprintf(out, CHART_TIME_BYTES, "%.*s", DAY_CHARS, day);
    return out;
}

/* ---- the frame ------------------------------------------------------------------- */

static void draw_head(const struct view *v, struct grid *g)
{
    static const char *const tabs[] = {"Jobs", "AutoAllocator", "Workers"};
    struct buf range = BUF_INIT(256);
    const char *mode = v->window.stream ? "[stream]" : "[replay]";
    size_t active = v->screen == SCREEN_WORKER ? SCREEN_WORKERS : v->screen;
    int x = 1;
    for (size_t i = 0; i < ARRAY_SIZE(tabs); i++) {
        struct grid_style style =
            style_of(GRID_PLAIN, i == active ? GRID_BOLD | GRID_REVERSE : 0);
        grid_char(g, x++, 0, ' ', style);
        x += grid_text(g, x, 0, g->w - x, style, tabs[i]);
        grid_char(g, x, 0, ' ', style);
        x += 2;
    }
    grid_text(g, MAX(g->w - 9, x), 0, 8, style_of(GRID_CYAN, GRID_BOLD), mode);
    if (g->h < 3)
        return;
    timeframe_print(&v->window, &range);
    if (v->window.live)
        buf_puts(&range, " live");
    grid_text(g, 2, 1, g->w - 2, style_of(GRID_PLAIN, GRID_DIM), buf_cstr(&range));
    buf_release(&range);
}

static void draw_hints(const struct view *v, struct grid *g)
{
    static const char always[] = " q quit  j/a/w screens  o/p time  k/l zoom";
    int y = g->h - 1;
    if (g->h < 4)
        return;
    int x = grid_text(g, 0, y, g->w, style_of(GRID_PLAIN, GRID_DIM), always);
    if (v->window.stream)
        x += grid_text(g, x, y, g->w - x, style_of(GRID_PLAIN, GRID_DIM), "  r live");
    grid_printf(g, x, y, g->w - x, style_of(GRID_PLAIN, 0), "  %s", view_hints(v));
}

const char *view_hints(const struct view *v)
{
    switch (v->screen) {
    case SCREEN_JOBS:
        return v->in_tasks ? "1 jobs  i worker" : "2 tasks";
    case SCREEN_ALLOC:
        return v->in_allocs ? "1 queues  Esc clear" : "2 allocs  Esc clear";
    case SCREEN_WORKERS:
        return "i details";
    case SCREEN_WORKER:
        return "c CPUs  Backspace back";
    }
    return "";
}

static void draw_warning(struct grid *g)
{
    static const char *const lines[] = {
        "The server keeps no journal. The",
        "past was reconstructed from what it",
        "still knows: earlier runs of tasks",
        "and allocations are missing.",
        "",
        "Press any key",
    };
    int w = 40, h = (int)ARRAY_SIZE(lines) + 2;
    struct rect r = {MAX((g->w - w) / 2, 0), MAX((g->h - h) / 2, 0), MIN(w, g->w),
                     MIN(h, g->h)};
    grid_fill(g, r, style_plain());
    struct rect in = grid_box(g, r, "Warning", true);
    for (int i = 0; i < MIN((int)ARRAY_SIZE(lines), in.h); i++)
        grid_text(g, in.x + 1, in.y + i, in.w - 1, style_of(GRID_YELLOW, 0), lines[i]);
}

void view_draw(struct view *v, struct grid *g, uint64_t now_us)
{
    int head = g->h < 3 ? 1 : 2, foot = g->h < 4 ? 0 : 1;
    struct rect body = {0, head, g->w, MAX(g->h - head - foot, 0)};
    timeframe_follow(&v->window, view_latest(v, now_us));
    grid_clear(g);
    draw_head(v, g);
    switch (v->screen) {
    case SCREEN_JOBS:
        view_draw_jobs(v, g, body);
        break;
    case SCREEN_ALLOC:
        view_draw_alloc(v, g, body);
        break;
    case SCREEN_WORKERS:
        view_draw_workers(v, g, body);
        break;
    case SCREEN_WORKER:
        view_draw_worker(v, g, body);
        break;
    }
    draw_hints(v, g);
    if (v->warning)
        draw_warning(g);
}
