/* Inside the reader: files, extents, sources of entries. */
#ifndef HQ_OUTLOG_READER_IMPL_H
#define HQ_OUTLOG_READER_IMPL_H

#include <sys/types.h>
#include "outlog/packer.h"
#include "outlog/reader.h"
#include "outlog/slot.h"
#include "outlog/unpacker.h"

/* Part of a file in memory, read as needed. */
struct window {
    const struct logfile *file;
    uint8_t *buf;
    size_t cap;
    uint64_t offset;
    size_t len;
};

/* An extent, or (headerless) a stretch without a valid extent header. */
struct extent_info {
    struct outlog_extent x; /* headerless: offset and length only */
    bool headerless;
    bool closed;          /* `close` is valid */
    bool index_bad;       /* its index did not read well: scan */
    bool scanned;         /* `entries` are there */
    uint64_t scanned_end; /* where the blocks ended then */
    struct outlog_close close;
    struct outlog_entry *entries; /* sorted by key */
    size_t n_entries;
};

/* Whether its entries are read from its index; else it is scanned. */
static inline bool extent_has_index(const struct extent_info *x)
{
    return x->closed && !x->index_bad && !x->headerless &&
           (x->close.index_bytes || x->close.n_blocks == 0);
}

/* Data extents of a file from an offset on, ascending. */
struct extent_list {
    bool known;
    struct extent_info *items;
    size_t n, cap;
};

struct logfile {
    struct outlog_reader *r;
    char *path;
    int fd;
    bool shared; /* path and fd are those of another reader */
    dev_t device;
    ino_t inode;
    uint32_t number; /* index in reader->files */
    uint64_t size;
    uint64_t seed;
    struct outlog_ident ident;
    bool superblock_bad; /* the identity is from an extent header */
    bool hqs;            /* one of HyperQueue's stream files */
    bool sealed;
    bool seal_bad; /* a page of the tree did not read well */
    struct outlog_slot slot;
    struct extent_list all;
    struct extent_list tail; /* those that the seal does not cover */
};

/* Contents of the groups read last: tasks lie spread over the groups of the workers
 * that ran at the same time. */
#define GROUP_CACHE 32
struct group_cache {
    struct buf content;
    uint64_t offset; /* 0: none */
    uint32_t file;
    uint64_t used;
};

/* A log of a directory that cannot be read. */
struct left_out {
    char *path;
    uint64_t bytes;
    const char *what;
};

struct outlog_reader {
    struct outlog_reader *of; /* whose files it shares, or NULL */
    struct left_out *left_out;
    size_t n_left_out;
    struct logfile **files;
    size_t n_files;
    outlog_damage_fn on_damage;
    void *damage_arg;
    struct outlog_reader_stats stats;
    /* last block read */
    struct buf block;
    struct window ahead; /* of the file read last, when reading goes forward */
    uint64_t ahead_next; /* where the last block ended */
    uint32_t n_forward;  /* blocks in a row that lay just behind the one before */
    uint32_t n_origins;  /* asked for so far */
    struct group_cache groups[GROUP_CACHE];
    size_t n_groups;           /* of them in use */
    uint64_t clock;            /* counts uses */
    struct unpacker *unpacker; /* made at the first group */
};

/* reader.c */
/* The content of a group, appended to out. ERR_CORRUPT or ERR_NOMEM. */
int reader_unpack(struct outlog_reader *r, const uint8_t *payload, size_t n,
                  struct buf *out) MUST_CHECK;

/* reader_file.c */
int logfile_open(struct outlog_reader *r, const char *path, struct logfile **out,
                 struct error *err) MUST_CHECK;
/* The same open file for another reader. NULL: out of memory. */
struct logfile *logfile_share(struct outlog_reader *r, const struct logfile *of);
void logfile_destroy(struct logfile *f);
/*
 * The data extents: all, or with `tail` only those that the seal does not cover (all,
 * when it is not sealed). Listed at the first call. NULL: out of memory.
 */
