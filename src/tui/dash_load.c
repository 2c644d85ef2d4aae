/* Loads of workers over time, in bounded memory: what is older is kept coarser. */
#include "tui/dash.h"

#include <stdlib.h>
#include "base/xmem.h"

#define BYTES_MAX 65536u /* of one worker */
#define SAMPLES_MIN 128u
#define SAMPLES_MAX 2048u

static void move_sample(struct dash_worker *w, size_t to, size_t from)
{
    w->samples[to] = w->samples[from];
    memmove(w->loads + to * w->n_cpus, w->loads + from * w->n_cpus, w->n_cpus);
}

static uint16_t weigh(uint64_t a, uint64_t n_a, uint64_t b, uint64_t n_b)
{
    return (uint16_t)((a * n_a + b * n_b) / (n_a + n_b));
}

/* `to` also stands for the later `from`. */
static void merge_sample(struct dash_worker *w, size_t to, size_t from)
{
    struct dash_sample *a = &w->samples[to], *b = &w->samples[from];
    a->cpu = weigh(a->cpu, a->merged, b->cpu, b->merged);
    a->gpu = a->gpu == DASH_NO_GPU || b->gpu == DASH_NO_GPU
                 ? b->gpu
                 : weigh(a->gpu, a->merged, b->gpu, b->merged);
    a->memory_total = b->memory_total;
    a->memory_free = b->memory_free;
    a->merged += b->merged;
    memcpy(w->loads + to * w->n_cpus, w->loads + from * w->n_cpus, w->n_cpus);
}

/* Behind place `to` go on with what stands from `from` on. */
static void close_up(struct dash_worker *w, size_t to, size_t from)
{
    memmove(w->samples + to, w->samples + from,
            (w->n_samples - from) * sizeof *w->samples);
    memmove(w->loads + to * w->n_cpus, w->loads + from * w->n_cpus,
            (w->n_samples - from) * w->n_cpus);
    w->n_samples -= from - to;
}

/* Coarse ones stand for twice as many. */
static void halve_coarse(struct dash_worker *w)
{
    size_t to = 0;
    for (size_t i = 0; i < w->n_coarse; i += 2, to++) {
        move_sample(w, to, i);
        if (i + 1 < w->n_coarse)
            merge_sample(w, to, i + 1);
    }
    close_up(w, to, w->n_coarse);
    w->n_coarse = to;
    w->width *= 2;
}

/* The older half of those that are single reports joins the coarse ones. */
static void thin_out(struct dash_worker *w)
{
    size_t to = w->n_coarse, end = w->n_coarse + (w->n_samples - w->n_coarse) / 2;
    for (size_t i = w->n_coarse; i < end; i++) {
        if (to && w->samples[to - 1].merged < w->width)
            merge_sample(w, to - 1, i);
        else
            move_sample(w, to++, i);
    }
    close_up(w, to, end);
    w->n_coarse = to;
    if (w->n_coarse >= w->max_samples / 2)
        halve_coarse(w);
}

static void make_room(struct dash_worker *w)
{
    size_t fit = BYTES_MAX / (sizeof *w->samples + w->n_cpus);
    fit = MIN(MAX(fit, SAMPLES_MIN), SAMPLES_MAX);
    if (w->n_samples < w->max_samples)
        return;
    if (w->max_samples >= fit) {
        thin_out(w);
        return;
    }
    w->max_samples = MIN(MAX(w->max_samples * 2, 16u), fit);
    w->samples = xrealloc(w->samples, w->max_samples * sizeof *w->samples);
    w->loads = xrealloc(w->loads, w->max_samples * w->n_cpus + 1);
}

static uint16_t average(uint64_t sum, size_t n)
{
    return (uint16_t)MIN(n ? sum / n : 0, 10000u);
}

static void add_gpus(const struct hw_gpus *g, uint64_t *sum, size_t *n)
{
    for (size_t i = 0; g->known && i < g->n; i++)
        *sum += g->gpus[i].load;
    *n += g->known ? g->n : 0;
}

void dash_worker_load(struct dash_worker *w, const struct hw_state *load,
                      uint64_t time_us)
{
    if (load->n_cpus != w->n_cpus) { /* the first one; or CPUs came and went */
        w->n_cpus = load->n_cpus;
        w->n_samples = w->max_samples = w->n_coarse = 0;
        w->width = 2;
    }
    if (w->n_samples && w->samples[w->n_samples - 1].time_us >= time_us)
        return;
    make_room(w);
    uint64_t cpu = 0, gpu = 0;
    size_t n_gpus = 0;
    uint8_t *loads = w->loads + w->n_samples * w->n_cpus;
    for (size_t i = 0; i < load->n_cpus; i++) {
        cpu += load->cpu_load[i];
        loads[i] = (uint8_t)MIN((load->cpu_load[i] + 50) / 100, 100u);
    }
    add_gpus(&load->nvidia, &gpu, &n_gpus);
    add_gpus(&load->amd, &gpu, &n_gpus);
    w->samples[w->n_samples++] =
        (struct dash_sample){.time_us = time_us,
                             .memory_total = load->memory_total,
                             .memory_free = MIN(load->memory_free, load->memory_total),
                             .cpu = average(cpu, load->n_cpus),
                             .gpu = n_gpus ? average(gpu, n_gpus) : DASH_NO_GPU,
                             .merged = 1};
}

const struct dash_sample *dash_sample(const struct dash_worker *w, uint64_t at_us,
                                      const uint8_t **cpus)
{
    size_t low = 0, high = w->n_samples;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (w->samples[mid].time_us <= at_us)
            low = mid + 1;
        else
            high = mid;
    }
    if (!low)
        return NULL;
    if (cpus)
        *cpus = w->loads + (low - 1) * w->n_cpus;
    return &w->samples[low - 1];
}
