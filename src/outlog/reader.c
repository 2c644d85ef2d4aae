#include "outlog/hqs.h"
#include "outlog/reader_impl.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "base/path.h"

#define BLOCK_MAX (OUTLOG_PAYLOAD_MAX + (size_t)OUTLOG_BLOCK_HEADER_BYTES)

/* ---- opening ----------------------------------------------------------------------
 */

static bool has_file(const struct outlog_reader *r, const struct logfile *f)
{
    for (size_t i = 0; i < r->n_files; i++)
        if (r->files[i]->device == f->device && r->files[i]->inode == f->inode)
            return true;
    return false;
}

/* A file that was named before, itself or by its directory, is there already. */
static int add_file(struct outlog_reader *r, struct logfile *f, struct error *err)
{
    if (has_file(r, f)) {
        logfile_destroy(f);
        return 0;
    }
    struct logfile **grown = realloc(r->files, (r->n_files + 1) * sizeof(void *));
    if (!grown) {
        logfile_destroy(f);
        return error_nomem(err);
    }
    r->files = grown;
    f->number = (uint32_t)r->n_files;
    r->files[r->n_files++] = f;
    return 0;
}

/* The contract's wording of a missing path and the like. */
static int os_error(struct error *err, int sys)
{
    error_set(err, ERR_SYSTEM, "%s (os error %d)", strerror(sys), sys);
    if (err)
        err->sys = sys;
    return ERR_SYSTEM;
}

static bool has_suffix(const char *name, const char *suffix)
{
    size_t n = strlen(name), m = strlen(suffix);
    return n > m && strcmp(name + n - m, suffix) == 0;
}

/* Damage of a log as a whole, told when there is somebody to tell. Takes the path. */
static int leave_out(struct outlog_reader *r, char *path, int rc, struct error *err)
{
    struct stat st;
    struct left_out *grown =
        realloc(r->left_out, (r->n_left_out + 1) * sizeof *r->left_out);
    if (!grown) {
        free(path);
        return error_nomem(err);
    }
    r->left_out = grown;
    r->left_out[r->n_left_out++] = (struct left_out){
        .path = path,
        .bytes = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0,
        .what = rc == ERR_SYSTEM ? "log that cannot be opened" : "no output log",
    };
    return 0;
}

/* Whether the file ought to be a log. An empty one is just being made; HyperQueue
 * leaves out those of its own that it does not know. */
static bool is_missed(const char *path, int rc)
{
    struct stat st;
    if (rc == ERR_SYSTEM)
        return true;
    return rc == ERR_CORRUPT && has_suffix(path, OUTLOG_SUFFIX) &&
           stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0;
}

static int open_dir_entry(struct outlog_reader *r, const char *dir, const char *name,
                          struct error *err)
{
    char *path = path_join(dir, name);
    if (!path)
        return error_nomem(err);
    struct logfile *f = NULL;
    struct error why = ERROR_INIT;
    int rc = logfile_open(r, path, &f, &why);
    if (rc < 0 && is_missed(path, rc))
        return leave_out(r, path, rc, err);
    free(path);
    if (rc == 0)
        return add_file(r, f, err);
    /* Of a version that we do not know: say so; anything else is not ours. */
    if (rc != ERR_VERSION && rc != ERR_NOMEM)
        return 0;
    return error_set(err, rc, "%s", why.text);
}

static int name_cmp(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_names(DIR *dir, char ***names, size_t *n, struct error *err)
{
    size_t cap = 0;
    struct dirent *d;
    while ((d = readdir(dir)) != NULL) {
        if (!has_suffix(d->d_name, OUTLOG_SUFFIX) && !has_suffix(d->d_name, HQS_SUFFIX))
            continue;
        if (*n == cap) {
            cap = cap ? cap * 2 : 8;
            char **grown = realloc(*names, cap * sizeof *grown);
            if (!grown)
                return error_nomem(err);
            *names = grown;
        }
        (*names)[*n] = strdup(d->d_name);
        if (!(*names)[*n])
            return error_nomem(err);
        (*n)++;
    }
    return 0;
}

static int open_dir(struct outlog_reader *r, const char *path, struct error *err)
{
    DIR *dir = opendir(path);
    if (!dir)
        return os_error(err, errno);
    char **names = NULL;
    size_t n = 0;
    int rc = list_names(dir, &names, &n, err);
    (void)closedir(dir);
    if (rc == 0 && n == 0)
        rc = error_set(err, ERR_NOT_FOUND, "Error: No log files found");
    if (n)
        qsort(names, n, sizeof *names, name_cmp);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = open_dir_entry(r, path, names[i], err);
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
    return rc;
}

static int open_path(struct outlog_reader *r, const char *path, struct error *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return os_error(err, errno);
    if (S_ISDIR(st.st_mode))
        return open_dir(r, path, err);
    struct logfile *f = NULL;
    struct error why = ERROR_INIT;
    int rc = logfile_open(r, path, &f, &why);
    if (rc == 0)
        return add_file(r, f, err);
    if (rc == ERR_CORRUPT && st.st_size < (off_t)OUTLOG_SUPERBLOCK_BYTES)
        return os_error(err, ENOTDIR);
    return error_set(err, rc, "%s", why.text);
}

static bool listed_before(const struct outlog_reader *r, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(r->files[k]->ident.server_uid, r->files[i]->ident.server_uid) == 0)
            return true;
    return false;
}

