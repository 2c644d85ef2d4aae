/*
 * The server process: `hq server start`. One loop thread owns all state; a journal
 * thread writes. Everything a client or worker can ask for goes through
 * wire/messages.def.
 */
#ifndef HQ_SERVER_SERVER_H
#define HQ_SERVER_SERVER_H

#include "base/error.h"
#include "base/util.h"
#include "wire/channel.h"
#include "wire/views.h"

struct server_role_config {
    const char *host; /* written into the access record */
    uint16_t port;    /* 0: any free one */
    bool has_key;     /* false: neither authentication nor encryption */
    uint8_t key[CHANNEL_KEY_BYTES];
};

struct server_config {
    const char *server_dir;   /* root; run directories are made in it */
    const char *journal_path; /* as given; NULL: no journal */
    const char *uid;          /* of an access file; NULL or empty: make one */
    struct server_role_config client, worker;
    uint64_t idle_timeout_ns; /* for workers that set none; 0: none */
    uint64_t journal_flush_period_ns;
    uint32_t keep_completed; /* restored completed jobs at most */
    /* Called once the server is reachable: prints what `server start` prints. */
    void (*on_started)(void *arg, const struct server_info *info,
                       const char *server_dir);
    void *arg;
};

/* Runs until stopped. 0 after an orderly stop. */
int server_run(const struct server_config *config, struct error *err) MUST_CHECK;

#endif
