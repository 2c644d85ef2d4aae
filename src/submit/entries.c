#include "submit/entries.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/xmem.h"
#include "conf/conf.h"

#define LARGE_BYTES (100 * 1024 * 1024)

static void entries_init(struct entries *e)
{
    *e = (struct entries){.data = BUF_INIT(BUF_MAX_DEFAULT)};
}

void entries_release(struct entries *e)
{
    free(e->items);
    buf_release(&e->data);
    entries_init(e);
}

/* The texts are those of the system alone: callers print them as they are. */
static int read_all(const char *path, struct notices *notices, struct buf *data,
                    struct error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st)) {
        int rc = error_sys(err, "%s", "");
        if (fd >= 0)
            close(fd);
        return rc;
    }
    if (st.st_size > LARGE_BYTES)
        notice_warn(notices, "Reading file bigger than 100MB");
    int rc = buf_read_fd(data, fd);
    if (rc == ERR_SYSTEM)
        rc = error_sys(err, "%s", "");
    else if (rc)
        rc = error_set(err, rc, "'%s' is larger than 1 GiB", path);
    close(fd);
    return rc;
}

/* Lines become environment variables, which end at the first NUL. */
static int check_lines(const char *path, const struct buf *data, struct error *err)
{
    const uint8_t *p = data->data;
    const uint8_t *nul = data->len ? memchr(p, 0, data->len) : NULL;
    size_t line = 1;
    if (!nul)
        return 0;
    while ((p = memchr(p, '\n', (size_t)(nul - p))) != NULL) {
        p++;
        line++;
    }
    return error_set(err, ERR_INVALID,
                     "%s: line %zu holds a NUL character, which HQ_ENTRY cannot hold",
                     path, line);
}

int entries_read_lines(const char *path, struct notices *notices, struct entries *e,
                       struct error *err)
{
    entries_init(e);
    notice_info(notices, "Reading file: %s", path);
    int rc = read_all(path, notices, &e->data, err);
    if (rc == 0)
        rc = check_lines(path, &e->data, err);
    if (rc) {
        entries_release(e);
        return rc;
    }
    const uint8_t *p = e->data.data, *end = p + e->data.len;
    size_t n = 0;
    for (const uint8_t *at = p; at < end; at++)
        n += *at == '\n';
    e->items = xcalloc(n + 1, sizeof *e->items);
    while (p < end) {
        const uint8_t *newline = memchr(p, '\n', (size_t)(end - p));
        const uint8_t *stop = newline ? newline : end;
        e->items[e->n++] = (struct span){p, (size_t)(stop - p)};
        p = stop + 1;
    }
    return 0;
}

static void print_items(const struct conf_node *root, struct entries *e)
{
    size_t *at = xcalloc(root->n + 1, sizeof *at);
    for (uint32_t i = 0; i < root->n; i++) {
        conf_print_json(&e->data, root->items[i]);
        at[i + 1] = e->data.len;
    }
    e->n = root->n;
    e->items = xcalloc(e->n + 1, sizeof *e->items);
    for (size_t i = 0; i < e->n; i++)
        e->items[i] = (struct span){e->data.data + at[i], at[i + 1] - at[i]};
    free(at);
}

int entries_read_json(const char *path, struct notices *notices, struct entries *e,
                      struct error *err)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    struct conf_doc *doc = NULL;
    entries_init(e);
    notice_info(notices, "Reading json file: %s", path);
    int rc = read_all(path, notices, &text, err);
    if (rc == 0)
        rc = conf_parse_json(NULL, text.data, text.len, &doc, err);
    if (rc == 0 && conf_kind(conf_root(doc)) != CONF_SEQ)
        rc = error_set(
            err, ERR_INVALID,
            "%s: The top element of the provided JSON file has to be an array", path);
    if (rc == 0)
        print_items(conf_root(doc), e);
    if (rc == 0 && e->data.failed)
        rc = error_nomem(err);
    if (rc)
        entries_release(e);
    conf_destroy(doc);
    buf_release(&text);
    return rc;
}