static int check_servers(const struct outlog_reader *r, struct error *err)
{
    struct buf text = BUF_INIT(ERROR_TEXT_MAX);
    size_t n = 0;
    buf_puts(&text, "Error: Found streams from multiple server instances:\n");
    for (size_t i = 0; i < r->n_files; i++)
        if (!listed_before(r, i)) {
            buf_printf(&text, "%s\n", r->files[i]->ident.server_uid);
            n++;
        }
    buf_puts(&text, "Use --server-uid=... to specify server uid");
    int rc = n > 1 ? error_set(err, ERR_INVALID, "%s", buf_cstr(&text)) : 0;
    buf_release(&text);
    return rc;
}

static void keep_server(struct outlog_reader *r, const char *uid)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->n_files; i++) {
        if (strcmp(r->files[i]->ident.server_uid, uid) != 0) {
            logfile_destroy(r->files[i]);
            continue;
        }
        r->files[kept] = r->files[i];
        r->files[kept]->number = (uint32_t)kept;
        kept++;
    }
    r->n_files = kept;
}

static void init_buffers(struct outlog_reader *r, size_t n_groups)
{
    buf_init(&r->block, BLOCK_MAX);
    r->n_groups = n_groups;
    for (size_t i = 0; i < GROUP_CACHE; i++)
        buf_init(&r->groups[i].content, 2 * OUTLOG_GROUP_RAW_MAX);
}

int outlog_reader_open(struct outlog_reader **out, const char *path,
                       const char *server_uid, struct error *err)
{
    return outlog_reader_open_all(out, &path, 1, server_uid, err);
}

int outlog_reader_open_all(struct outlog_reader **out, const char *const *paths,
                           size_t n, const char *server_uid, struct error *err)
{
    struct outlog_reader *r = calloc(1, sizeof *r);
    if (!r)
        return error_nomem(err);
    init_buffers(r, GROUP_CACHE);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = open_path(r, paths[i], err);
        if (rc < 0 && n > 1)
            error_prefix(err, "'%s': ", paths[i]);
    }
    if (rc == 0 && server_uid)
        keep_server(r, server_uid);
    else if (rc == 0)
        rc = check_servers(r, err);
    if (rc < 0) {
        outlog_reader_destroy(r);
        return rc;
    }
    *out = r;
    return 0;
}

void outlog_reader_destroy(struct outlog_reader *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n_files; i++)
        logfile_destroy(r->files[i]);
    free(r->files);
    for (size_t i = 0; i < r->n_left_out; i++)
        free(r->left_out[i].path);
    free(r->left_out);
    window_release(&r->ahead);
    buf_release(&r->block);
    for (size_t i = 0; i < GROUP_CACHE; i++)
        buf_release(&r->groups[i].content);
    unpacker_destroy(r->unpacker);
    if (r->of) {
        r->of->stats.reads += r->stats.reads;
        r->of->stats.bytes_read += r->stats.bytes_read;
        r->of->stats.bytes_unpacked += r->stats.bytes_unpacked;
    }
    free(r);
}

/* One that reads forward decodes each group once, and the memory of it stays in the
 * caches of its CPU. */
#define SHARED_GROUPS 2u

int outlog_reader_share(struct outlog_reader **out, struct outlog_reader *of,
                        struct error *err)
{
    struct outlog_reader *r = calloc(1, sizeof *r);
    if (!r)
        return error_nomem(err);
    r->of = of;
    init_buffers(r, SHARED_GROUPS);
    r->files = calloc(of->n_files + 1, sizeof(void *));
    for (size_t i = 0; r->files && i < of->n_files; i++) {
        struct logfile *f = logfile_share(r, of->files[i]);
        if (!f)
            break;
        r->files[r->n_files++] = f;
    }
    if (!r->files || r->n_files < of->n_files) {
        outlog_reader_destroy(r);
        return error_nomem(err);
    }
    *out = r;
    return 0;
}

