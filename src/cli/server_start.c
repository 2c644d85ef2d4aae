/* `hq server start`. */
#include <stdlib.h>
#include <unistd.h>
#include "base/log.h"
#include "base/text.h"
#include "base/xmem.h"
#include "cli/access.h"
#include "cli/cmds.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/server_text.h"
#include "server/server.h"

static int refuse_if_online(const char *dir, struct error *err)
{
    struct client *c = NULL;
    struct error why = ERROR_INIT;
    if (access_connect(dir, 0, &c, &why) == 0) {
        client_close(c);
        return error_set(err, ERR_BUSY,
                         "Server at %s is already online, please stop it first using "
                         "`hq server stop --server-dir %s`",
                         dir, dir);
    }
    if (why.code == ERR_VERSION)
        log_warn("A server of another version may be running at %s", dir);
    log_info("No online server found, starting a new server");
    return 0;
}

static void take_part(struct server_role_config *role, const struct access_part *part)
{
    role->host = part->host;
    role->port = part->port;
    role->has_key = part->has_key;
    memcpy(role->key, part->key, sizeof role->key);
}

static void new_key(struct server_role_config *role, bool disabled, const char *who)
{
    role->has_key = !disabled;
    if (!disabled) {
        channel_random(role->key, sizeof role->key);
        return;
    }
    log_warn("=== This server accepts unprotected %s connections: everybody who reaches "
             "the port can use it ===",
             who);
}

static void take_port(struct server_role_config *role, const struct args *a,
                      const char *option)
{
    if (args_given(a, option))
        role->port = (uint16_t)args_u32(a, option, 0);
}

static void on_started(void *arg, const struct server_info *info, const char *server_dir)
{
    struct run *r = arg;
    struct error err = ERROR_INIT;
    if (server_text_info(r->out, info, server_dir, &err) != 0)
        log_warn("%s", err.text);
    output_flush(r->out);
}

int server_start_run(struct run *r, struct error *err)
{
    const struct args *a = r->args;
    char host[256] = "localhost";
    (void)gethostname(host, sizeof host - 1);
    char *dir = session_server_dir(r);
    struct access_record record = {0};
    struct server_config config = {
        .server_dir = dir,
        .journal_path = args_str(a, "journal"),
        .client = {.host = host},
        .worker = {.host = host},
        .idle_timeout_ns = args_duration_ns(a, "idle-timeout", 0),
        .journal_flush_period_ns = args_duration_ns(a, "journal-flush-period", 0),
        .keep_completed = args_u32(a, "keep-completed", UINT32_MAX),
        .on_started = on_started,
        .arg = r,
    };
    log_info("HyperQueue %s", HQ_VERSION);
    int rc = refuse_if_online(dir, err);
    const char *file = args_str(a, "access-file");
    if (rc == 0 && file) {
        rc = access_read(file, true, true, &record, err);
        if (rc == 0) {
            take_part(&config.client, &record.client);
            take_part(&config.worker, &record.worker);
            config.uid = record.server_uid;
        }
    } else if (rc == 0) {
        new_key(&config.client,
                args_flag(a, "disable-client-authentication-and-encryption"), "client");
        new_key(&config.worker,
                args_flag(a, "disable-worker-authentication-and-encryption"), "worker");
    }
    if (rc == 0) {
        if (args_given(a, "host"))
            config.client.host = config.worker.host = args_str(a, "host");
        take_port(&config.client, a, "client-port");
        take_port(&config.worker, a, "worker-port");
        rc = server_run(&config, err);
    }
    access_release(&record);
    free(dir);
    return rc;
}
