/* `hq log X cat`. */
#include "cli/log_cmd.h"

#include "cli/log_batch.h"
#include "cli/log_choice.h"
#include "cli/log_follow.h"

/* ---- cat --------------------------------------------------------------------------
 */

struct cat {
    struct output *out;
    struct log_source s;
    struct log_choice choice;
    struct log_batch batch;
};

static int cat_check(void *arg UNUSED, const struct outlog_run *run, struct error *err)
{
    if (run->finished)
        return 0;
    return error_set(err, ERR_INVALID, "Stream for task %u is not finished", run->task);
}

static void write_piece(void *arg, const struct outlog_entry *e UNUSED,
                        const uint8_t *p, size_t n)
{
    output_write(arg, p, n);
}

static const struct log_batch_events cat_events = {.on_data = write_piece};

static int cat_run(void *arg, const struct outlog_run *run, struct error *err)
{
    struct cat *c = arg;
    int rc = 0;
    for (size_t i = 0; i < run->n_refs && rc == 0; i++)
        if (log_choice_has_block(&c->choice, &run->refs[i].e))
            rc = log_batch_add(&c->batch, &run->refs[i], err);
    return rc;
}

static int existing(void *arg UNUSED, const struct outlog_run *run UNUSED,
                    struct error *err UNUSED)
{
    return 0;
}

static int cat_new(void *arg, const struct outlog_entry *e UNUSED, const uint8_t *data,
                   size_t n, struct error *err UNUSED)
{
    output_write(arg, data, n);
    return 0;
}

static int print_runs(struct cat *c, struct error *err)
{
    log_batch_init(&c->batch, c->s.reader, &cat_events, c->out);
    int rc = log_walk(&c->s, &c->choice, cat_run, c, err);
    if (rc == 0)
        rc = log_batch_flush(&c->batch, err);
    log_batch_release(&c->batch);
    return rc;
}

/* What is there now, then what comes. */
static int cat_follow(struct cat *c, const struct run *r, struct error *err)
{
    struct log_follow f;
    int rc = log_follow_begin(&f, r, &c->s, &c->choice, err);
    if (rc == 0)
        rc = print_runs(c, err);
    if (rc == 0)
        rc = log_follow_run(&f, cat_new, c->out, err);
    log_follow_release(&f);
    return rc;
}

/* Nothing is printed unless all of it can be. */
static int cat_whole(struct cat *c, bool unfinished, struct error *err)
{
    int rc = log_choice_settle_job(&c->choice, &c->s, err);
    c->choice.must_exist = !c->choice.any_job;
    if (rc == 0)
        rc = log_walk(&c->s, &c->choice, unfinished ? existing : cat_check, c, err);
    return rc < 0 ? rc : print_runs(c, err);
}

int log_cmd_cat(struct run *r, struct error *err)
{
    struct cat c = {.out = r->out};
    int rc = log_source_open(&c.s, r, err);
    if (rc == 0)
        rc = log_choice_read(&c.choice, &c.s, r, err);
    if (rc == 0)
        rc = c.s.follow ? cat_follow(&c, r, err)
                        : cat_whole(&c, args_flag(r->args, "allow-unfinished"), err);
    if (rc == 0)
        output_no_value(r->out);
    log_choice_release(&c.choice);
    log_source_release(&c.s);
    return rc;
}
