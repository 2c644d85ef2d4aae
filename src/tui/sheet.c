#include "tui/sheet.h"

#include <stdio.h>

void sheet_scroll(struct sheet *s, struct rect r)
{
    uint64_t fit = MAX(sheet_fit(r), 1u);
    if (s->has_selected) {
        if (s->selected < s->top)
            s->top = s->selected;
        else if (s->selected - s->top >= fit)
            s->top = s->selected - fit + 1;
    }
    s->top = MIN(s->top, s->total > fit ? s->total - fit : 0);
}

static int open_width(const struct sheet *s, int width)
{
    for (size_t i = 0; i < s->n_columns; i++)
        width -= s->columns[i].width + (i > 0);
    return MAX(width, 1);
}

static void draw_cell(struct grid *g, int x, int y, int width, bool right,
                      struct grid_style style, const char *text)
{
    int n = (int)strlen(text);
    if (right && n < width)
        x += width - n;
    grid_text(g, x, y, right ? MIN(n, width) : width, style, text);
}

static void draw_row(struct grid *g, struct rect in, int y, const struct sheet *s,
                     const struct sheet_row *row, struct grid_style base)
{
    int x = in.x;
    for (size_t i = 0; i < s->n_columns && x < in.x + in.w; i++) {
        const struct sheet_column *c = &s->columns[i];
        int width = c->width ? c->width : open_width(s, in.w);
        struct grid_style style = base;
        if (!(base.flags & GRID_REVERSE))
            style.colour = (uint8_t)row->colour[i];
        draw_cell(g, x, y, MIN(width, in.x + in.w - x), c->right, style,
                  row->long_text[i] ? row->long_text[i] : row->text[i]);
        x += width + 1;
    }
}

static void draw_head(struct grid *g, struct rect in, const struct sheet *s)
{
    struct sheet_row head = {.long_text = {NULL}};
    for (size_t i = 0; i < s->n_columns; i++)
        head.long_text[i] = s->columns[i].title;
    draw_row(g, in, in.y, s, &head, style_of(GRID_PLAIN, GRID_BOLD));
}

/* "21-40 of 1000" in the lower edge. */
static void draw_place(struct grid *g, struct rect r, const struct sheet *s,
                       uint64_t shown)
{
    char text[64];
    if (s->total <= shown || shown == 0)
        return;
    int n = snprintf(
        text, sizeof text, " %llu-%llu of %llu ", (unsigned long long)s->top + 1,
        (unsigned long long)(s->top + shown), (unsigned long long)s->total);
    if (n <= r.w - 4)
        grid_text(g, r.x + r.w - 2 - n, r.y + r.h - 1, n,
                  style_of(GRID_PLAIN, GRID_DIM), text);
}

void sheet_draw(struct grid *g, struct rect r, const struct sheet *s, sheet_row_fn *fn,
                void *arg)
{
    struct rect in = grid_box(g, r, s->title, s->focused);
    if (in.w < 1 || in.h < 1)
        return;
    draw_head(g, in, s);
    if (s->total == 0 && in.h > 1)
        grid_text(g, in.x, in.y + 1, in.w, style_of(GRID_PLAIN, GRID_DIM), s->empty);
    uint64_t shown = s->total > s->top ? MIN(sheet_fit(r), s->total - s->top) : 0;
    for (uint64_t i = 0; i < shown; i++) {
        struct sheet_row row = {.long_text = {NULL}};
        int y = in.y + 1 + (int)i;
        bool selected = s->has_selected && s->selected == s->top + i;
        fn(arg, s->top + i, &row);
        if (selected)
            grid_fill(g, (struct rect){in.x, y, in.w, 1},
                      style_of(GRID_PLAIN, GRID_REVERSE));
        draw_row(g, in, y, s, &row, style_of(GRID_PLAIN, selected ? GRID_REVERSE : 0));
    }
    draw_place(g, r, s, shown);
}
