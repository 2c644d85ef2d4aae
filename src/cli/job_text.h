/* Texts about jobs and tasks that several tables share. All append. */
#ifndef HQ_CLI_JOB_TEXT_H
#define HQ_CLI_JOB_TEXT_H

#include "args/output.h"
#include "client/job_view.h"

/* "[####....]" and one "STATE (n)" a line. */
void print_progress_bar(const struct task_counts *counts, const struct output *o,
                        struct buf *out);
/* "cpus: 1 compact" one per line, "nodes: 2", variants under headings. */
void print_request(const struct request *r, struct buf *out);
/* One word a line, wrapped at 80 columns. */
void print_command(const struct submit *s, uint32_t argv, struct buf *out);
/* "KEY=VALUE" a line; names that start with "HQ_" are left out. */
void print_environment(const struct task_body *body, struct buf *out);
/* The path, "<None>" or "<Stream>". */
void print_stdio(const struct task_body *body, const struct stdio_spec *spec,
                 const char *path, struct buf *out);
void print_crash_limit(uint32_t limit, struct buf *out);
const char *pin_word(uint8_t pin);
void print_time_limit(uint64_t ns, struct buf *out); /* "1h 5m", "None" */
/* Ids of all tasks: of one array in the order given, else ascending. */
int print_task_ids(const struct job_view *v, struct buf *out,
                   struct error *err) MUST_CHECK;
/* At most `max` bytes and "..." behind a cut; whether it was cut. */
bool print_cut(const char *text, size_t max, struct buf *out);

#endif
