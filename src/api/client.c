/* Connections, and what the server says of itself. */
#include <hq/client.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "api/internal.h"
#include "client/access.h"
#include "client/requests.h"

/* --- the connection ----------------------------------------------------- */

static int check_idle(const struct hq_client *client, struct error *err)
{
    return client->busy ? error_set(err, ERR_BUSY,
                                    "the client is in use by the caller's callback")
                        : 0;
}

int api_connect_again(const struct hq_client *client, struct client **conn,
                      struct error *err)
{
    struct access_part part;
    int rc = check_idle(client, err);
    if (rc == 0)
        rc = access_find(client->server_dir, &part, err);
    return rc ? rc : access_reach(client->server_dir, &part, 0, conn, err);
}

int api_connection(struct hq_client *client, struct client **conn, struct error *err)
{
    int rc = check_idle(client, err);
    if (rc == 0 && !client->conn) {
        rc = api_connect_again(client, &client->conn, err);
        if (rc == 0)
            client_set_timeout(client->conn, client->timeout_ms);
    }
    if (rc == 0)
        *conn = client->conn;
    return rc;
}

static bool leaves_answers(int rc)
{
    switch (rc) {
    case 0:
    case ERR_PARSE:
    case ERR_INVALID:
    case ERR_NOT_FOUND:
    case ERR_EXISTS:
    case ERR_BUSY:
        return false;
    default:
        return true;
    }
}

int api_requested(struct hq_client *client, int rc)
{
    if (rc < 0 && leaves_answers(rc)) {
        client_close(client->conn);
        client->conn = NULL;
    }
    return rc;
}

static int make_client(const char *server_dir, struct hq_client **out,
                       struct error *err)
{
    const char *env = getenv("HQ_SERVER_DIR");
    if (!server_dir && env && *env)
        server_dir = env;
    struct hq_client *client = calloc(1, sizeof *client);
    if (client)
        client->server_dir = access_server_dir(server_dir);
    if (!client || !client->server_dir) {
        free(client);
        return error_nomem(err);
    }
    *out = client;
    return 0;
}

int hq_connect(const char *server_dir, struct hq_client **client, struct hq_error *err)
{
    struct error e = ERROR_INIT;
    struct hq_client *made = NULL;
    struct client *conn = NULL;
    int rc = make_client(server_dir, &made, &e);
    if (rc == 0)
        rc = api_connection(made, &conn, &e);
    if (rc) {
        hq_disconnect(made);
        return api_fail(err, &e);
    }
    *client = made;
    return 0;
}

void hq_disconnect(struct hq_client *client)
{
    if (!client)
        return;
    client_close(client->conn);
    free(client->server_dir);
    free(client);
}

void hq_set_timeout(struct hq_client *client, uint32_t timeout_ms)
{
    client->timeout_ms = timeout_ms;
    if (client->conn)
        client_set_timeout(client->conn, timeout_ms);
}

/* --- the server --------------------------------------------------------- */

struct server_copy {
    struct hq_server shown;
    struct server_info info; /* what it points to */
};

static struct hq_server *copy_server(struct server_info *info)
{
    struct server_copy *copy = calloc(1, sizeof *copy);
    if (!copy)
        return NULL;
    copy->info = *info;
    copy->shown = (struct hq_server){.uid = info->uid,
                                     .version = info->version,
                                     .client_host = info->client_host,
                                     .worker_host = info->worker_host,
                                     .journal = info->journal_path,
                                     .started_us = info->started_us,
                                     .pid = info->pid,
                                     .client_port = (uint16_t)info->client_port,
                                     .worker_port = (uint16_t)info->worker_port};
    return &copy->shown;
}

int hq_server_get(struct hq_client *client, struct hq_server **server,
                  struct hq_error *err)
{
    struct error e = ERROR_INIT;
    struct client *conn = NULL;
    struct server_info info;
    int rc = api_connection(client, &conn, &e);
    if (rc)
        return api_fail(err, &e);
    rc = api_requested(client, client_server_info(conn, &info, &e));
    if (rc)
        return api_fail(err, &e);
    struct hq_server *made = copy_server(&info);
    if (!made) {
        server_info_release(&info);
        error_nomem(&e);
        return api_fail(err, &e);
    }
    *server = made;
    return 0;
}

void hq_server_free(struct hq_server *server)
{
    if (!server)
        return;
    struct server_copy *copy = (struct server_copy *)(void *)server;
    server_info_release(&copy->info);
    free(copy);
}
