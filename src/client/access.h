/*
 * Finding and reading access.json (reference of server and workers, section 2), and
 * connecting with what it says. Texts are those of the reference, section 12.
 */
#ifndef HQ_CLIENT_ACCESS_H
#define HQ_CLIENT_ACCESS_H

#include "base/error.h"
#include "base/util.h"
#include "client/client.h"
#include "wire/access.h"

struct access_record {
    char *version;
    char *server_uid; /* "" when the file does not say */
    bool has_client, has_worker;
    struct access_part client, worker;
};
void access_release(struct access_record *a);

/* `--server-dir` made absolute (as it is when there is no current directory);
 * "$HOME/.hq-server" when NULL. Malloc'ed; NULL: out of memory. */
char *access_server_dir(const char *option);
/* The directory that holds access.json for this root: <dir>/hq-current when that is a
 * directory, else <dir>. Malloc'ed; NULL: out of memory. */
char *access_run_dir(const char *server_dir);
/*
 * Reads one file. Codes: ERR_SYSTEM (errno in err->sys), ERR_PARSE ("Serialization
 * error: …"), ERR_VERSION ("Hyperqueue version mismatch detected.\n…"). `need_client`,
 * `need_worker`: that part must be there ("missing field `client` …").
 */
int access_read(const char *path, bool need_client, bool need_worker,
                struct access_record *out, struct error *err) MUST_CHECK;

/* How a client reaches the server of the directory, and its connection; the texts are
 * those of section 12. timeout_ms as in client_connect. */
int access_find(const char *server_dir, struct access_part *out,
                struct error *err) MUST_CHECK;
int access_reach(const char *server_dir, const struct access_part *part,
                 uint32_t timeout_ms, struct client **out,
                 struct error *err) MUST_CHECK;
/* What a worker reads at its start and at each reconnect. */
int access_worker(const char *server_dir, struct access_part *out,
                  struct error *err) MUST_CHECK;

#endif
