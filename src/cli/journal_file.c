#include "cli/journal_file.h"

#include "base/log.h"
#include "history/track.h"
#include "journal/journal.h"

struct telling {
    struct track *track;
    uint64_t malformed;
};

static int take_event(void *arg, struct span event, struct error *err)
{
    struct telling *t = arg;
    int rc = track_event(t->track, event, err);
    if (rc != ERR_CORRUPT)
        return rc;
    if (t->malformed++ == 0)
        log_error("%s; it is left out", err->text);
    return 0;
}

static bool take_damage(void *arg UNUSED, const struct error *err)
{
    log_error("%s; what lies between is left out", err->text);
    return true;
}

/* What was passed over, beyond what was logged already. */
static void report_rest(const struct telling *t)
{
    uint64_t unknown = track_unknown(t->track);
    if (t->malformed > 1)
        log_error("%llu more malformed events are left out",
                  (unsigned long long)t->malformed - 1);
    if (unknown)
        log_warn(
            "%llu events are left out, since the submits of their jobs are missing",
            (unsigned long long)unknown);
}

int journal_file_tell(const char *path, told_fn *fn, void *arg, struct error *err)
{
    struct telling t = {.track = track_create(fn, arg)};
    if (!t.track)
        return error_nomem(err);
    int rc = journal_read(path, NULL, take_event, take_damage, &t, NULL, err);
    if (rc != 0 && err->text[0]) /* else `fn` ended it */
        rc = error_prefix(err, "Cannot open event log file at `%s`: ", path);
    else if (rc == 0)
        report_rest(&t);
    track_destroy(t.track);
    return rc;
}
