#include "outlog/reader_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

size_t logfile_read(const struct logfile *f, uint64_t offset, void *p, size_t n)
{
    size_t done = 0;
    if (offset >= f->size)
        return 0;
    n = (size_t)MIN((uint64_t)n, f->size - offset);
    while (done < n) {
        ssize_t r = pread(f->fd, (char *)p + done, n - done, (off_t)(offset + done));
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            break;
        f->r->stats.reads++;
        f->r->stats.bytes_read += (uint64_t)r;
        done += (size_t)r;
    }
    return done;
}

void logfile_damage(const struct logfile *f, uint64_t offset, uint64_t bytes,
                    const char *what)
{
    struct outlog_damage d = {f->path, offset, bytes, what};
    outlog_reader_damage(f->r, &d);
}

uint64_t logfile_next_data(const struct logfile *f, uint64_t from)
{
    if (from >= f->size)
        return f->size;
    off_t at = lseek(f->fd, (off_t)from, SEEK_DATA);
    if (at >= 0)
        return MIN(MAX((uint64_t)at, from), f->size);
    return errno == ENXIO ? f->size : from; /* no holes known here: all is data */
}

/* ---- windows ----------------------------------------------------------------------
 */

bool window_init(struct window *w, const struct logfile *f, size_t cap)
{
    *w = (struct window){.file = f, .cap = cap};
    w->buf = malloc(cap);
    return w->buf != NULL;
}

void window_release(struct window *w)
{
    free(w->buf);
    w->buf = NULL;
    w->len = w->cap = 0;
}

const uint8_t *window_at(struct window *w, uint64_t offset, size_t n)
{
    if (offset >= w->offset && offset + n <= w->offset + w->len)
        return w->buf + (offset - w->offset);
    if (offset >= w->file->size || n > w->file->size - offset)
        return NULL;
    if (n > w->cap) {
        uint8_t *grown = realloc(w->buf, n);
        if (!grown)
            return NULL;
        w->buf = grown;
        w->cap = n;
    }
    w->offset = offset;
    w->len = logfile_read(w->file, offset, w->buf, w->cap);
    return w->len >= n ? w->buf : NULL;
}

/* ---- opening ----------------------------------------------------------------------
 */

static void read_slots(struct logfile *f)
{
    static const uint32_t places[] = {OUTLOG_SLOT_A, OUTLOG_SLOT_B};
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        uint8_t raw[OUTLOG_SLOT_BYTES];
        struct outlog_slot s;
        size_t n = logfile_read(f, places[i], raw, sizeof raw);
        if (!outlog_slot_decode(raw, n, f->seed, places[i], &s))
            continue;
        if (f->sealed && s.generation <= f->slot.generation)
            continue;
        f->slot = s;
        f->sealed = true;
    }
}

/* Places where an extent header may tell the identity. */
#define IDENTITY_PLACES 256u

static bool identity_at(const struct logfile *f, uint64_t pos, struct outlog_ident *id)
{
    uint8_t raw[OUTLOG_EXTENT_HEADER_BYTES];
    struct outlog_extent x;
    size_t n = logfile_read(f, pos, raw, sizeof raw);
    return n == sizeof raw &&
           outlog_identity_decode(raw + OUTLOG_IDENTITY_AT, OUTLOG_PART_BYTES, id) &&
           outlog_extent_decode(raw, n, outlog_seed(&id->uid), pos, &x);
}

/* The superblock is damaged: the headers of the first extents tell the same. */
static bool recover_identity(struct logfile *f)
{
    if (identity_at(f, OUTLOG_DATA_START, &f->ident))
        return true;
    for (uint64_t i = 1; i <= IDENTITY_PLACES; i++)
        if (identity_at(f, i << OUTLOG_ALIGN_LOG2_MIN, &f->ident))
            return true;
    return false;
}

int logfile_open(struct outlog_reader *r, const char *path, struct logfile **out,
                 struct error *err)
{
    struct logfile *f = calloc(1, sizeof *f);
    if (!f)
        return error_nomem(err);
    f->r = r;
    f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    f->path = strdup(path);
    struct stat st;
    int rc = 0;
    uint8_t super[OUTLOG_SUPERBLOCK_BYTES];
    if (f->fd < 0) {
        rc = error_sys(err, "cannot open '%s'", path);
    } else if (!f->path) {
        rc = error_nomem(err);
    } else if (fstat(f->fd, &st) != 0) {
        rc = error_sys(err, "cannot stat '%s'", path);
    } else if (!S_ISREG(st.st_mode)) {
        rc = error_set(err, ERR_INVALID, "'%s' is not a regular file", path);
    } else {
        f->device = st.st_dev;
        f->inode = st.st_ino;
        f->size = (uint64_t)st.st_size;
        size_t n = logfile_read(f, 0, super, sizeof super);
        rc = outlog_superblock_decode(super, n, &f->ident, err);
        if (rc == ERR_CORRUPT && hqs_open(f, super, n)) {
            rc = 0;
        } else if (rc == ERR_CORRUPT && recover_identity(f)) {
            f->superblock_bad = true;
            rc = 0;
        }
        if (rc < 0)
            error_prefix(err, "'%s': ", path);
    }
    if (rc < 0) {
        logfile_destroy(f);
        return rc;
    }
    f->seed = outlog_seed(&f->ident.uid);
    if (!f->hqs)
        read_slots(f);
    *out = f;
    return 0;
}

static void forget_extents(struct extent_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->items[i].entries);
    free(l->items);
    *l = (struct extent_list){0};
}

