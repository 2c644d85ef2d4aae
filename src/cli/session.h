/* Talking to the server, for command bodies. */
#ifndef HQ_CLI_SESSION_H
#define HQ_CLI_SESSION_H

#include "args/args.h"
#include "base/table.h"
#include "client/client.h"
#include "model/job.h"

/* Connects to the server of that directory; of --server-dir. Both warn when it takes
 * anyone. */
int session_connect(const char *server_dir, struct client **c,
                    struct error *err) MUST_CHECK;
int session_open(const struct run *r, struct client **c, struct error *err) MUST_CHECK;
/* "<server dir>" as messages name it; malloc'ed. */
char *session_server_dir(const struct run *r);

/* The selector of a positional, encoded for a request. */
int session_selector(const struct run *r, const char *name, struct buf *out,
                     struct error *err) MUST_CHECK;
/* One id or "last". */
struct job_ref {
    uint32_t id;
    bool last;
};
struct job_ref session_job_ref(const struct run *r, const char *name);

/* Id of the server, as %{SERVER_UID} stands for it; malloc'ed. */
int session_server_uid(struct client *c, char **uid, struct error *err) MUST_CHECK;

/* The states given to a list option, as bits of enum job_state; all when not given. */
uint32_t session_states(const struct run *r, const char *name);

/* Prints the table into the output and releases it. */
int output_table(struct output *o, struct table *t, struct error *err) MUST_CHECK;
enum table_colour task_state_colour(enum task_state state);
enum table_colour job_state_colour(enum job_state state);

/* Points in time and durations for JSON. */
void json_time(struct json *j, const char *key, uint64_t us);
void json_seconds(struct json *j, const char *key, uint64_t ns);
/* As json_seconds; 0 is null. */
void json_seconds_or_null(struct json *j, const char *key, uint64_t ns);
/* "5m 3s", or the word when 0. DURATION_ZERO_NS is 0 in both. Appends to *out. */
void duration_or(uint64_t ns, const char *word, struct buf *out);

#endif
