/* Worker details: its load over time, its CPUs, its tasks, what it told about itself.
 */
#include "tui/view.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/text.h"
#include "tui/chart.h"

/* Which CPUs are shown. */
enum view_cpus { CPUS_MANAGED, CPUS_ASSIGNED, CPUS_ALL, CPUS_MODES };
enum cpu_mark { CPU_OTHER, CPU_MANAGED, CPU_ASSIGNED };

static struct dash_filter tasks_on(const struct view *v)
{
    return (struct dash_filter){NULL, v->worker, view_at(v)};
}

/* ---- CPUs ------------------------------------------------------------------------ */

/* A label that is the number of a CPU of the node; n: it is not. */
static size_t cpu_of(const char *label, size_t len, size_t n)
{
    char text[16];
    uint32_t cpu;
    if (len >= sizeof text)
        return n;
    memcpy(text, label, len);
    text[len] = 0;
    return text_to_u32(text, &cpu) && cpu < n ? cpu : n;
}

static void mark_managed(const struct dash_worker *w, uint32_t *marks, size_t n)
{
    const struct pool *p = pool_set_find(&w->config.pools, "cpus");
    for (size_t i = 0; p && i < pool_index_count(p); i++) {
        char scratch[16];
        const char *label = pool_label(p, (uint32_t)i, scratch);
        size_t cpu = cpu_of(label, strlen(label), n);
        if (cpu < n)
            marks[cpu] = CPU_MANAGED;
    }
}

struct marking {
    const struct dash *d;
    uint32_t *marks;
    size_t n;
};

static void mark_assigned(void *arg, const struct dash_seen *seen)
{
    struct marking *m = arg;
    const char *labels = dash_cpus(m->d, seen->placement);
    while (labels && *labels) {
        size_t len = strcspn(labels, ",");
        size_t cpu = cpu_of(labels, len, m->n);
        if (cpu < m->n)
            m->marks[cpu] = CPU_ASSIGNED;
        labels += len + (labels[len] != 0);
    }
}

static bool is_shown(unsigned mode, uint32_t mark)
{
    return mode == CPUS_ALL || (mode == CPUS_ASSIGNED ? mark == CPU_ASSIGNED : mark);
}

static const enum grid_colour mark_colours[] = {
    [CPU_OTHER] = GRID_PLAIN, [CPU_MANAGED] = GRID_CYAN, [CPU_ASSIGNED] = GRID_GREEN};
static const char mark_letters[] = {
    [CPU_OTHER] = ' ', [CPU_MANAGED] = '.', [CPU_ASSIGNED] = '*'};

/* "  3*[####    ]  52%", as wide as there is room; with very little just the load. */
static void draw_bar(struct grid *g, int x, int y, int width, size_t cpu, uint32_t mark,
                     unsigned load)
{
    static const uint32_t eighths[] = {' ',    0x258f, 0x258e, 0x258d, 0x258c,
                                       0x258b, 0x258a, 0x2589, 0x2588};
    static const char levels[] = " .:-=+*#%@";
    struct grid_style style = style_of(mark_colours[mark], 0);
    if (width < 9) {
        uint32_t ch = g->utf8 ? load < 7 ? 0x2581 : 0x2581 + MIN(load * 8 / 100, 7u)
                              : (uint8_t)levels[MIN(load / 10, 9u)];
        grid_char(g, x, y, ch, style);
        return;
    }
    x += grid_printf(g, x, y, width, style, "%3zu%c", cpu, mark_letters[mark]);
    int bar = width - 4 - 6;
    if (bar >= 4) {
        grid_char(g, x++, y, '[', style_of(GRID_PLAIN, GRID_DIM));
        unsigned filled = (unsigned)bar * load * 8 / 100;
        for (int i = 0; i < bar - 1; i++) {
            unsigned part = MIN(filled - MIN(filled, (unsigned)i * 8), 8u);
            uint32_t ch = g->utf8 ? eighths[part] : part >= 4 ? '#' : ' ';
            grid_char(g, x++, y, ch, style);
        }
        grid_char(g, x++, y, ']', style_of(GRID_PLAIN, GRID_DIM));
    }
    grid_printf(g, x, y, 5, style, "%4u%%", load);
}