void logfile_destroy(struct logfile *f)
{
    if (!f)
        return;
    if (f->fd >= 0 && !f->shared)
        (void)close(f->fd);
    forget_extents(&f->all);
    forget_extents(&f->tail);
    if (!f->shared)
        free(f->path);
    free(f);
}

struct logfile *logfile_share(struct outlog_reader *r, const struct logfile *of)
{
    struct logfile *f = malloc(sizeof *f);
    if (!f)
        return NULL;
    *f = *of;
    f->r = r;
    f->shared = true;
    f->superblock_bad = false; /* told once */
    f->all = f->tail = (struct extent_list){0};
    if (!of->hqs)
        return f;
    struct extent_info *x = malloc(sizeof *x); /* its one extent, not scanned */
    if (!x) {
        free(f);
        return NULL;
    }
    *x = (struct extent_info){.x = of->all.items[0].x};
    f->all = (struct extent_list){.known = true, .items = x, .n = 1, .cap = 1};
    return f;
}

/* ---- extents ----------------------------------------------------------------------
 */

static struct extent_info *add_extent(struct extent_list *l)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 16;
        struct extent_info *grown = realloc(l->items, cap * sizeof *grown);
        if (!grown)
            return NULL;
        l->items = grown;
        l->cap = cap;
    }
    struct extent_info *x = &l->items[l->n++];
    *x = (struct extent_info){0};
    return x;
}

uint64_t logfile_align_up(const struct logfile *f, uint64_t offset)
{
    uint64_t mask = (UINT64_C(1) << f->ident.align_log2) - 1;
    return (offset + mask) & ~mask;
}

/* An extent may be closed, with an index behind what was the end of the file, after the
 * file's size was looked at. */
static void see_growth(struct logfile *f, const struct extent_info *x)
{
    struct stat st;
    if (x->closed && x->close.data_end + x->close.index_bytes > f->size &&
        fstat(f->fd, &st) == 0)
        f->size = MAX(f->size, (uint64_t)st.st_size);
}

bool logfile_extent_at(struct logfile *f, uint64_t pos, struct extent_info *x)
{
    uint8_t raw[OUTLOG_EXTENT_HEADER_BYTES];
    size_t n = logfile_read(f, pos, raw, sizeof raw);
    *x = (struct extent_info){0};
    if (!outlog_extent_decode(raw, n, f->seed, pos, &x->x))
        return false;
    x->closed = n == sizeof raw &&
                outlog_close_decode(raw + OUTLOG_CLOSE_AT, n - OUTLOG_CLOSE_AT, f->seed,
                                    &x->x, &x->close);
    see_growth(f, x);
    return true;
}

/* A stretch without a header joins the one before it. */
static bool add_headerless(struct extent_list *l, uint64_t pos, uint64_t end)
{
    struct extent_info *last = l->n ? &l->items[l->n - 1] : NULL;
    if (last && last->headerless && last->x.offset + last->x.length == pos) {
        last->x.length = end - last->x.offset;
        return true;
    }
    struct extent_info *x = add_extent(l);
    if (!x)
        return false;
    x->headerless = true;
    x->x.offset = pos;
    x->x.length = end - pos;
    return true;
}

static bool add_found(struct extent_list *l, const struct extent_info *found)
{
    if (found->x.kind != OUTLOG_EXTENT_DATA)
        return true;
    struct extent_info *x = add_extent(l);
    if (x)
        *x = *found;
    return x != NULL;
}

uint64_t logfile_align_down(const struct logfile *f, uint64_t offset)
{
    return offset & ~((UINT64_C(1) << f->ident.align_log2) - 1);
}

struct extent_list *logfile_extents(struct logfile *f, bool tail, struct error *err)
{
    struct extent_list *l = tail && f->sealed ? &f->tail : &f->all;
    if (l->known)
        return l;
    uint64_t pos = OUTLOG_DATA_START;
    if (l == &f->tail)
        pos = MAX(pos, f->slot.covered_end);
    while (pos < f->size) {
        uint64_t data = logfile_next_data(f, pos);
        if (data >= f->size)
            break;
        pos = MAX(pos, logfile_align_down(f, data));
        struct extent_info x;
        uint64_t end = logfile_align_up(f, pos + 1);
        bool ok;
        if (logfile_extent_at(f, pos, &x)) {
            end = logfile_align_up(f, x.x.offset + x.x.length);
            ok = add_found(l, &x);
        } else {
            ok = add_headerless(l, pos, end);
        }
        if (!ok) {
            forget_extents(l);
            error_nomem(err);
            return NULL;
        }
        pos = end;
    }
    l->known = true;
    return l;
}

/* No extent that we give out is longer. */
#define EXTENT_LOOK_BACK (64ull << 20)

bool logfile_extent_of(struct logfile *f, uint64_t offset, struct outlog_extent *x)
{
    if (f->hqs) {
        *x = f->all.items[0].x;
        return true;
    }
    uint64_t step = UINT64_C(1) << f->ident.align_log2;
    uint64_t pos = logfile_align_down(f, offset);
    uint64_t least = offset > EXTENT_LOOK_BACK ? offset - EXTENT_LOOK_BACK : 0;
    for (;;) {
        struct extent_info found;
        uint64_t at = MAX(pos, (uint64_t)OUTLOG_DATA_START);
        if (logfile_extent_at(f, at, &found)) {
            *x = found.x;
            return offset < x->offset + x->length;
        }
        if (pos < step || pos - step < least)
            return false;
        pos -= step;
    }
}
