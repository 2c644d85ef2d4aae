/*
 * The journal: an append-only file of records, each a run of encoded events
 * (model/event.h) that were applied together. Format: docs/format-journal.md.
 *
 * The file is written by one thread of its own; the loop thread appends records to a
 * queue and learns how far writing and syncing got. It is locked against a second
 * server. A torn last record is normal after a crash and is cut off at the next start;
 * a damaged record with whole ones behind it is corruption and refused with its offset.
 */
#ifndef HQ_JOURNAL_JOURNAL_H
#define HQ_JOURNAL_JOURNAL_H

#include "base/buf.h"
#include "base/cursor.h"
#include "base/error.h"
#include "base/u64map.h"

#define JOURNAL_RECORD_MAX ((size_t)1 << 30)
#define JOURNAL_UID_MAX 32 /* bytes of a server uid, NUL included */

/* One event of the file; a non-zero return ends the reading with that code. */
typedef int journal_event_fn(void *arg, struct span event, struct error *err);

/* A place where the file is damaged, with whole records behind it: `err` names the
 * offsets. true: go on there. */
typedef bool journal_damage_fn(void *arg, const struct error *err);

struct journal_header {
    char server_uid[JOURNAL_UID_MAX];
    uint64_t created_us;
    /* Ids of jobs and workers up to these were given before it was pruned, although
     * nothing in it may tell so; 0: none, or never pruned. */
    uint32_t last_job, last_worker;
};

/*
 * Reads a whole journal; takes no lock. `torn` (may be NULL) receives the number of
 * bytes behind the last whole record; `fn` may be NULL, and so may `damage`: damage
 * ends the reading with ERR_CORRUPT then. ERR_NOT_FOUND: there is no such file, or it
 * is empty or ends within the header, as a crash at creation leaves it (journal_open
 * makes it anew). ERR_CORRUPT: no journal, or damaged. ERR_VERSION. The texts of the
 * first two and of system errors do not name the path: callers that need it prefix it.
 */
int journal_read(const char *path, struct journal_header *header, journal_event_fn *fn,
                 journal_damage_fn *damage, void *arg, uint64_t *torn,
                 struct error *err) MUST_CHECK;

struct journal; /* opaque */

/* Called from the journal thread when journal_progress has news. */
typedef void journal_notify_fn(void *arg);

struct journal_config {
    const char *path;
    const char *server_uid; /* of a new file */
    uint64_t now_us;        /* creation time of a new file */
    /* fdatasync at least that often while something is not synced */
    uint64_t flush_period_ns;
    uint64_t *torn; /* may be NULL: bytes that were cut off the end go here */
    journal_notify_fn *notify;
    void *arg;
};
/*
 * Opens for appending behind the last whole record (cutting a torn tail off), or makes
 * the file. ERR_BUSY: another server holds it. Who reads what it goes on from reads
 * behind this call: before it, the last server may still have been writing.
 */
int journal_open(const struct journal_config *config, struct journal **out,
                 struct error *err) MUST_CHECK;
/* Writes and syncs what is queued, ends the thread, closes. 0, or the error of a
 * failure that was not resumed from. NULL is legal. */
int journal_close(struct journal *j, struct error *err);

/* Appends one record: one or more events, each behind its varint length; copies.
 * Returns its sequence number (1, 2, …). Never blocks on the disk. An empty or too
 * large record counts as a failed write. */
uint64_t journal_append(struct journal *j, const void *events, size_t n);
/* Sequence number of the last record appended; 0: none. */
uint64_t journal_appended(const struct journal *j);
/* Asks that everything up to `seq` be synced soon. */
void journal_want_sync(struct journal *j, uint64_t seq);

struct journal_progress {
    uint64_t written;   /* records up to this one are in the file */
    uint64_t synced;    /* … and survive a crash of the machine */
    uint64_t end;       /* offset in the file behind the last written one */
    uint64_t failed;    /* 0, or the first record that is not in the file, as are all
                           behind it until journal_resume; all before are synced. After
                           a failed sync it lies before records once told as written */
    bool prune_over;    /* journal_prune_take is due */
    struct error error; /* when failed: "journal: no space left on device" */
};
void journal_progress(struct journal *j, struct journal_progress *p);
/* Another descriptor of the file, to read from with pread(2); the caller's. No pruning
 * must be over that was not taken (journal_prune_take). */
int journal_dup(struct journal *j, int *fd, struct error *err) MUST_CHECK;
/* After a failure: append again (the disk may have room by now). */
void journal_resume(struct journal *j);

/* What a pruning keeps: later ids than the last ones, and those in the sets. */
struct journal_keep {
    uint32_t last_job, last_worker;
    struct u64map jobs, workers;
};
void journal_keep_release(struct journal_keep *k);
/*
 * Starts to drop all events about other jobs and workers, and marks of logs before
 * their last one, by writing a file "<path>.tmp" and renaming it over the journal.
 * Appending goes on meanwhile. The end of it is told by `notify` and prune_over. Takes
 * *keep on success. ERR_BUSY: one is under way.
 */
int journal_prune(struct journal *j, struct journal_keep *keep,
                  struct error *err) MUST_CHECK;
struct journal_pruned {
    struct error error; /* code 0: it went well; else the journal is as it was */
    /* What stands behind old_end of the old file begins at new_end of the new one. */
    uint64_t old_end, new_end;
};
void journal_prune_take(struct journal *j, struct journal_pruned *out);

#endif