static void draw_bars(struct grid *g, struct rect in, unsigned mode,
                      const uint32_t *marks, const uint8_t *loads, size_t n)
{
    static const int widths[] = {40, 24, 18, 10, 1};
    size_t shown = 0, i = 0;
    for (size_t cpu = 0; cpu < n; cpu++)
        shown += is_shown(mode, marks[cpu]);
    if (in.h < 1 || in.w < 1 || shown == 0)
        return;
    /* The widest bars with which all have room. */
    int width = 1;
    for (size_t k = 0; k < ARRAY_SIZE(widths); k++) {
        width = MIN(widths[k], in.w);
        if ((size_t)(in.w / width) * (size_t)in.h >= shown)
            break;
    }
    for (size_t cpu = 0; cpu < n; cpu++) {
        if (!is_shown(mode, marks[cpu]))
            continue;
        bool compact = width == 1;
        int across = in.w / width;
        int column = compact ? (int)i % across : (int)i / in.h,
            line = compact ? (int)i / across : (int)i % in.h;
        i++;
        if (column < across && line < in.h)
            draw_bar(g, in.x + column * width, in.y + line, compact ? 1 : width - 1,
                     cpu, marks[cpu], loads[cpu]);
    }
}

static void print_memory(const struct dash_sample *s, char *out, size_t size)
{
    const double gib = (double)(1 << 30);
    (void)snprintf(out, size, "%.1f of %.1f GiB",
                   (double)(s->memory_total - s->memory_free) / gib,
                   (double)s->memory_total / gib);
}

static void draw_cpus(struct view *v, struct grid *g, struct rect r,
                      const struct dash_worker *w)
{
    static const char *const titles[] = {[CPUS_MANAGED] = "CPUs managed",
                                         [CPUS_ASSIGNED] = "CPUs assigned",
                                         [CPUS_ALL] = "CPUs of the node"};
    const uint8_t *loads = NULL;
    const struct dash_sample *s = dash_sample(w, view_at(v), &loads);
    unsigned mode = v->cpu_mode % CPUS_MODES;
    struct rect in = grid_box(g, r, titles[mode], false);
    if (in.h < 1)
        return;
    if (!s) {
        grid_text(g, in.x, in.y, in.w, style_of(GRID_PLAIN, GRID_DIM),
                  "no load was reported");
        return;
    }
    size_t n = w->n_cpus, shown = 0;
    uint32_t *marks = view_numbers(v, n);
    struct marking m = {v->dash, marks, n};
    mark_managed(w, marks, n);
    dash_running_on(v->dash, w->id, view_at(v), mark_assigned, &m);
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        if (is_shown(mode, marks[i])) {
            sum += loads[i];
            shown++;
        }
    char memory[64];
    print_memory(s, memory, sizeof memory);
    grid_printf(g, in.x, in.y, in.w, style_plain(), "%zu CPUs, avg %llu%%  mem %s",
                shown, (unsigned long long)(shown ? sum / shown : 0), memory);
    if (in.h > 2)
        grid_printf(g, in.x, in.y + in.h - 1, in.w, style_of(GRID_PLAIN, GRID_DIM),
                    "* assigned  . managed");
    in.y++;
    in.h -= in.h > 2 ? 2 : 1;
    draw_bars(g, in, mode, marks, loads, n);
}

/* ---- load over time -------------------------------------------------------------- */

/* Reports come every two seconds or in the worker's own period; a point much further
 * behind one is a gap. */
#define REPORT_GAP_US (5ull * 1000000)

static void draw_load(struct view *v, struct grid *g, struct rect r,
                      const struct dash_worker *w)
{
    struct rect in = grid_box(g, r, "Utilization", false);
    if (in.w < 12 || in.h < 3)
        return;
    struct dash_axis axis = view_axis(v, g, in);
    uint32_t *cpu = view_numbers(v, axis.n * 3), *memory = cpu + axis.n,
             *gpu = memory + axis.n;
    uint64_t step = (axis.to_us - axis.from_us) / (axis.n - 1);
    uint64_t period = w->config.overview_interval_ns / 1000;
    uint64_t gap = MAX(MAX(REPORT_GAP_US, step), period * 5 / 2);
    bool any_gpu = false;
    for (size_t i = 0; i < axis.n; i++) {
        uint64_t at = axis.from_us + (axis.to_us - axis.from_us) * i / (axis.n - 1);
        const struct dash_sample *s = dash_sample(w, at, NULL);
        if (!s || (at - s->time_us) / s->merged > gap) {
            cpu[i] = memory[i] = gpu[i] = CHART_GAP;
            continue;
        }
        cpu[i] = (s->cpu + 50u) / 100;
        memory[i] = s->memory_total
                        ? (uint32_t)(((s->memory_total - s->memory_free) * 100 +
                                      s->memory_total / 2) /
                                     s->memory_total)
                        : 0;
        gpu[i] = s->gpu == DASH_NO_GPU ? CHART_GAP : (s->gpu + 50u) / 100;
        any_gpu = any_gpu || s->gpu != DASH_NO_GPU;
    }
    const struct chart_line lines[] = {{"CPU", GRID_GREEN, 'c', cpu},
                                       {"Mem", GRID_BLUE, 'm', memory},
                                       {"GPU", GRID_YELLOW, 'g', gpu}};
    struct chart c = {.lines = lines,
                      .n_lines = any_gpu ? 3 : 2,
                      .n = axis.n,
                      .from_us = axis.from_us,
                      .to_us = axis.to_us,
                      .top = 100,
                      .unit = "%"};
    chart_draw(g, in, &c);
}

