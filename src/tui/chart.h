/*
 * Lines over time, drawn with braille dots (2 x 4 a cell); with a letter for each line
 * where there is no UTF-8 or no colour. Above them stand the names and the latest
 * values, below them the times.
 */
#ifndef HQ_TUI_CHART_H
#define HQ_TUI_CHART_H

#include "tui/grid.h"

struct chart_line {
    const char *name;
    enum grid_colour colour;
    char mark;
    const uint32_t *values; /* CHART_GAP: not known there */
};
#define CHART_GAP UINT32_MAX

struct chart {
    const struct chart_line *lines;
    size_t n_lines;
    size_t n; /* values of each, the first at from_us, the last at to_us */
    uint64_t from_us, to_us;
    uint32_t top;     /* value at the upper end; 0: as needed */
    const char *unit; /* behind values: "%" or "" */
};

/* How many values fit into a chart of this size; at least 2. */
size_t chart_points(const struct grid *g, struct rect r);
void chart_draw(struct grid *g, struct rect r, const struct chart *c);

/* "10:00:00" local time; with_day: "08-03 10:00:00". */
#define CHART_TIME_BYTES 32
const char *chart_time(uint64_t us, bool with_day, char out[CHART_TIME_BYTES]);

#endif
