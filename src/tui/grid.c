#include "tui/grid.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/text.h"
#include "base/xmem.h"

#define SIDE_MAX 4096 /* columns, lines */

void grid_resize(struct grid *g, int w, int h)
{
    g->w = MIN(MAX(w, 0), SIDE_MAX);
    g->h = MIN(MAX(h, 0), SIDE_MAX);
    free(g->cells);
    g->cells = xcalloc((size_t)g->w * (size_t)g->h + 1, sizeof *g->cells);
    grid_clear(g);
}

void grid_release(struct grid *g)
{
    free(g->cells);
    g->cells = NULL;
    g->w = g->h = 0;
}

void grid_clear(struct grid *g)
{
    grid_fill(g, (struct rect){0, 0, g->w, g->h}, style_plain());
}

static struct grid_cell *cell_at(struct grid *g, int x, int y)
{
    return x >= 0 && y >= 0 && x < g->w && y < g->h
               ? &g->cells[(size_t)y * (size_t)g->w + (size_t)x]
               : NULL;
}

/* A wide character of which a half is overwritten is gone. */
static void unhook(struct grid *g, int x, int y)
{
    struct grid_cell *here = cell_at(g, x, y), *left = cell_at(g, x - 1, y),
                     *right = cell_at(g, x + 1, y);
    if (here && here->ch == 0 && left)
        left->ch = ' ';
    if (right && right->ch == 0)
        right->ch = ' ';
}

void grid_char(struct grid *g, int x, int y, uint32_t ch, struct grid_style style)
{
    struct grid_cell *c = cell_at(g, x, y);
    if (!c)
        return;
    unhook(g, x, y);
    *c = (struct grid_cell){ch, style};
}

/* What is shown for a character of a text. */
static uint32_t shown(const struct grid *g, uint32_t c, size_t *columns)
{
    if (c < 0x20 || (c >= 0x7f && c < 0xa0)) {
        *columns = 1;
        return '?';
    }
    if (c >= 0x80 && !g->utf8)
        return '?';
    return c;
}

int grid_text(struct grid *g, int x, int y, int width, struct grid_style style,
              const char *text)
{
    size_t n = strlen(text);
    int used = 0;
    width = MIN(width, g->w - x);
    for (size_t at = 0; at < n;) {
        size_t columns;
        uint32_t c;
        size_t taken = text_char(text + at, n - at, &c, &columns);
        c = shown(g, c, &columns);
        at += taken;
        if (columns == 0) /* marks above and below are left away */
            continue;
        bool last = at >= n;
        if (used + (int)columns > width - (last ? 0 : 1)) {
            if (used < width)
                grid_char(g, x + used++, y, g->utf8 ? 0x2026 : '~', style);
            break;
        }
        grid_char(g, x + used, y, c, style);
        if (columns == 2)
            grid_char(g, x + used + 1, y, g->utf8 ? 0 : '?', style);
        used += (int)columns;
    }
    return used;
}

int grid_printf(struct grid *g, int x, int y, int width, struct grid_style style,
                const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return grid_text(g, x, y, width, style, text);
}

void grid_fill(struct grid *g, struct rect r, struct grid_style style)
{
    for (int y = r.y; y < r.y + r.h; y++)
        for (int x = r.x; x < r.x + r.w; x++)
            grid_char(g, x, y, ' ', style);
}

struct rect rect_inside(struct rect r)
{
    return (struct rect){r.x + 1, r.y + 1, MAX(r.w - 2, 0), MAX(r.h - 2, 0)};
}

struct rect grid_box(struct grid *g, struct rect r, const char *title, bool focused)
{
    static const uint32_t ascii[] = {'-', '|', '+', '+', '+', '+'},
                          lines[] = {0x2500, 0x2502, 0x250c, 0x2510, 0x2514, 0x2518};
    const uint32_t *part = g->utf8 ? lines : ascii;
    struct grid_style style =
        focused ? style_of(GRID_CYAN, GRID_BOLD) : style_of(GRID_PLAIN, GRID_DIM);
    int right = r.x + r.w - 1, bottom = r.y + r.h - 1;
    if (r.w < 2 || r.h < 2)
        return rect_inside(r);
    for (int x = r.x + 1; x < right; x++) {
        grid_char(g, x, r.y, part[0], style);
        grid_char(g, x, bottom, part[0], style);
    }
    for (int y = r.y + 1; y < bottom; y++) {
        grid_char(g, r.x, y, part[1], style);
        grid_char(g, right, y, part[1], style);
    }
    grid_char(g, r.x, r.y, part[2], style);
    grid_char(g, right, r.y, part[3], style);
    grid_char(g, r.x, bottom, part[4], style);
    grid_char(g, right, bottom, part[5], style);
    if (r.w > 6 && title && *title) {
        style.flags = GRID_BOLD;
        int used = grid_text(g, r.x + 2, r.y, r.w - 5, style, title);
        grid_char(g, r.x + 1, r.y, ' ', style);
        grid_char(g, r.x + 2 + used, r.y, ' ', style);
    }
    return rect_inside(r);
}

size_t grid_encode(uint32_t ch, char out[4])
{
    if (ch < 0x80) {
        out[0] = (char)ch;
        return 1;
    }
    if (ch < 0x800) {
        out[0] = (char)(0xc0 | ch >> 6);
        out[1] = (char)(0x80 | (ch & 0x3f));
        return 2;
    }
    if (ch < 0x10000) {
        out[0] = (char)(0xe0 | ch >> 12);
        out[1] = (char)(0x80 | (ch >> 6 & 0x3f));
        out[2] = (char)(0x80 | (ch & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | (ch >> 18 & 7));
    out[1] = (char)(0x80 | (ch >> 12 & 0x3f));
    out[2] = (char)(0x80 | (ch >> 6 & 0x3f));
    out[3] = (char)(0x80 | (ch & 0x3f));
    return 4;
}

void grid_print(const struct grid *g, struct buf *out)
{
    for (int y = 0; y < g->h; y++) {
        const struct grid_cell *line = &g->cells[(size_t)y * (size_t)g->w];
        int end = g->w;
        while (end && line[end - 1].ch == ' ')
            end--;
        for (int x = 0; x < end; x++) {
            char bytes[4];
            if (line[x].ch)
                buf_append(out, bytes, grid_encode(line[x].ch, bytes));
        }
        buf_putc(out, '\n');
    }
}

bool grid_equal(const struct grid *a, const struct grid *b)
{
    if (a->w != b->w || a->h != b->h)
        return false;
    for (size_t i = 0; i < (size_t)a->w * (size_t)a->h; i++)
        if (a->cells[i].ch != b->cells[i].ch ||
            a->cells[i].style.colour != b->cells[i].style.colour ||
            a->cells[i].style.flags != b->cells[i].style.flags)
            return false;
    return true;
}
