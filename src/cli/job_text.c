#include "cli/job_text.h"

#include <stdlib.h>
#include <string.h>
#include "base/duration.h"
#include "base/text.h"
#include "base/xmem.h"
#include "cli/session.h"

#define BAR_CELLS 40
#define COMMAND_COLUMNS 80

void print_progress_bar(const struct task_counts *counts, const struct output *o,
                        struct buf *out)
{
    static const struct {
        enum task_state state;
        enum colour colour;
    } order[] = {{TASK_CANCELED, COLOUR_MAGENTA},
                 {TASK_FAILED, COLOUR_RED},
                 {TASK_FINISHED, COLOUR_GREEN},
                 {TASK_RUNNING, COLOUR_YELLOW},
                 {TASK_ABORTED, COLOUR_RED}};
    uint64_t total = 0, used = 0;
    for (size_t s = 0; s < TASK_STATE_COUNT; s++)
        total += counts->n[s];
    buf_putc(out, '[');
    for (size_t i = 0; total && i < ARRAY_SIZE(order); i++) {
        uint64_t cells =
            (counts->n[order[i].state] * (uint64_t)BAR_CELLS + total - 1) / total;
        cells = MIN(cells, BAR_CELLS - used);
        if (!cells)
            continue;
        buf_puts(out, output_colour_on(o, order[i].colour));
        for (uint64_t k = 0; k < cells; k++)
            buf_putc(out, '#');
        buf_puts(out, output_colour_off(o));
        used += cells;
    }
    for (; used < BAR_CELLS; used++)
        buf_putc(out, '.');
    buf_putc(out, ']');
}

/* --- requests ----------------------------------------------------------- */

static int compare_entries(const void *a, const void *b)
{
    return strcmp((*(const struct request_entry *const *)a)->name,
                  (*(const struct request_entry *const *)b)->name);
}

static void print_variant(const struct request_variant *v, struct buf *out)
{
    if (v->n_nodes) {
        buf_printf(out, "nodes: %u", v->n_nodes);
        return;
    }
    const struct request_entry **sorted = xcalloc(v->n_entries + 1, sizeof *sorted);
    for (size_t i = 0; i < v->n_entries; i++)
        sorted[i] = &v->entries[i];
    qsort(sorted, v->n_entries, sizeof *sorted, compare_entries);
    for (size_t i = 0; i < v->n_entries; i++) {
        buf_printf(out, "%s%s: ", i ? "\n" : "", sorted[i]->name);
        request_value_print(sorted[i]->policy, sorted[i]->amount, out);
    }
    free(sorted);
    if (v->weight != AMOUNT_ONE) {
        buf_printf(out, "%s[weight: ", v->n_entries ? "\n" : "");
        amount_print(v->weight, out);
        buf_putc(out, ']');
    }
}

void print_request(const struct request *r, struct buf *out)
{
    if (r->n_variants == 1) {
        print_variant(&r->variants[0], out);
        return;
    }
    for (size_t i = 0; i < r->n_variants; i++) {
        buf_printf(out, "%s# Variant %zu\n", i ? "\n\n" : "", i + 1);
        print_variant(&r->variants[i], out);
    }
}

/* --- descriptions ------------------------------------------------------- */

/* Bytes of the line that fit; the rest goes on in the next one. */
static size_t line_fit(const char *line, size_t n)
{
    if (text_width(line, n) <= COMMAND_COLUMNS)
        return n;
    size_t fit = 0, blank = 0;
    for (size_t at = 0; at < n;) {
        size_t next = at + 1;
        while (next < n && ((unsigned char)line[next] & 0xc0) == 0x80)
            next++;
        if (text_width(line, next) > COMMAND_COLUMNS)
            break;
        if (line[at] == ' ')
            blank = next;
        fit = next;
        at = next;
    }
    if (fit < n && line[fit] == ' ')
        return fit + 1;
    return blank ? blank : MAX(fit, (size_t)1);
}

static void print_wrapped(const char *word, struct buf *out)
{
    for (bool first = true; first || *word; first = false) {
        size_t n = strcspn(word, "\n");
        const char *next = word + n + (word[n] == '\n');
        while (n) {
            size_t fit = line_fit(word, n);
            buf_append(out, word, fit);
            word += fit;
            n -= fit;
            if (n)
                buf_putc(out, '\n');
        }
        word = next;
        if (*word)
            buf_putc(out, '\n');
    }
}

void print_command(const struct submit *s, uint32_t argv, struct buf *out)
{
    size_t n;
    char **words = submit_argv(s, argv, &n);
    for (size_t i = 0; words && i < n; i++) {
        if (i)
            buf_putc(out, '\n');
        print_wrapped(words[i], out);
    }
    free(words);
}

void print_environment(const struct task_body *body, struct buf *out)
{
    bool any = false;
    for (size_t i = 0; i < body->n_env; i++) {
        if (strncmp(body->env[i].key, "HQ_", 3) == 0)
            continue;
        buf_printf(out, "%s%s=%s", any ? "\n" : "", body->env[i].key,
                   body->env[i].value);
        any = true;
    }
}

void print_stdio(const struct task_body *body, const struct stdio_spec *spec,
                 const char *path, struct buf *out)
{
    switch (stdio_effective(body, spec)) {
    case STDIO_NONE:
        buf_puts(out, "<None>");
        break;
    case STDIO_STREAM:
        buf_puts(out, "<Stream>");
        break;
    case STDIO_DEFAULT:
    case STDIO_FILE:
        buf_puts(out, path ? path : "");
        break;
    }
}

void print_crash_limit(uint32_t limit, struct buf *out)
{
    if (limit == CRASH_LIMIT_NEVER_RESTART)
        buf_puts(out, "never-restart");
    else if (limit == CRASH_LIMIT_UNLIMITED)
        buf_puts(out, "unlimited");
    else
        buf_printf(out, "%u", limit);
}

const char *pin_word(uint8_t pin)
{
    static const char *const words[] = {[PIN_NONE] = "none",
                                        [PIN_TASKSET] = "taskset",
                                        [PIN_OMP] = "omp",
                                        [PIN_OFF] = "none"};
    return pin < ARRAY_SIZE(words) ? words[pin] : "unknown";
}

void print_time_limit(uint64_t ns, struct buf *out)
{
    duration_or(ns, "None", out);
}

int print_task_ids(const struct job_view *v, struct buf *out, struct error *err)
{
    struct idset ids = IDSET_INIT, sorted = IDSET_INIT;
    const struct job_detail *d = &v->detail;
    bool several = d->n_submits > 1 || (d->n_submits && d->submits[0].graph);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < v->n_groups; i++)
        rc = group_ids(v->groups[i].submit, v->groups[i].group, &ids);
    if (rc == 0 && several)
        rc = idset_sorted(&sorted, &ids);
    if (rc == 0)
        idset_print(several ? &sorted : &ids, out);
    else
        rc = error_nomem(err);
    idset_release(&ids);
    idset_release(&sorted);
    return rc;
}

bool print_cut(const char *text, size_t max, struct buf *out)
{
    size_t n = strlen(text);
    bool cut = n >= max;
    buf_append(out, text, cut ? text_cut(text, max) : n);
    if (cut)
        buf_puts(out, "...");
    return cut;
}
