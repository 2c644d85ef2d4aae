#include "history/svg.h"

#include "base/duration.h"
#include "base/text.h"
#include "history/scale.h"

#define WIDTH 960.0
#define HEIGHT 260.0
#define LEFT 64.0
#define RIGHT 16.0
#define TOP 10.0
#define BOTTOM 30.0
#define ROW 26.0
#define LABEL_WIDTH 300.0
#define LABEL_CHARS 44

void html_text(struct buf *out, const char *text)
{
    struct buf clean = BUF_INIT(BUF_MAX_DEFAULT);
    text_lossy(&clean, text, strlen(text));
    for (const char *p = buf_cstr(&clean); *p; p++)
        switch (*p) {
        case '<':
            buf_puts(out, "&lt;");
            break;
        case '>':
            buf_puts(out, "&gt;");
            break;
        case '&':
            buf_puts(out, "&amp;");
            break;
        case '"':
            buf_puts(out, "&quot;");
            break;
        default:
            buf_putc(out, (unsigned char)*p < 0x20 ? ' ' : *p);
        }
    buf_release(&clean);
}

/* Labels of any length at a bounded place; the whole of it shows when pointed at. */
static void short_text(struct buf *out, const char *text)
{
    size_t n = strlen(text), cut = n;
    if (n > LABEL_CHARS) {
        cut = LABEL_CHARS - 1;
        while (cut > 0 && ((unsigned char)text[cut] & 0xc0) == 0x80)
            cut--;
    }
    struct buf part = BUF_INIT(BUF_MAX_DEFAULT);
    buf_append(&part, text, cut);
    html_text(out, buf_cstr(&part));
    if (cut < n)
        buf_puts(out, "…");
    buf_release(&part);
}

/* Three digits below a minute. */
void svg_duration(struct buf *out, double s)
{
    static const struct {
        double size;
        const char *unit;
    } units[] = {{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}};
    if (s >= 59.95) {
        duration_print((uint64_t)(s + 0.5) * NS_PER_S, out);
        return;
    }
    size_t i = 0;
    while (i + 1 < ARRAY_SIZE(units) && s < units[i].size * 0.9995)
        i++;
    double v = s / units[i].size;
    if (s <= 0)
        buf_puts(out, "0s");
    else
        buf_printf(out, "%.*f%s",
                   v >= 99.95 || v - scale_floor(v + 1e-9) < 1e-6 ? 0
                   : v >= 9.995                                   ? 1
                                                                  : 2,
                   v, units[i].unit);
}

/* A number for people: no more digits than it takes. */
static void number(struct buf *out, double v)
{
    if (v >= 100 || v <= -100 || v == scale_floor(v))
        buf_printf(out, "%.0f", v);
    else
        buf_printf(out, "%.*g", 3, v);
}

static double two_places(double v)
{
    return scale_floor(v * 100 + 0.5) / 100;
}

/* ---- axes ------------------------------------------------------------------------ */

/* The step of about `n` marks up to `max`: 1, 2 or 5 times a power of ten. */
static double nice_step(double max, int n)
{
    double rough = max / n, power = scale_exp10(scale_floor(scale_log10(rough) + 1e-9));
    double over = rough / power;
    return power * (over <= 1 ? 1 : over <= 2 ? 2 : over <= 5 ? 5 : 10);
}

static double nice_seconds(double span)
{
    static const double steps[] = {1,     2,     5,     10,    15,     30,    60,
                                   120,   300,   600,   900,   1800,   3600,  7200,
                                   10800, 21600, 43200, 86400, 172800, 604800};
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
        if (span / steps[i] <= 8)
            return span < 4 ? nice_step(span, 6) : steps[i];
    return nice_step(span / 86400, 7) * 86400;
}

static void open_svg(struct buf *out, double height)
{
    buf_printf(out,
               "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" "
               "xmlns=\"http://www.w3.org/2000/svg\">\n",
               WIDTH, height);
}

static void text_at(struct buf *out, double x, double y, const char *anchor)
{
    buf_printf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
}

static void rule(struct buf *out, double x1, double y1, double x2, double y2,
                 const char *class)
{
    buf_printf(out,
               "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
               class, x1, y1, x2, y2);
}

/* Steps of values: whole ones, as they count something or are percents. */
static double value_step(double max)
{
    return MAX(nice_step(max, 5), 1);
}

