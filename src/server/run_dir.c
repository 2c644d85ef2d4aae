/* The directory of one server run and the access record in it. */
#include "server/internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/json.h"
#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "base/xmem.h"

#define LINK_NAME "hq-current"

uint32_t run_dir_last(const char *dir)
{
    uint32_t last = 0, n;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        if (strspn(e->d_name, "0123456789") == strlen(e->d_name) &&
            text_to_u32(e->d_name, &n))
            last = MAX(last, n);
    if (d)
        closedir(d);
    return last;
}

/* Two servers may start at the same moment: the directory is made exclusively. */
static int make_run_dir(struct server *s, struct error *err)
{
    const char *root = s->config->server_dir;
    int rc = path_mkdirs(root, 0700, err);
    if (rc != 0)
        return rc;
    for (int tries = 0; tries < 1000; tries++) {
        char *path = xasprintf("%s/%03u", root, run_dir_last(root) + 1);
        if (mkdir(path, 0700) == 0) {
            s->run_dir = path;
            return 0;
        }
        rc = errno == EEXIST ? 0
                             : error_sys(err, "cannot create directory \"%s\"", path);
        free(path);
        if (rc != 0)
            return rc;
    }
    return error_set(err, ERR_BUSY, "cannot create a run directory in \"%s\"", root);
}

static void write_role(struct json *j, const char *name,
                       const struct server_role_config *role, uint16_t port)
{
    struct buf hex = BUF_INIT(256);
    json_key(j, name);
    json_begin_object(j);
    json_kstr(j, "host", role->host);
    json_kuint(j, "port", port);
    if (role->has_key) {
        channel_key_print(role->key, &hex);
        json_kstr(j, "secret_key", buf_cstr(&hex));
    } else {
        json_knull(j, "secret_key");
    }
    json_end_object(j);
    buf_release(&hex);
}

static int write_access(struct server *s, uint16_t client_port, uint16_t worker_port,
                        struct error *err)
{
    struct buf b = BUF_INIT(65536);
    struct json j;
    json_init(&j, &b, true, -1);
    json_begin_object(&j);
    json_kstr(&j, "version", HQ_VERSION);
    json_kstr(&j, "server_uid", s->uid);
    write_role(&j, "client", &s->config->client, client_port);
    write_role(&j, "worker", &s->config->worker, worker_port);
    json_end_object(&j);
    char *path = path_join(s->run_dir, "access.json");
    log_info("Storing access file as '%s'", path);
    int rc = path_write_new(path, b.data, b.len, 0400, err);
    free(path);
    buf_release(&b);
    return rc;
}

/* A new link is renamed over the old one, so that there always is one. */
static int point_link(struct server *s, struct error *err)
{
    char *link = path_join(s->config->server_dir, LINK_NAME);
    char *temporary = xasprintf("%s.%ld", link, (long)getpid());
    (void)unlink(temporary);
    int rc = 0;
    if (symlink(s->run_dir, temporary) != 0 || rename(temporary, link) != 0)
        rc = error_sys(err, "cannot create link \"%s\"", link);
    free(temporary);
    free(link);
    return rc;
}

int run_dir_create(struct server *s, uint16_t client_port, uint16_t worker_port,
                   struct error *err)
{
    int rc = make_run_dir(s, err);
    if (rc == 0)
        rc = write_access(s, client_port, worker_port, err);
    if (rc == 0)
        rc = point_link(s, err);
    return rc;
}

void run_dir_leave(struct server *s)
{
    if (!s->run_dir)
        return;
    char *link = path_join(s->config->server_dir, LINK_NAME);
    char target[4096];
    ssize_t n = readlink(link, target, sizeof target - 1);
    if (n > 0) {
        target[n] = '\0';
        if (strcmp(target, s->run_dir) == 0)
            (void)unlink(link);
    }
    free(link);
}
