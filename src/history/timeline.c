#include "history/timeline.h"

#define WIDTH_FIRST_US 1000u

void timeline_init(struct timeline *t)
{
    *t = (struct timeline){.width_us = WIDTH_FIRST_US};
}

void timeline_release(struct timeline *t)
{
    for (size_t i = 0; i < t->all.len; i++)
        free(t->all.data[i]);
    vec_release(&t->all);
}

size_t timeline_add(struct timeline *t)
{
    struct series *s = calloc(1, sizeof *s);
    if (s && vec_push(&t->all, s))
        return t->all.len - 1;
    free(s);
    return SIZE_MAX;
}

/* What changes in the first of two bins lasts for the whole second one. */
static void join_bins(struct series *s, uint64_t width_us)
{
    for (size_t i = 0; i < TIMELINE_BINS / 2; i++) {
        size_t a = 2 * i, b = a + 1;
        double area = s->area[a] + s->change[a] * (double)width_us + s->area[b];
        s->change[i] = s->change[a] + s->change[b];
        s->area[i] = area;
    }
    for (size_t i = TIMELINE_BINS / 2; i < TIMELINE_BINS; i++)
        s->change[i] = s->area[i] = 0;
}

void timeline_change(struct timeline *t, size_t series, uint64_t at_us, double by)
{
    while (at_us / t->width_us >= TIMELINE_BINS) {
        for (size_t i = 0; i < t->all.len; i++)
            join_bins(t->all.data[i], t->width_us);
        t->width_us *= 2;
    }
    struct series *s = t->all.data[series];
    size_t bin = (size_t)(at_us / t->width_us);
    s->change[bin] += by;
    s->area[bin] += by * (double)((bin + 1) * t->width_us - at_us);
    t->end_us = MAX(t->end_us, at_us);
}

/* Area of [0, us]: whole bins, and of the last one its share. */
static double area_until(const struct timeline *t, const struct series *s, double us)
{
    double width = (double)t->width_us, value = 0, sum = 0;
    for (size_t i = 0; i < TIMELINE_BINS; i++) {
        double part = us - (double)i * width;
        if (part <= 0)
            break;
        double whole = value * width + s->area[i];
        sum += part >= width ? whole : whole * (part / width);
        value += s->change[i];
    }
    return sum;
}

void timeline_values(const struct timeline *t, size_t series, double *values, size_t n)
{
    const struct series *s = t->all.data[series];
    double step = (double)t->end_us / (double)n, before = 0;
    for (size_t i = 0; i < n; i++) {
        double until = area_until(t, s, step * (double)(i + 1));
        values[i] = step > 0 ? (until - before) / step : 0;
        before = until;
    }
}
