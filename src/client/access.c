#include "client/access.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/path.h"
#include "conf/conf.h"

#define RECORD_BYTES_MAX ((size_t)64 * 1024)
#define FILE_NAME "access.json"
#define HOME_BYTES_MAX 4096

/* --- where it is -------------------------------------------------------- */

/* Into `room`, which the caller has made: getpwuid itself keeps one for all threads. */
static const char *home_of_user(char *room, size_t size)
{
    struct passwd entry, *user = NULL;
    if (getpwuid_r(getuid(), &entry, room, size, &user) || !user || !user->pw_dir ||
        !*user->pw_dir)
        return NULL;
    return user->pw_dir;
}

static char *default_server_dir(void)
{
    char room[HOME_BYTES_MAX];
    const char *home = getenv("HOME");
    if (!home || !*home)
        home = home_of_user(room, sizeof room);
    return path_join(home ? home : path_temporary_dir(), ".hq-server");
}

char *access_server_dir(const char *option)
{
    if (!option)
        return default_server_dir();
    char *cwd = option[0] == '/' ? NULL : path_cwd();
    char *dir = cwd ? path_join(cwd, option) : strdup(option);
    free(cwd);
    return dir;
}

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

char *access_run_dir(const char *server_dir)
{
    char *current = path_join(server_dir, "hq-current");
    if (!current || is_directory(current))
        return current;
    free(current);
    return strdup(server_dir);
}

/* The record's path; NULL when out of memory. */
static char *record_path(const char *server_dir)
{
    char *run_dir = access_run_dir(server_dir);
    char *path = run_dir ? path_join(run_dir, FILE_NAME) : NULL;
    free(run_dir);
    return path;
}

/* --- reading ------------------------------------------------------------ */

struct record_reader {
    const struct conf_doc *doc;
    const struct buf *text;
    struct error *err;
};

/* "<what> at line 7 column 3", where the node ends. */
static int fail_at(const struct record_reader *r, const struct conf_node *node,
                   const char *what)
{
    uint32_t line = 1, column = 0;
    uint32_t end = MIN(node->end, (uint32_t)r->text->len);
    for (uint32_t i = 0; i < end; i++) {
        column++;
        if (r->text->data[i] == '\n' && i + 1 < end) {
            line++;
            column = 0;
        }
    }
    return error_set(r->err, ERR_PARSE, "%s at line %u column %u", what, line, column);
}

static int fail_missing(const struct record_reader *r, const struct conf_node *map,
                        const char *key)
{
    char what[128];
    snprintf(what, sizeof what, "missing field `%s`", key);
    return fail_at(r, map, what);
}

static int fail_type(const struct record_reader *r, const struct conf_node *node,
                     const char *expected)
{
    char what[256];
    switch (conf_kind(node)) {
    case CONF_NULL:
        snprintf(what, sizeof what, "invalid type: null, expected %s", expected);
        break;
    case CONF_BOOL:
        snprintf(what, sizeof what, "invalid type: boolean `%.8s`, expected %s",
                 node->text, expected);
        break;
    case CONF_INT:
        snprintf(what, sizeof what, "invalid type: integer `%.32s`, expected %s",
                 node->text, expected);
        break;
    case CONF_FLOAT:
        snprintf(what, sizeof what, "invalid type: floating point `%.32s`, expected %s",
                 node->text, expected);
        break;
    case CONF_STRING:
    case CONF_DATE:
        snprintf(what, sizeof what, "invalid type: string \"%.64s\", expected %s",
                 node->text, expected);
        break;
    case CONF_SEQ:
        snprintf(what, sizeof what, "invalid type: sequence, expected %s", expected);
        break;
    case CONF_MAP:
        snprintf(what, sizeof what, "invalid type: map, expected %s", expected);
        break;
    }
    return fail_at(r, node, what);
}