void outlog_reader_on_damage(struct outlog_reader *r, outlog_damage_fn fn, void *arg)
{
    r->on_damage = fn;
    r->damage_arg = arg;
    for (size_t i = 0; fn && i < r->n_left_out; i++) {
        const struct left_out *l = &r->left_out[i];
        struct outlog_damage d = {l->path, 0, l->bytes, l->what};
        outlog_reader_damage(r, &d);
    }
    for (size_t i = 0; fn && i < r->n_files; i++)
        if (r->files[i]->superblock_bad)
            logfile_damage(r->files[i], 0, OUTLOG_SUPERBLOCK_BYTES,
                           "damaged superblock");
}

size_t outlog_reader_n_files(const struct outlog_reader *r)
{
    return r->n_files;
}

const char *outlog_reader_path(const struct outlog_reader *r, size_t i)
{
    return r->files[i]->path;
}

bool outlog_reader_gone(const struct outlog_reader *r, size_t i)
{
    const struct logfile *f = r->files[i];
    struct stat st;
    if (stat(f->path, &st) == 0)
        return st.st_dev != f->device || st.st_ino != f->inode;
    return errno == ENOENT || errno == ENOTDIR || errno == ESTALE;
}

void outlog_reader_damage(struct outlog_reader *r, const struct outlog_damage *d)
{
    r->stats.damaged_bytes += d->bytes;
    if (r->on_damage)
        r->on_damage(r->damage_arg, d);
}

int reader_unpack(struct outlog_reader *r, const uint8_t *payload, size_t n,
                  struct buf *out)
{
    if (!r->unpacker)
        r->unpacker = unpacker_create();
    size_t before = out->len;
    int rc = r->unpacker ? unpacker_unpack(r->unpacker, payload, n, out) : ERR_NOMEM;
    r->stats.bytes_unpacked += out->len - before;
    return rc;
}

void outlog_reader_get_stats(const struct outlog_reader *r,
                             struct outlog_reader_stats *s)
{
    *s = r->stats;
    s->n_files = (uint32_t)r->n_files;
}

/* ---- content ----------------------------------------------------------------------
 */

#define AHEAD_BYTES (256u << 10)
/* A block that begins so near behind the last one counts as going forward. */
#define AHEAD_GAP (32u << 10)
#define FORWARD_MIN 4u

/* n bytes at the offset: through the window when reading goes forward, else as they are
 * into r->block. NULL: the file does not have them. */
static const uint8_t *read_bytes(struct outlog_reader *r, struct logfile *f,
                                 uint64_t offset, size_t n)
{
    bool same = r->ahead.buf && r->ahead.file == f;
    bool inside = same && offset >= r->ahead.offset &&
                  offset + n <= r->ahead.offset + r->ahead.len;
    bool forward = offset >= r->ahead_next && offset - r->ahead_next <= AHEAD_GAP;
    r->ahead_next = offset + n;
    r->n_forward = forward ? r->n_forward + 1 : 0;
    if (inside)
        return window_at(&r->ahead, offset, n);
    if (r->n_forward >= FORWARD_MIN) {
        if (!same) {
            window_release(&r->ahead);
            if (!window_init(&r->ahead, f, AHEAD_BYTES))
                return NULL;
        }
        return window_at(&r->ahead, offset, n);
    }
    buf_clear(&r->block);
    uint8_t *p = buf_extend(&r->block, n);
    return p && logfile_read(f, offset, p, n) == n ? p : NULL;
}

/* The payload of the block at `offset`, verified; `guess`: its probable length. */
static int load_block(struct outlog_reader *r, struct logfile *f, uint64_t offset,
                      uint32_t guess, struct outlog_block *b, const uint8_t **payload)
{
    if (offset >= f->size)
        return ERR_CORRUPT;
    size_t n =
        (size_t)MIN((uint64_t)guess + OUTLOG_BLOCK_HEADER_BYTES, f->size - offset);
    const uint8_t *p = read_bytes(r, f, offset, n);
    if (!p || !outlog_block_decode(p, n, f->seed, offset, b))
        return ERR_CORRUPT;
    size_t whole = OUTLOG_BLOCK_HEADER_BYTES + (size_t)b->stored;
    if (whole > n)
        p = read_bytes(r, f, offset, whole);
    r->ahead_next = offset + whole;
    if (!p || !outlog_payload_ok(b, p + OUTLOG_BLOCK_HEADER_BYTES, f->seed, offset))
        return ERR_CORRUPT;
    *payload = p + OUTLOG_BLOCK_HEADER_BYTES;
    return 0;
}

