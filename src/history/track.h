/*
 * struct track: reads encoded events in their order and tells what they mean (told.h).
 *
 * Events name tasks by slot, fold many into one entry and leave out what follows from
 * others: the start of a task whose end comes with it, the tasks that a cancel ends,
 * the completion of a job. To tell that, the tracker keeps for every job that is not
 * completed its ids and two bits a task; completed jobs are one bit.
 *
 * Events that do not apply, as an end of a task that was cancelled before, tell
 * nothing. Events about jobs whose submission never came are counted (track_unknown).
 *
 * Two kinds of source: a journal is complete and in order. The history that a server
 * makes up from its memory tells of each job first that it was opened, whether it is
 * closed and which tasks it has, then of its tasks in any order; starts and ends may
 * come again among the live events.
 */
#ifndef HQ_HISTORY_TRACK_H
#define HQ_HISTORY_TRACK_H

#include "history/told.h"

struct track;

/* `fn` is called within track_event. NULL: out of memory. */
struct track *track_create(told_fn *fn, void *arg);
void track_destroy(struct track *t);

/*
 * One encoded event. ERR_CORRUPT: malformed or of an unknown type; what it told before
 * the malformed place stays told. ERR_NOMEM. What `fn` returned, without a text.
 */
int track_event(struct track *t, struct span event, struct error *err) MUST_CHECK;

/* The past comes from a server's memory; to be called before the first event. */
void track_from_memory(struct track *t);
/* The past is complete: what comes from now on happens now. Jobs are told to be idle
 * only from here on. */
int track_live(struct track *t, struct error *err) MUST_CHECK;

/* A live message of a task. */
void track_notify(struct track *t, uint32_t job, uint32_t task, uint32_t worker,
                  struct span message, uint64_t time_us);

/* Events of jobs that were never submitted, as far as this tracker knows. */
uint64_t track_unknown(const struct track *t);

/* Id of the task at a slot of the job. */
uint32_t tracked_task_id(const struct tracked_job *job, uint32_t slot);

#endif