static int read_text(const struct record_reader *r, const struct conf_node *map,
                     const char *key, const char **out)
{
    const struct conf_node *node = conf_get(map, key);
    if (!node)
        return fail_missing(r, map, key);
    return conf_string(node, out) ? 0 : fail_type(r, node, "a string");
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* ERR_AUTH when it is hexadecimal, but no key of ours: known only when it is used. */
static int read_key(const struct record_reader *r, const struct conf_node *map,
                    struct access_part *part)
{
    const struct conf_node *node = conf_get(map, "secret_key");
    const char *hex;
    if (!node)
        return fail_missing(r, map, "secret_key");
    part->has_key = conf_kind(node) != CONF_NULL;
    if (!part->has_key)
        return 0;
    if (!conf_string(node, &hex))
        return fail_type(r, node, "a string");
    size_t n = strlen(hex);
    bool valid = n % 2 == 0;
    for (size_t i = 0; i < n && valid; i++)
        valid = hex_digit(hex[i]) >= 0;
    if (!valid)
        return fail_at(r, map,
                       "Could not load secret key Could not deserialize secret key");
    if (n == 0)
        return fail_at(
            r, map, "Could not load secret key Could not create secret key from slice");
    if (channel_key_parse(hex, part->key, NULL))
        return error_set(r->err, ERR_AUTH, "Creating sealer failed");
    return 0;
}

static int read_part(const struct record_reader *r, const struct conf_node *root,
                     const char *name, bool needed, bool *has, struct access_part *part)
{
    const struct conf_node *map = conf_get(root, name);
    const char *host;
    uint64_t port;
    *has = map && conf_kind(map) == CONF_MAP;
    if (!map || conf_kind(map) == CONF_NULL)
        return needed ? fail_missing(r, root, name) : 0;
    if (!*has)
        return fail_type(r, map, "a map");
    int rc = read_text(r, map, "host", &host);
    if (rc)
        return rc;
    if (strlen(host) >= sizeof part->host)
        return fail_at(r, map, "host name is too long");
    memcpy(part->host, host, strlen(host) + 1);
    const struct conf_node *node = conf_get(map, "port");
    if (!node)
        return fail_missing(r, map, "port");
    if (!conf_uint(node, &port) || port > UINT16_MAX)
        return fail_type(r, node, "u16");
    part->port = (uint16_t)port;
    return read_key(r, map, part);
}

static int read_record(const struct record_reader *r, bool need_client,
                       bool need_worker, struct access_record *out)
{
    const struct conf_node *root = conf_root(r->doc);
    const char *version, *uid = "";
    if (conf_kind(root) == CONF_SEQ)
        return fail_at(r, root,
                       "invalid length 0, expected struct VersionOnly with 1 "
                       "element");
    if (conf_kind(root) != CONF_MAP)
        return fail_type(r, root, "struct VersionOnly");
    int rc = read_text(r, root, "version", &version);
    if (rc)
        return rc;
    out->version = strdup(version);
    if (!out->version)
        return error_nomem(r->err);
    if (strcmp(version, HQ_VERSION))
        return error_set(
            r->err, ERR_VERSION,
            "Hyperqueue version mismatch detected.\nAccess record contains "
            "version %s, but the current version is %s.",
            version, HQ_VERSION);
    if (conf_get(root, "server_uid"))
        rc = read_text(r, root, "server_uid", &uid);
    if (rc)
        return rc;
    out->server_uid = strdup(uid);
    if (!out->server_uid)
        return error_nomem(r->err);
    /* A bad key must not hide that a part is missing. */
    struct error key_err = ERROR_INIT;
    struct record_reader client = *r;
    client.err = &key_err;
    rc =
        read_part(&client, root, "client", need_client, &out->has_client, &out->client);
    if (rc && (rc != ERR_AUTH || need_client)) {
        if (r->err)
            *r->err = key_err;
        return rc;
    }
    rc = read_part(r, root, "worker", need_worker, &out->has_worker, &out->worker);
    return rc == ERR_AUTH && !need_worker ? 0 : rc;
}

static int read_file(const char *path, struct buf *text, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_sys(err, "%s", "");
    int rc = buf_read_fd(text, fd);
    if (rc == ERR_SYSTEM)
        rc = error_sys(err, "%s", "");
    else if (rc)
        rc = error_set(err, ERR_PARSE, "Serialization error: the file is too large");
    close(fd);
    return rc;
}

/* As access_read, but a key that cannot be used (ERR_AUTH) leaves *out filled. */
static int read_access(const char *path, bool need_client, bool need_worker,
                       struct access_record *out, struct error *err)
{
    struct buf text = BUF_INIT(RECORD_BYTES_MAX);
    struct conf_doc *doc = NULL;
    *out = (struct access_record){0};
    int rc = read_file(path, &text, err);
    if (rc == 0) {
        rc = conf_parse_json(NULL, text.data, text.len, &doc, err);
        if (rc == 0) {
            const struct record_reader r = {doc, &text, err};
            rc = read_record(&r, need_client, need_worker, out);
        }
        if (rc && rc != ERR_AUTH && rc != ERR_VERSION)
            error_prefix(err, "Serialization error: ");
    }
    conf_destroy(doc);
    buf_release(&text);
    if (rc && rc != ERR_AUTH)
        access_release(out);
    return rc;
}

int access_read(const char *path, bool need_client, bool need_worker,
                struct access_record *out, struct error *err)
{
    int rc = read_access(path, need_client, need_worker, out, err);
    if (rc == ERR_AUTH)
        access_release(out);
    return rc;
}

void access_release(struct access_record *a)
{
    free(a->version);
    free(a->server_uid);
    *a = (struct access_record){0};
}

/* --- connecting --------------------------------------------------------- */

/* Puts a headline in front that ends in a command; " --server-dir <dir>" is left out
 * for the default directory. */
static int cause_with_command(struct error *err, int rc, const char *server_dir,
                              const struct buf *headline, const char *tail)
{
    char *standard = default_server_dir();
    bool same = standard && strcmp(standard, server_dir) == 0;
    free(standard);
    error_cause(err, "%s%s%s%s", buf_cstr(headline), same ? "" : " --server-dir ",
                same ? "" : server_dir, tail);
    return rc;
}

static int fail_directory(const char *server_dir, const char *headline,
                          struct error *err)
{
    error_set(err, ERR_NOT_FOUND, "Error: \"%s\" is not a directory", server_dir);
    error_cause(err, "%s", headline);
    return ERR_NOT_FOUND;
}

static int fail_no_record(const char *server_dir, int rc, struct error *err)
{
    struct buf headline = BUF_INIT(BUF_MAX_DEFAULT);
    if (rc == ERR_VERSION)
        return rc;
    buf_printf(&headline,
               "No running instance of HQ found at \"%s\".\nTry to start the server: "
               "`hq server start",
               server_dir);
    cause_with_command(err, rc, server_dir, &headline,
                       "` or use a different server directory.");
    buf_release(&headline);
    return rc;
}

static int fail_unreachable(const char *server_dir, const struct access_part *part,
                            int rc, struct error *err)
{
    struct buf headline = BUF_INIT(BUF_MAX_DEFAULT);
    if (err && (rc == ERR_AUTH || rc == ERR_VERSION)) {
        const struct error cause = *err;
        error_cause(err, "Tako error: %s", cause.text);
    }
    buf_printf(
        &headline,
        "Access token found but HQ server %s:%u is unreachable.\nTry to (re)start "
        "the server using `hq server start",
        part->host, part->port);
    cause_with_command(err, rc, server_dir, &headline, "`");
    buf_release(&headline);
    return rc;
}

int access_find(const char *server_dir, struct access_part *out, struct error *err)
{
    struct access_record record;
    if (!is_directory(server_dir))
        return fail_directory(server_dir, "Invalid server directory", err);
    char *path = record_path(server_dir);
    if (!path)
        return error_nomem(err);
    int rc = read_access(path, true, false, &record, err);
    free(path);
    if (rc && rc != ERR_AUTH)
        return fail_no_record(server_dir, rc, err);
    if (rc)
        fail_unreachable(server_dir, &record.client, rc, err);
    else
        *out = record.client;
    access_release(&record);
    return rc;
}

int access_reach(const char *server_dir, const struct access_part *part,
                 uint32_t timeout_ms, struct client **out, struct error *err)
{
    int rc = client_connect(part->host, part->port, part->has_key ? part->key : NULL,
                            timeout_ms, out, err);
    return rc ? fail_unreachable(server_dir, part, rc, err) : 0;
}

int access_worker(const char *server_dir, struct access_part *out, struct error *err)
{
    struct access_record record;
    if (!is_directory(server_dir))
        return fail_directory(server_dir, "Cannot load server directory", err);
    char *path = record_path(server_dir);
    if (!path)
        return error_nomem(err);
    int rc = access_read(path, false, true, &record, err);
    if (rc == ERR_VERSION)
        error_prefix(err, "Version error: ");
    if (rc && rc != ERR_AUTH)
        error_cause(err, "Cannot load access record from \"%s\"", path);
    free(path);
    if (rc)
        return rc;
    *out = record.worker;
    access_release(&record);
    return 0;
}
