/* Charts as SVG inside of a page. Colours are the page's: classes c0 to c9. */
#ifndef HQ_HISTORY_SVG_H
#define HQ_HISTORY_SVG_H

#include "base/buf.h"

#define SVG_COLOURS 10u

/* Text between tags and in attributes. */
void html_text(struct buf *out, const char *text);
/* "1h 30m", "250ms"; of seconds. */
void svg_duration(struct buf *out, double s);

struct svg_line {
    const char *label;
    const double *values; /* of each part of the time, from left to right */
};

struct svg_chart {
    double from_s, until_s;
    size_t n; /* values a line */
    const struct svg_line *lines;
    size_t n_lines;
    const char *unit; /* behind numbers: "%", "" */
};
/* Steps over time, with a legend. */
void svg_chart(struct buf *out, const struct svg_chart *c);

struct svg_bar {
    const char *label;
    uint64_t parts[4]; /* one behind the other, in the colours 2, 3, 4, 5 */
};
void svg_bars(struct buf *out, const struct svg_bar *bars, size_t n,
              const char *const names[4]);

struct svg_box {
    const char *label;
    uint64_t n;
    double min_s, q1_s, median_s, q3_s, max_s;
};
/* Boxes over a logarithmic axis of durations. */
void svg_boxes(struct buf *out, const struct svg_box *boxes, size_t n);

#endif
