/*
 * `hq log X grep`. A fixed text is first looked for in the blocks as they lie in the
 * files, by several threads; the tasks found are then read in order and cut into lines,
 * which may go over the borders of blocks.
 */
#include "cli/log_cmd.h"

#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "cli/log_batch.h"
#include "cli/log_find.h"
#include "cli/log_print.h"

struct grep {
    struct output *out;
    struct log_source s;
    struct log_choice choice;
    struct log_match match;
    struct log_printer printer;
    struct log_batch batch;
    struct log_find find;
    bool count, names;      /* -c, -l */
    uint64_t n_found;       /* lines, in all */
    struct outlog_entry at; /* of the channel being read */
    uint64_t n_in_channel;  /* lines found in it */
    bool named;             /* the task's name was printed */
    struct log_line line;   /* beginning of a line, from the block before */
    struct log_spill spill;
    uint64_t n_long; /* lines in which a long match may have been missed */
    int rc;          /* of what went wrong in printing it */
    struct error *err;
};

/* So much of a line is looked at as a whole. */
#define LINE_MEMORY ((size_t)16 << 20)

/* ---- lines of a task --------------------------------------------------------------
 */

static bool prints_lines(const struct grep *g)
{
    return !g->count && !g->names;
}

static void on_found(struct grep *g)
{
    g->n_found++;
    g->n_in_channel++;
}

static void on_line(struct grep *g, const struct outlog_entry *e, const uint8_t *line,
                    size_t n)
{
    if (!log_match_line(&g->match, line, n))
        return;
    on_found(g);
    if (prints_lines(g))
        log_printer_line(&g->printer, e, line, n);
}

static void add_piece(struct grep *g, const uint8_t *p, size_t n)
{
    if (!log_line_is_open(&g->line))
        g->line.e = g->at;
    if (g->rc == 0)
        g->rc = log_line_add(&g->line, &g->match, prints_lines(g) ? &g->spill : NULL,
                             LINE_MEMORY, p, n, g->err);
}

static void end_line(struct grep *g)
{
    struct log_line *l = &g->line;
    if (g->rc == 0 && log_line_is_open(l)) {
        bool wanted = log_line_matches(l, &g->match);
        if (g->match.is_regex && l->n_before > 0 && wanted == g->match.invert)
            g->n_long++;
        if (wanted)
            on_found(g);
        if (wanted && prints_lines(g))
            g->rc = log_printer_pieces(&g->printer, l, &g->spill, g->err);
    }
    log_line_clear(l, &g->spill);
}

static void end_channel(struct grep *g)
{
    end_line(g);
    if (g->n_in_channel && g->count) {
        log_printer_prefix(&g->printer, &g->at);
        output_printf(g->out, "%llu\n", (unsigned long long)g->n_in_channel);
    } else if (g->n_in_channel && g->names && !g->named) {
        output_printf(g->out, "%u.%u\n", g->at.key.job, g->at.key.task);
        g->named = true;
    }
    g->n_in_channel = 0;
}

static void on_data(void *arg, const struct outlog_entry *e, const uint8_t *p, size_t n)
{
    struct grep *g = arg;
    const uint8_t *end = p + n;
    g->at = *e;
    for (const uint8_t *feed; p < end && (feed = memchr(p, '\n', (size_t)(end - p)));
         p = feed + 1) {
        if (log_line_is_open(&g->line)) {
            add_piece(g, p, (size_t)(feed - p));
            end_line(g);
        } else {
            on_line(g, e, p, (size_t)(feed - p));
        }
    }
    if (p < end)
        add_piece(g, p, (size_t)(end - p));
}

/* Lines that were kept. */
static void print_hit(struct grep *g, uint64_t hit)
{
    const uint8_t *line;
    const struct log_hit *h = log_find_lines(&g->find, hit, &line);
    g->at = h->e;
    g->n_found += h->n_lines;
    g->n_in_channel = h->n_lines;
    for (size_t left = h->n; left > 0;) {
        size_t n = (size_t)((const uint8_t *)memchr(line, '\n', left) - line);
        log_printer_line(&g->printer, &h->e, line, n);
        line += n + 1;
        left -= n + 1;
    }
    end_channel(g);
}