struct extent_list *logfile_extents(struct logfile *f, bool tail, struct error *err);
/* The header of the extent that holds the offset. */
bool logfile_extent_of(struct logfile *f, uint64_t offset, struct outlog_extent *x);
/* The extent that begins at pos, if a header is there. */
bool logfile_extent_at(struct logfile *f, uint64_t pos, struct extent_info *x);
uint64_t logfile_align_up(const struct logfile *f, uint64_t offset);
uint64_t logfile_align_down(const struct logfile *f, uint64_t offset);
/* Reads up to n bytes; short at the end of the file or on an I/O error. */
size_t logfile_read(const struct logfile *f, uint64_t offset, void *p, size_t n);
void logfile_damage(const struct logfile *f, uint64_t offset, uint64_t bytes,
                    const char *what);
/* First offset at or above `from` that may hold data; the file's size if none. */
uint64_t logfile_next_data(const struct logfile *f, uint64_t from);

bool window_init(struct window *w, const struct logfile *f, size_t cap);
void window_release(struct window *w);
/* n bytes at offset, or NULL when the file does not have them. Valid until the next
 * call; n may exceed the initial capacity. */
const uint8_t *window_at(struct window *w, uint64_t offset, size_t n);

/* reader_scan.c: blocks in the order of their positions */
enum scan_result {
    SCAN_END,
    SCAN_BLOCK,  /* a verified block */
    SCAN_DAMAGE, /* bytes that are no block, with blocks behind them or a closed extent
                  */
    SCAN_TORN    /* as damage, but at the end of what was written */
};
struct scan {
    struct window w;
    const struct extent_info *x;
    uint64_t pos, end;
    bool verify;   /* payloads too */
    bool may_skip; /* groups that hold neither of `unless` */
    uint8_t unless[2];
    struct buf group; /* content of the current group */
    size_t inner;     /* position in it */
    uint64_t group_offset;
    struct outlog_block block; /* current */
    struct outlog_entry e;
    uint64_t damage_at, damage_bytes;
    const char *damage_what;
    uint32_t n_records; /* hqs: so far */
    uint32_t missing;   /* hqs: bytes of the last record that the file does not have */
};
/* `window`: bytes read at once. */
bool scan_init(struct scan *s, const struct logfile *f, const struct extent_info *x,
               bool verify, size_t window);
#define SCAN_WINDOW ((size_t)1 << 20)
void scan_release(struct scan *s);
enum scan_result scan_next(struct scan *s);
/* Output bytes of the current block, valid until the next call; NULL: cannot be read.
 */
const uint8_t *scan_data(struct scan *s);
/* Fills x->entries; damage is reported. */
int extent_scan(struct logfile *f, struct extent_info *x, struct error *err) MUST_CHECK;

/* reader_hqs.c */
/* False: no such file. Lists its one extent. */
bool hqs_open(struct logfile *f, const uint8_t *p, size_t n);
enum scan_result hqs_scan_next(struct scan *s);
/* Entries that were scanned and sorted: numbers them by run and marks ends. */
void hqs_finish_entries(struct extent_info *x);

/* reader_source.c: entries in key order */
enum source_kind { SOURCE_TREE, SOURCE_INDEX, SOURCE_ARRAY };
struct source {
    enum source_kind kind;
    struct logfile *f;
    struct extent_info *x;
    struct window w;
    struct page_cursor page;
    bool page_open;
    uint64_t next, end; /* leaves still to come */
    size_t at;          /* array */
    struct outlog_entry e;
    bool bad; /* ended by damage; f or x is marked */
};
/* Positions before the first entry with a key >= *from. */
bool source_init(struct source *s, enum source_kind kind, struct logfile *f,
                 struct extent_info *x, const struct outlog_key *from);
void source_release(struct source *s);
bool source_next(struct source *s); /* fills e; false: end, or bad */
/* For the index of an extent, from its start on; takes it to its end. False: bad. */
bool source_largest_ids(struct source *s, struct outlog_ids *ids);

#endif
