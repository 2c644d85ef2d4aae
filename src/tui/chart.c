#include "tui/chart.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "base/xmem.h"

#define LABELS 7    /* columns of the axis on the left */
#define TWO_LINES 6 /* of height leave room for a legend of two */
#define DAY_US (24ull * 3600 * 1000000)

static bool with_dots(const struct grid *g)
{
    return g->utf8 && g->colour;
}

size_t chart_points(const struct grid *g, struct rect r)
{
    int columns = MAX(r.w - LABELS, 1);
    return (size_t)MAX(columns * (with_dots(g) ? 2 : 1), 2);
}

const char *chart_time(uint64_t us, bool with_day, char out[CHART_TIME_BYTES])
{
    time_t seconds = (time_t)(us / 1000000);
    struct tm parts;
    out[0] = 0;
    if (localtime_r(&seconds, &parts))
        (void)strftime(out, CHART_TIME_BYTES, with_day ? "%m-%d %H:%M:%S" : "%H:%M:%S",
                       &parts);
    return out;
}

/* The least of 1, 2, 5, 10, 20, ... that is not below. */
static uint32_t round_up(uint32_t value)
{
    for (uint64_t ten = 1;; ten *= 10) {
        static const uint32_t steps[] = {1, 2, 5};
        for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
            if (ten * steps[i] >= value)
                return (uint32_t)MIN(ten * steps[i], UINT32_MAX);
    }
}

static uint32_t top_of(const struct chart *c)
{
    uint32_t most = 1;
    for (size_t l = 0; l < c->n_lines && !c->top; l++)
        for (size_t i = 0; i < c->n; i++)
            if (c->lines[l].values[i] != CHART_GAP)
                most = MAX(most, c->lines[l].values[i]);
    return c->top ? c->top : round_up(most);
}

/* How many lines it takes: a second one where the first is too short. */
static int draw_legend(struct grid *g, struct rect r, const struct chart *c)
{
    int x = r.x, lines = 1;
    for (size_t l = 0; l < c->n_lines; l++) {
        const struct chart_line *line = &c->lines[l];
        uint32_t last = c->n ? line->values[c->n - 1] : CHART_GAP;
        char text[64], number[16] = "-";
        if (last != CHART_GAP)
            (void)snprintf(number, sizeof number, "%u%s", last, c->unit);
        /* The letter is needed where the colour does not tell. */
        if (with_dots(g))
            (void)snprintf(text, sizeof text, "%s %s", line->name, number);
        else
            (void)snprintf(text, sizeof text, "%c=%s %s", line->mark, line->name,
                           number);
        if (x + (int)strlen(text) > r.x + r.w && lines == 1 && l > 0 &&
            r.h >= TWO_LINES) {
            x = r.x;
            lines = 2;
        }
        x += grid_text(g, x, r.y + lines - 1, r.x + r.w - x, style_of(line->colour, 0),
                       text) +
             2;
        if (x >= r.x + r.w && (lines == 2 || r.h < TWO_LINES))
            break;
    }
    return lines;
}

static void draw_axes(struct grid *g, struct rect r, struct rect plot,
                      const struct chart *c, uint32_t top)
{
    char text[CHART_TIME_BYTES];
    bool with_day = c->to_us - c->from_us >= DAY_US;
    struct grid_style dim = style_of(GRID_PLAIN, GRID_DIM);
    for (int y = 0; y < plot.h; y++)
        grid_char(g, plot.x - 1, plot.y + y, g->utf8 ? 0x2502 : '|', dim);
    if (top < 1000000)
        (void)snprintf(text, sizeof text, "%u%s", top, c->unit);
    else /* a round number */
        (void)snprintf(text, sizeof text, "%uM%s", top / 1000000, c->unit);
    grid_printf(g, r.x, plot.y, LABELS - 1, dim, "%*s", LABELS - 1, text);
    if (plot.h > 1)
        grid_printf(g, r.x, plot.y + plot.h - 1, LABELS - 1, dim, "%*s", LABELS - 1,
                    "0");
    int y = plot.y + plot.h, width = with_day ? 14 : 8;
    grid_text(g, plot.x, y, plot.w, dim, chart_time(c->from_us, with_day, text));
    if (plot.w >= 2 * width + 2)
        grid_text(g, plot.x + plot.w - width, y, width, dim,
                  chart_time(c->to_us, with_day, text));
}

/* Dots or cells, counted from the lower left. */
struct canvas {
    int w, h;
    uint8_t *bits;   /* of each cell */
    uint8_t *colour; /* likewise: of the line that came last */
    struct grid *g;
    struct rect plot;
    bool dots;
};

static void set_dot(struct canvas *k, int x, int y, const struct chart_line *line)
{
    /* Bits of U+2800: the two columns of four dots, from the top. */
    static const uint8_t bit[4][2] = {{0x40, 0x80}, {4, 0x20}, {2, 0x10}, {1, 8}};
    if (x < 0 || y < 0 || x >= k->w || y >= k->h)
        return;
    if (!k->dots) {
        grid_char(k->g, k->plot.x + x, k->plot.y + k->h - 1 - y, (uint8_t)line->mark,
                  style_of(line->colour, 0));
        return;
    }
    size_t cell = (size_t)(k->plot.h - 1 - y / 4) * (size_t)k->plot.w + (size_t)(x / 2);
    k->bits[cell] |= bit[y % 4][x % 2];
    k->colour[cell] = (uint8_t)line->colour;
}

static void draw_line(struct canvas *k, const struct chart *c,
                      const struct chart_line *line, uint32_t top)
{
    int before = -1;
    bool nothing = true; /* nothing but zeros so far: the axis is enough */
    for (size_t i = 0; i < c->n && (int)i < k->w; i++) {
        uint32_t v = line->values[i];
        if (v == CHART_GAP || (v == 0 && nothing)) {
            before = -1;
            continue;
        }
        nothing = v == 0;
        int y = (int)((uint64_t)MIN(v, top) * (uint64_t)(k->h - 1) / top);
        int from = before < 0 ? y : MIN(before + (before < y), y),
            to = before < 0 ? y : MAX(before - (before > y), y);
        for (int at = from; at <= to; at++)
            set_dot(k, (int)i, at, line);
        before = y;
    }
}

static void put_dots(struct canvas *k)
{
    for (int y = 0; y < k->plot.h; y++)
        for (int x = 0; x < k->plot.w; x++) {
            size_t cell = (size_t)y * (size_t)k->plot.w + (size_t)x;
            if (k->bits[cell])
                grid_char(k->g, k->plot.x + x, k->plot.y + y, 0x2800u + k->bits[cell],
                          style_of((enum grid_colour)k->colour[cell], 0));
        }
}

void chart_draw(struct grid *g, struct rect r, const struct chart *c)
{
    int legend = draw_legend(g, r, c);
    struct rect plot = {r.x + LABELS, r.y + legend, r.w - LABELS, r.h - legend - 1};
    if (plot.w < 1 || plot.h < 1)
        return;
    uint32_t top = top_of(c);
    draw_axes(g, r, plot, c, top);
    bool dots = with_dots(g);
    size_t cells = (size_t)plot.w * (size_t)plot.h;
    struct canvas k = {.w = plot.w * (dots ? 2 : 1),
                       .h = plot.h * (dots ? 4 : 1),
                       .bits = xcalloc(cells, 1),
                       .colour = xcalloc(cells, 1),
                       .g = g,
                       .plot = plot,
                       .dots = dots};
    for (size_t l = 0; l < c->n_lines; l++)
        draw_line(&k, c, &c->lines[l], top);
    put_dots(&k);
    free(k.bits);
    free(k.colour);
}