static void value_axis(struct buf *out, double max, const char *unit)
{
    double step = value_step(max);
    for (double v = 0; v <= max * 1.0001; v += step) {
        double y = HEIGHT - BOTTOM - v / max * (HEIGHT - TOP - BOTTOM);
        rule(out, LEFT, y, WIDTH - RIGHT, y, "grid");
        text_at(out, LEFT - 6, y + 4, "end");
        number(out, v);
        buf_printf(out, "%s</text>\n", unit);
    }
}

static double time_x(const struct svg_chart *c, double s)
{
    double span = c->until_s - c->from_s;
    return LEFT + (span > 0 ? (s - c->from_s) / span : 0) * (WIDTH - LEFT - RIGHT);
}

static void time_axis(struct buf *out, const struct svg_chart *c)
{
    double span = c->until_s - c->from_s, step = nice_seconds(span > 0 ? span : 1);
    for (double s = scale_ceil(c->from_s / step) * step; s <= c->until_s + step / 1e6;
         s += step) {
        double x = time_x(c, s);
        rule(out, x, HEIGHT - BOTTOM, x, HEIGHT - BOTTOM + 4, "axis");
        text_at(out, x, HEIGHT - BOTTOM + 18,
                s - c->from_s < step / 2 ? "start"
                : x > WIDTH - 60         ? "end"
                                         : "middle");
        svg_duration(out, s);
        buf_puts(out, "</text>\n");
    }
    rule(out, LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, "axis");
}

/* ---- values over time ------------------------------------------------------------ */

static double largest(const struct svg_chart *c)
{
    double max = 0;
    for (size_t l = 0; l < c->n_lines; l++)
        for (size_t i = 0; i < c->n; i++)
            max = MAX(max, c->lines[l].values[i]);
    return max > 0 ? max : 1;
}

static void path(struct buf *out, const struct svg_chart *c, size_t l, double max)
{
    double last_y = -1, step = (c->until_s - c->from_s) / (double)c->n;
    buf_printf(out, "<path class=\"line c%zu\" d=\"", l % SVG_COLOURS);
    for (size_t i = 0; i < c->n; i++) {
        double v = MAX(c->lines[l].values[i], 0);
        double y = HEIGHT - BOTTOM - v / max * (HEIGHT - TOP - BOTTOM);
        double x = time_x(c, c->from_s + step * (double)i);
        if (i == 0)
            buf_printf(out, "M%.1f %.1f", x, y);
        else if ((y - last_y >= 0.05 || last_y - y >= 0.05))
            buf_printf(out, "H%.1fV%.1f", x, y);
        else
            continue;
        last_y = y;
    }
    buf_printf(out, "H%.1f\"><title>", WIDTH - RIGHT);
    html_text(out, c->lines[l].label);
    buf_puts(out, "</title></path>\n");
}

static void legend(struct buf *out, const struct svg_chart *c)
{
    buf_puts(out, "<p class=\"legend\">");
    for (size_t l = 0; l < c->n_lines; l++) {
        double sum = 0, max = 0;
        for (size_t i = 0; i < c->n; i++) {
            sum += c->lines[l].values[i];
            max = MAX(max, c->lines[l].values[i]);
        }
        buf_printf(out, "<span><i class=\"c%zu\"></i>", l % SVG_COLOURS);
        html_text(out, c->lines[l].label);
        buf_puts(out, " <small>mean ");
        number(out, two_places(sum / (double)c->n));
        buf_printf(out, "%s, most ", c->unit);
        number(out, two_places(max));
        buf_printf(out, "%s</small></span>\n", c->unit);
    }
    buf_puts(out, "</p>\n");
}

void svg_chart(struct buf *out, const struct svg_chart *c)
{
    double max = largest(c);
    double step = value_step(max);
    max = scale_ceil(max / step - 1e-9) * step;
    open_svg(out, HEIGHT);
    value_axis(out, max, c->unit);
    time_axis(out, c);
    for (size_t l = 0; l < c->n_lines; l++)
        path(out, c, l, max);
    buf_puts(out, "</svg>\n");
    legend(out, c);
}

/* ---- rows ------------------------------------------------------------------------ */

static void row_label(struct buf *out, const char *label, double y)
{
    buf_puts(out, "<g><title>");
    html_text(out, label);
    buf_puts(out, "</title>");
    text_at(out, LABEL_WIDTH - 8, y + ROW / 2 + 4, "end");
    short_text(out, label);
    buf_puts(out, "</text></g>\n");
}