/* The content of a group, from the cache or in place of the least used one. */
static int load_group(struct outlog_reader *r, struct logfile *f, uint64_t offset,
                      const struct buf **content)
{
    struct group_cache *g = &r->groups[0];
    for (size_t i = 0; i < r->n_groups; i++) {
        struct group_cache *c = &r->groups[i];
        if (c->offset == offset && c->file == f->number) {
            c->used = ++r->clock;
            *content = &c->content;
            return 0;
        }
        if (c->used < g->used)
            g = c;
    }
    struct outlog_block b;
    const uint8_t *payload;
    int rc = load_block(r, f, offset, 64u << 10, &b, &payload);
    if (rc < 0)
        return rc;
    if (b.type != OUTLOG_BLOCK_GROUP)
        return ERR_CORRUPT;
    g->offset = 0;
    buf_clear(&g->content);
    rc = reader_unpack(r, payload, b.stored, &g->content);
    if (rc < 0)
        return rc;
    g->offset = offset;
    g->file = f->number;
    g->used = ++r->clock;
    *content = &g->content;
    return 0;
}

static bool is_same(const struct outlog_block *b, const struct outlog_entry *e)
{
    return b->job == e->key.job && b->task == e->key.task &&
           b->instance == e->key.instance && b->seq == e->key.seq &&
           b->type == e->type && outlog_block_output(b) == e->output;
}

/* The same of a record in one of HyperQueue's files, which has no header of its own. */
static int load_record(struct outlog_reader *r, struct logfile *f,
                       const struct outlog_entry *e, const uint8_t **payload,
                       struct outlog_block *b)
{
    static const uint8_t nothing[1];
    *b = (struct outlog_block){.type = e->type, .stored = e->output};
    *payload = nothing;
    if (e->output == 0)
        return 0;
    *payload = read_bytes(r, f, e->offset, e->output);
    if (*payload)
        return 0;
    logfile_damage(f, e->offset, e->output, "unreadable record");
    return ERR_CORRUPT;
}

/* Payload of the block that the entry names. */
static int load(struct outlog_reader *r, const struct outlog_ref *ref,
                const uint8_t **payload, struct outlog_block *b)
{
    struct logfile *f = r->files[ref->file];
    const struct outlog_entry *e = &ref->e;
    int rc;
    if (f->hqs)
        return load_record(r, f, e, payload, b);
    if (e->grouped) {
        const struct buf *group;
        rc = load_group(r, f, e->offset, &group);
        if (rc == 0 && (e->inner >= group->len ||
                        !outlog_block_decode_inner(group->data + e->inner,
                                                   group->len - e->inner, b) ||
                        outlog_block_span(b->stored) > group->len - e->inner))
            rc = ERR_CORRUPT;
        if (rc == 0)
            *payload = group->data + e->inner + OUTLOG_BLOCK_HEADER_BYTES;
    } else {
        rc = load_block(r, f, e->offset,
                        e->output + (e->flags & OUTLOG_FLAG_END ? OUTLOG_END_BYTES : 0),
                        b, payload);
    }
    if (rc == 0 && !is_same(b, e))
        rc = ERR_CORRUPT;
    if (rc == ERR_CORRUPT)
        logfile_damage(f, e->offset, e->output, "damaged block");
    return rc;
}

int outlog_read_block(struct outlog_reader *r, const struct outlog_ref *ref,
                      const uint8_t **data, size_t *n)
{
    struct outlog_block b;
    *n = 0;
    int rc = load(r, ref, data, &b);
    if (rc == 0)
        *n = outlog_block_output(&b);
    return rc;
}

int outlog_read_payload(struct outlog_reader *r, const struct outlog_ref *ref,
                        const uint8_t **data, size_t *n)
{
    struct outlog_block b;
    *n = 0;
    int rc = load(r, ref, data, &b);
    if (rc == 0)
        *n = b.stored;
    return rc;
}

int outlog_read_end(struct outlog_reader *r, const struct outlog_ref *ref,
                    struct outlog_end *end)
{
    struct outlog_block b;
    const uint8_t *payload;
    int rc = load(r, ref, &payload, &b);
    if (rc < 0)
        return rc;
    if (!(b.flags & OUTLOG_FLAG_END) ||
        !outlog_end_decode(payload + outlog_block_output(&b), OUTLOG_END_BYTES, end))
        return ERR_CORRUPT;
    return 0;
}

#define ORIGINS_FEW 16u

static bool find_extent(const struct extent_list *l, uint64_t offset,
                        struct outlog_extent *x)
{
    size_t lo = 0, hi = l->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (l->items[mid].x.offset <= offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == 0 || l->items[lo - 1].headerless)
        return false;
    *x = l->items[lo - 1].x;
    return true;
}

bool outlog_read_origin(struct outlog_reader *r, const struct outlog_ref *ref,
                        struct outlog_origin *origin)
{
    struct logfile *f = r->files[ref->file];
    struct outlog_extent x;
    /* A few are looked up one by one; for many the list pays. */
    struct extent_list *l =
        r->n_origins++ < ORIGINS_FEW ? NULL : logfile_extents(f, false, NULL);
    bool found =
        l ? find_extent(l, ref->e.offset, &x) : logfile_extent_of(f, ref->e.offset, &x);
    if (found)
        *origin = x.origin;
    return found;
}
