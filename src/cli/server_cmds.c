/* hq server stop, info, generate-access, debug-dump, wait */
#include "cli/cmds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/duration.h"
#include "base/log.h"
#include "base/path.h"
#include "cli/server_text.h"
#include "cli/session.h"
#include "client/access.h"
#include "client/requests.h"

#define WAIT_STEP_US 250000
#define UID_LENGTH 6

int server_stop_run(struct run *r, struct error *err)
{
    struct client *c = NULL;
    struct msg_REQ_SERVER_STOP req;
    struct span body;
    int rc = session_open(r, &c, err);
    if (rc)
        return rc;
    memset(&req, 0, sizeof req);
    log_info("Stopping server");
    msg_put_REQ_SERVER_STOP(client_batch(c), &req);
    rc = client_call(c, MSG_RSP_OK, &body, err);
    /* A server that ended before its answer left has done what was asked. */
    if (rc == ERR_CLOSED)
        rc = 0;
    client_close(c);
    return rc;
}

int server_info_run(struct run *r, struct error *err)
{
    struct client *c = NULL;
    struct server_info info;
    int rc = session_open(r, &c, err);
    if (rc)
        return rc;
    rc = client_server_info(c, &info, err);
    if (rc == 0) {
        rc = server_text_info(r->out, &info, NULL, err);
        server_info_release(&info);
    }
    client_close(c);
    return rc;
}

int server_debug_dump_run(struct run *r, struct error *err)
{
    struct client *c = NULL;
    struct span body;
    int rc = session_open(r, &c, err);
    if (rc)
        return rc;
    char *cwd = path_cwd();
    char *path = cwd ? path_join(cwd, args_str(r->args, "PATH")) : NULL;
    if (path) {
        struct msg_REQ_DEBUG_DUMP req = {.path = span_str(path)};
        log_info("Dumping server state ...");
        msg_put_REQ_DEBUG_DUMP(client_batch(c), &req);
        rc = client_call(c, MSG_RSP_OK, &body, err);
        if (rc == 0)
            log_info("Dump finished");
    } else {
        rc = error_sys(err, "cannot find the current directory");
    }
    free(path);
    free(cwd);
    client_close(c);
    return rc;
}

/* --- wait --------------------------------------------------------------- */

static bool is_reachable(const char *dir)
{
    struct client *c = NULL;
    bool reached = session_connect(dir, &c, NULL) == 0;
    client_close(c);
    return reached;
}

int server_wait_run(struct run *r, struct error *err)
{
    uint64_t timeout_ns = args_duration_ns(r->args, "timeout", 0);
    uint64_t deadline_us = clock_mono_us() + timeout_ns / NS_PER_US;
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    char *dir = session_server_dir(r);
    duration_print(timeout_ns / NS_PER_S * NS_PER_S, &text);
    log_info("Waiting for server to become available (timeout: %s)...",
             buf_cstr(&text));
    bool reached = is_reachable(dir);
    while (!reached) {
        uint64_t now = clock_mono_us();
        if (now >= deadline_us)
            break;
        usleep((useconds_t)MIN(deadline_us - now, (uint64_t)WAIT_STEP_US));
        reached = is_reachable(dir);
    }
    int rc = 0;
    if (reached)
        log_info("Successfully connected to server");
    else
        rc = error_set(
            err, ERR_TIMEOUT,
            "Timeout after %s: Could not connect to server at `%s`. Make sure "
            "that the server is running.",
            buf_cstr(&text), dir);
    free(dir);
    buf_release(&text);
    return rc;
}

/* --- generate-access ---------------------------------------------------- */

struct role {
    const char *name;
    const char *host;
    uint32_t port;
    uint8_t key[CHANNEL_KEY_BYTES];
};

static void json_role(struct json *j, const struct role *role)
{
    struct buf hex = BUF_INIT(BUF_MAX_DEFAULT);
    channel_key_print(role->key, &hex);
    json_key(j, role->name);
    json_begin_object(j);
    json_kstr(j, "host", role->host);
    json_kuint(j, "port", role->port);
    json_kstr(j, "secret_key", buf_cstr(&hex));
    json_end_object(j);
    buf_release(&hex);
}

/* Roles that are NULL are left out, and so is a NULL uid. */
static int write_record(const char *path, const char *uid, const struct role *client,
                        const struct role *worker, struct error *err)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    struct json j;
    if (!path)
        return 0;
    json_init(&j, &text, true, -1);
    json_begin_object(&j);
    json_kstr(&j, "version", HQ_VERSION);
    if (uid)
        json_kstr(&j, "server_uid", uid);
    if (client)
        json_role(&j, client);
    if (worker)
        json_role(&j, worker);
    json_end_object(&j);
    log_info("Storing access file as '%s'", path);
    struct error why = ERROR_INIT;
    int rc = path_write_new(path, text.data, text.len, 0400, &why);
    if (rc == ERR_EXISTS)
        why.sys = EEXIST;
    if (rc && why.sys)
        error_errno(err, why.sys, "%s", "");
    else if (rc)
        error_set(err, rc, "%s", why.text);
    buf_release(&text);
    return rc;
}

static const char *pick(const struct run *r, const char *name, const char *other)
{
    const char *value = args_str(r->args, name);
    return value ? value : other;
}

/* Six random letters and digits. */
static void make_uid(char uid[UID_LENGTH + 1])
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    uint32_t random[UID_LENGTH];
    channel_random(random, sizeof random);
    for (size_t i = 0; i < UID_LENGTH; i++)
        uid[i] = letters[random[i] % (sizeof letters - 1)];
    uid[UID_LENGTH] = '\0';
}

int server_generate_access_run(struct run *r, struct error *err)
{
    char name[ACCESS_HOST_MAX] = "localhost", uid[UID_LENGTH + 1];
    if (gethostname(name, sizeof name - 1))
        return error_sys(err, "cannot find the name of this machine");
    const char *host = pick(r, "host", name);
    struct role client = {.name = "client",
                          .host = pick(r, "client-host", host),
                          .port = args_u32(r->args, "client-port", 0)};
    struct role worker = {.name = "worker",
                          .host = pick(r, "worker-host", host),
                          .port = args_u32(r->args, "worker-port", 0)};
    channel_random(client.key, sizeof client.key);
    channel_random(worker.key, sizeof worker.key);
    make_uid(uid);
    int rc = write_record(args_str(r->args, "ACCESS_FILE"), uid, &client, &worker, err);
    if (rc == 0)
        rc = write_record(args_str(r->args, "client-file"), NULL, &client, NULL, err);
    if (rc == 0)
        rc = write_record(args_str(r->args, "worker-file"), NULL, NULL, &worker, err);
    return rc;
}
