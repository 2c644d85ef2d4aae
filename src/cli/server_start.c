/* hq server start */
#include "cli/cmds.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "client/access.h"
#include "cli/server_text.h"
#include "cli/session.h"
#include "server/server.h"

static void take_part(struct server_role_config *role, const struct access_part *part)
{
    role->host = part->host;
    role->port = part->port;
    role->has_key = part->has_key;
    memcpy(role->key, part->key, sizeof role->key);
}

static void make_key(const struct run *r, struct server_role_config *role,
                     const char *disabled)
{
    role->has_key = !args_flag(r->args, disabled);
    if (role->has_key)
        channel_random(role->key, sizeof role->key);
}

/* Hosts, ports and keys: the access file, else new keys; options beat the file. */
static int fill_roles(const struct run *r, struct access_record *record, char *name,
                      struct server_config *config, struct error *err)
{
    const char *path = args_str(r->args, "access-file");
    const char *host = args_str(r->args, "host");
    int rc = path ? access_read(path, true, true, record, err) : 0;
    if (rc == ERR_VERSION)
        error_prefix(err, "Version error: ");
    if (rc)
        return rc;
    config->client.host = config->worker.host = name;
    if (path) {
        take_part(&config->client, &record->client);
        take_part(&config->worker, &record->worker);
        config->uid = record->server_uid;
    } else {
        make_key(r, &config->client, "disable-client-authentication-and-encryption");
        make_key(r, &config->worker, "disable-worker-authentication-and-encryption");
    }
    if (host)
        config->client.host = config->worker.host = host;
    config->client.port =
        (uint16_t)args_u32(r->args, "client-port", config->client.port);
    config->worker.port =
        (uint16_t)args_u32(r->args, "worker-port", config->worker.port);
    return 0;
}

static void warn_unprotected(const char *role)
{
    static const char line[] = "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!";
    log_warn("%s", line);
    log_warn("Server is started with unprotected %s connections", role);
    log_warn("Anyone can connect as a %s", role);
    log_warn("%s", line);
}

static int check_other_server(const char *dir, struct error *err)
{
    struct client *c = NULL;
    struct error why = ERROR_INIT;
    int rc = session_connect(dir, &c, &why);
    client_close(c);
    if (rc == 0)
        return error_set(
            err, ERR_BUSY,
            "Server at %s is already online, please stop it first using `hq "
            "server stop --server-dir %s`",
            dir, dir);
    if (rc == ERR_VERSION)
        log_warn("A server of another version may be running in %s", dir);
    log_info("No online server found, starting a new server");
    return 0;
}

static void on_started(void *arg, const struct server_info *info,
                       const char *server_dir)
{
    struct run *r = arg;
    struct error err = ERROR_INIT;
    if (server_text_info(r->out, info, server_dir, &err))
        log_error("%s", err.text);
    output_flush(r->out);
}

int server_start_run(struct run *r, struct error *err)
{
    char name[ACCESS_HOST_MAX] = "localhost";
    struct access_record record = {0};
    char *dir = session_server_dir(r);
    struct server_config config = {
        .server_dir = dir,
        .journal_path = args_str(r->args, "journal"),
        .idle_timeout_ns = args_limit_ns(r->args, "idle-timeout"),
        .journal_flush_period_ns = args_duration_ns(r->args, "journal-flush-period", 0),
        .keep_completed = args_u32(r->args, "keep-completed", UINT32_MAX),
        .on_started = on_started,
        .arg = r,
    };
    log_info("HyperQueue " HQ_VERSION);
    signal(SIGPIPE, SIG_IGN); /* a peer that goes away is an error, not the end */
    int rc = 0;
    if (gethostname(name, sizeof name - 1))
        rc = error_sys(err, "cannot find the name of this machine");
    if (rc == 0)
        rc = fill_roles(r, &record, name, &config, err);
    if (rc == 0)
        rc = check_other_server(dir, err);
    if (rc == 0 && !config.worker.has_key)
        warn_unprotected("worker");
    if (rc == 0 && !config.client.has_key)
        warn_unprotected("client");
    if (rc == 0)
        rc = server_run(&config, err);
    access_release(&record);
    free(dir);
    return rc;
}
