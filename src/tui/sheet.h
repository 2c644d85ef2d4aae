/* struct sheet: a framed list with a head row, of any length; only the rows that can be
 * seen are asked for. */
#ifndef HQ_TUI_SHEET_H
#define HQ_TUI_SHEET_H

#include "tui/grid.h"

#define SHEET_COLUMNS 8

struct sheet_column {
    const char *title;
    int width; /* 0: takes what is left; one column at most */
    bool right;
};

struct sheet_row {
    char text[SHEET_COLUMNS][64];
    const char *long_text[SHEET_COLUMNS]; /* instead of `text`, borrowed; or NULL */
    enum grid_colour colour[SHEET_COLUMNS];
};

struct sheet {
    const char *title;
    const char *empty; /* what stands there without rows */
    const struct sheet_column *columns;
    size_t n_columns;
    bool focused;
    uint64_t total;
    uint64_t top; /* first row that is shown */
    bool has_selected;
    uint64_t selected;
};

/* Fills the row of that number; all of it is empty before. */
typedef void sheet_row_fn(void *arg, uint64_t number, struct sheet_row *row);

/* Rows that fit into such a rectangle. */
static inline uint64_t sheet_fit(struct rect r)
{
    return (uint64_t)MAX(r.h - 3, 0);
}
/* Moves `top` so that the selected row can be seen and no place stays empty. */
void sheet_scroll(struct sheet *s, struct rect r);
void sheet_draw(struct grid *g, struct rect r, const struct sheet *s, sheet_row_fn *fn,
                void *arg);

#endif
