/*
 * Connections to a server. Since 0.30.
 *
 * Threads: a client is for one thread at a time; several clients are independent of
 * each other. After fork() a client may only be used, and closed, by one of the
 * processes.
 *
 * A client whose connection is lost connects again at its next call, with what the
 * server directory says then: a server that was started again is found. Nothing is ever
 * sent twice by itself.
 */
#ifndef HQ_CLIENT_H
#define HQ_CLIENT_H

#include <hq/error.h>
#include <stdint.h>

HQ_BEGIN_DECLS

struct hq_client; /* opaque */

/*
 * Connects to the server of that directory, the one of `hq server start --server-dir`.
 * NULL: that of the variable HQ_SERVER_DIR, else $HOME/.hq-server. *client belongs to
 * the caller. HQ_ERR_NOT_FOUND, HQ_ERR_SYSTEM, HQ_ERR_TIMEOUT: no server that answers;
 * HQ_ERR_AUTH, HQ_ERR_VERSION: not one for us; HQ_ERR_PARSE: what the directory says of
 * it makes no sense. A server that was started without keys is taken as it is.
 */
HQ_API int hq_connect(const char *server_dir, struct hq_client **client,
                      struct hq_error *err) HQ_CHECK;
/* Frees the client; NULL is fine. Jobs go on. */
HQ_API void hq_disconnect(struct hq_client *client);

/*
 * How long the server may stay silent while an answer is awaited, in milliseconds; then
 * the call fails with HQ_ERR_TIMEOUT. 0, as at the beginning: for ever. Waiting for
 * jobs has a limit of its own. Connecting itself takes 15 s at most a step.
 */
HQ_API void hq_set_timeout(struct hq_client *client, uint32_t timeout_ms);

/* Made by the library; later versions may add members at the end. */
struct hq_server {
    const char *uid;         /* differs from one run of a server to the next */
    const char *version;     /* of hq */
    const char *client_host; /* where clients connect to */
    const char *worker_host;
    const char *journal; /* file of the journal, or NULL */
    uint64_t started_us; /* microseconds since 1970 UTC */
    uint32_t pid;
    uint16_t client_port, worker_port;
};
/* *server is freed with hq_server_free and outlives the client. */
HQ_API int hq_server_get(struct hq_client *client, struct hq_server **server,
                         struct hq_error *err) HQ_CHECK;
HQ_API void hq_server_free(struct hq_server *server); /* NULL is fine */

HQ_END_DECLS

#endif