#define MARK_TASK 0u
#define MARK_CHANNEL 1u /* ends */
#define MARK_HIT 2u     /* b: of log_find_hit */

static void on_mark(void *arg, uint64_t a, uint64_t b)
{
    struct grep *g = arg;
    if (a == MARK_TASK)
        g->named = false;
    else if (a == MARK_CHANNEL)
        end_channel(g);
    else
        print_hit(g, b);
}

static const struct log_batch_events events = {.on_mark = on_mark, .on_data = on_data};

static int add_run(void *arg, const struct outlog_run *run, struct error *err)
{
    static const uint8_t types[] = {OUTLOG_BLOCK_STDOUT, OUTLOG_BLOCK_STDERR};
    struct grep *g = arg;
    uint64_t hit = log_find_hit(&g->find, run);
    int rc = log_batch_mark(&g->batch, MARK_TASK, 0, err);
    if (rc == 0 && hit)
        return log_batch_mark(&g->batch, MARK_HIT, hit, err);
    for (size_t k = 0; k < ARRAY_SIZE(types) && rc == 0; k++) {
        for (size_t i = 0; i < run->n_refs && rc == 0; i++)
            if (run->refs[i].e.type == types[k] &&
                log_choice_has_block(&g->choice, &run->refs[i].e))
                rc = log_batch_add(&g->batch, &run->refs[i], err);
        if (rc == 0)
            rc = log_batch_mark(&g->batch, MARK_CHANNEL, 0, err);
    }
    return rc;
}

/* ---- the command --------------------------------------------------------------------
 */

static int grep_log(struct grep *g, struct error *err)
{
    /* A look at all blocks pays unless all or few tasks are wanted. */
    bool look_first = !g->match.is_regex && !g->match.invert && !g->choice.has_tasks;
    uint64_t *keys = NULL;
    size_t n = 0;
    g->err = err;
    log_find_init(&g->find, &g->s, &g->choice, &g->match, prints_lines(g));
    int rc = look_first ? log_find_tasks(&g->find, &keys, &n, err) : 0;
    log_batch_init(&g->batch, g->s.reader, &events, g);
    if (rc == 0)
        rc = keys ? log_find_walk(&g->find, keys, n, add_run, g, err)
                  : log_walk(&g->s, &g->choice, add_run, g, err);
    if (rc == 0)
        rc = log_batch_flush(&g->batch, err);
    log_batch_release(&g->batch);
    log_find_release(&g->find);
    free(keys);
    if (g->n_long)
        log_warn(
            "%llu lines of more than 16 MiB: matches of more than 1 MiB in them may "
            "have been missed",
            (unsigned long long)g->n_long);
    return rc < 0 ? rc : g->rc;
}

int log_cmd_grep(struct run *r, struct error *err)
{
    const struct args *a = r->args;
    struct grep g = {.out = r->out,
                     .count = args_flag(a, "count"),
                     .names = args_flag(a, "tasks-with-matches"),
                     .spill = LOG_SPILL_INIT};
    log_line_init(&g.line);
    int rc = log_source_open(&g.s, r, err);
    if (rc == 0)
        rc = log_choice_read(&g.choice, &g.s, r, err);
    if (rc == 0)
        rc = log_match_init(&g.match, args_str(a, "PATTERN"),
                            args_flag(a, "extended-regexp"),
                            args_flag(a, "ignore-case"), err);
    g.match.invert = args_flag(a, "invert-match");
    if (rc == 0)
        rc = log_printer_init(&g.printer, r->out, &g.s, err);
    g.printer.mark = ":";
    if (rc == 0)
        rc = grep_log(&g, err);
    if (rc == 0) {
        output_no_value(r->out);
        r->status = g.n_found ? 0 : 1;
    }
    log_line_release(&g.line);
    log_spill_release(&g.spill);
    log_printer_release(&g.printer);
    log_match_release(&g.match);
    log_choice_release(&g.choice);
    log_source_release(&g.s);
    return rc;
}