/* ---- the rest -------------------------------------------------------------------- */

static void pair_resources(struct view_pairs *p, const struct pool_set *pools)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    for (size_t i = 0; i < pools->n_pools; i++) {
        buf_printf(&b, "%s%s: ", i ? ", " : "", pools->pools[i].name);
        pool_print_summary(pools, i, &b);
    }
    view_pair(p, "Resources", buf_cstr(&b));
    buf_release(&b);
}

static void draw_config(struct grid *g, struct rect r, const struct dash_worker *w)
{
    struct view_pairs p = {.g = g, .in = grid_box(g, r, "Configuration", false)};
    const struct worker_config *c = &w->config;
    int half = p.in.w / 2, right = p.in.x + half;
    bool two = p.in.h < 9; /* columns */
    p.y = p.in.y;
    p.label_width = 18;
    p.in.w = two ? half - 1 : p.in.w;
    view_pair(&p, "Hostname", c->hostname);
    view_pair(&p, "Listen address", c->listen_address);
    view_pair(&p, "Directory", c->work_dir);
    view_pair(&p, "Group", c->group);
    pair_resources(&p, &c->pools);
    if (two) {
        p.y = p.in.y;
        p.in.x = right;
    }
    view_pair_limit(&p, "Heartbeat", c->heartbeat_ns, "-");
    view_pair_limit(&p, "Overview interval", c->overview_interval_ns, "-");
    view_pair_limit(&p, "Idle timeout", c->idle_timeout_ns, "-");
    view_pair_limit(&p, "Time limit", c->time_limit_ns, "-");
}

bool view_key_worker(struct view *v, uint32_t key)
{
    const struct dash_worker *w = dash_worker(v->dash, v->worker);
    if (key == KEY_GO_BACK) {
        v->screen = v->from;
        return true;
    }
    if (key == 'c' && w) {
        const struct pool *p = pool_set_find(&w->config.pools, "cpus");
        bool more = w->n_cpus > (p ? pool_index_count(p) : 0);
        v->cpu_mode = (v->cpu_mode + 1) % (more ? CPUS_MODES : CPUS_ALL);
        return true;
    }
    struct dash_filter f = tasks_on(v);
    return view_key_tasks(v, key, &v->on_worker, &f);
}

#define CONFIG_WIDTH 56
#define CONFIG_HEIGHT 7

void view_draw_worker(struct view *v, struct grid *g, struct rect r)
{
    const struct dash_worker *w = dash_worker(v->dash, v->worker);
    struct dash_filter f = tasks_on(v);
    char title[64];
    (void)snprintf(title, sizeof title, "Tasks of worker %u", v->worker);
    if (r.h >= 14 && r.w >= 60) {
        bool beside = r.w >= 120;
        int upper = beside ? MAX(r.h / 2, 8) : MAX(r.h / 3, 7), left = r.w / 2;
        draw_load(v, g, (struct rect){r.x, r.y, left, upper}, w);
        draw_cpus(v, g, (struct rect){r.x + left, r.y, r.w - left, upper}, w);
        r.y += upper;
        r.h -= upper;
        if (beside) {
            r.w -= CONFIG_WIDTH;
            draw_config(g, (struct rect){r.x + r.w, r.y, CONFIG_WIDTH, r.h}, w);
        } else if (r.h >= CONFIG_HEIGHT + 5) {
            r.h -= CONFIG_HEIGHT;
            draw_config(g, (struct rect){r.x, r.y + r.h, r.w, CONFIG_HEIGHT}, w);
        }
    }
    view_draw_tasks(v, g, r, &v->on_worker, &f, title, true);
}