void svg_bars(struct buf *out, const struct svg_bar *bars, size_t n,
              const char *const names[4])
{
    double max = 1, room = WIDTH - LABEL_WIDTH - 110;
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t k = 0; k < 4; k++)
            sum += (double)bars[i].parts[k];
        max = MAX(max, sum);
    }
    open_svg(out, ROW * (double)n + 4);
    for (size_t i = 0; i < n; i++) {
        double y = ROW * (double)i, x = LABEL_WIDTH, sum = 0;
        row_label(out, bars[i].label, y);
        for (size_t k = 0; k < 4; k++) {
            double part = (double)bars[i].parts[k];
            double width = part / max * room;
            sum += part;
            if (part <= 0)
                continue;
            buf_printf(out,
                       "<rect class=\"fill c%zu\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                       "height=\"%.1f\"><title>%.0f %s</title></rect>\n",
                       k + 2, x, y + 5, MAX(width, 1), ROW - 10, part, names[k]);
            x += MAX(width, 1);
        }
        text_at(out, x + 6, y + ROW / 2 + 4, "start");
        buf_printf(out, "%.0f</text>\n", sum);
    }
    buf_puts(out, "</svg>\n<p class=\"legend\">");
    for (size_t k = 0; k < 4; k++)
        buf_printf(out, "<span><i class=\"c%zu\"></i>%s</span>\n", k + 2, names[k]);
    buf_puts(out, "</p>\n");
}

static double log_x(double s, double low, double high)
{
    double share = (scale_log10(MAX(s, 1e-6)) - low) / (high - low);
    return LABEL_WIDTH + MIN(MAX(share, 0), 1) * (WIDTH - LABEL_WIDTH - 130);
}

static void box(struct buf *out, const struct svg_box *b, double y, double low,
                double high)
{
    double middle = y + ROW / 2;
    double q1 = log_x(b->q1_s, low, high), q3 = log_x(b->q3_s, low, high);
    double median = log_x(b->median_s, low, high);
    buf_puts(out, "<g><title>");
    buf_printf(out, "%llu runs: ", (unsigned long long)b->n);
    svg_duration(out, b->min_s);
    buf_puts(out, " / ");
    svg_duration(out, b->q1_s);
    buf_puts(out, " / ");
    svg_duration(out, b->median_s);
    buf_puts(out, " / ");
    svg_duration(out, b->q3_s);
    buf_puts(out, " / ");
    svg_duration(out, b->max_s);
    buf_puts(out, "</title>\n");
    rule(out, log_x(b->min_s, low, high), middle, log_x(b->max_s, low, high), middle,
         "whisker");
    buf_printf(
        out,
        "<rect class=\"box\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
        q1, y + 5, MAX(q3 - q1, 2), ROW - 10);
    rule(out, median, y + 5, median, y + ROW - 5, "median");
    text_at(out, WIDTH - 120, middle + 4, "start");
    svg_duration(out, b->median_s);
    buf_puts(out, "</text></g>\n");
}

void svg_boxes(struct buf *out, const struct svg_box *boxes, size_t n)
{
    double low = 9, high = -6;
    for (size_t i = 0; i < n; i++) {
        low = MIN(low, scale_floor(scale_log10(MAX(boxes[i].min_s, 1e-6)) + 1e-9));
        high = MAX(high, scale_ceil(scale_log10(MAX(boxes[i].max_s, 1e-6)) - 1e-9));
    }
    if (high <= low)
        high = low + 1;
    double bottom = ROW * (double)n + 2;
    open_svg(out, bottom + 26);
    for (double p = low; p <= high; p++) {
        double x = log_x(scale_exp10(p), low, high);
        rule(out, x, 0, x, bottom, "grid");
        text_at(out, x, bottom + 16, "middle");
        svg_duration(out, scale_exp10(p));
        buf_puts(out, "</text>\n");
    }
    for (size_t i = 0; i < n; i++) {
        row_label(out, boxes[i].label, ROW * (double)i);
        box(out, &boxes[i], ROW * (double)i, low, high);
    }
    buf_puts(out,
             "</svg>\n<p class=\"legend\"><span>smallest, quarter, median (the number "
             "on the right), three quarters, largest; of tasks that finished or "
             "failed</span></p>\n");
}
