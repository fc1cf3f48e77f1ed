/* runs.h — index rows that wait in memory above the watermark (docs/modules/store.md, "Index rows"): sorted arrays,
 * never changed once made, shared by counting references. A *run* holds the rows of some successive commits; a *set
 * of runs* is what waits at one moment. The writer makes new sets; readers take the one that fits their snapshot and
 * look through a *view*: of each run the part that is not in the main index yet.
 *
 * Knows no SQL. Any thread may read a run or set that it holds a reference to. Inside store/ only. */
#ifndef SHANHAI_STORE_RUNS_H
#define SHANHAI_STORE_RUNS_H

#include <stdatomic.h>

#include "base/buf.h"
#include "fhir/index.h"

/* A kind beside those of index rows, before them: where the latest version of a resource is (table `resource`). */
#define RUN_HEAD ((enum index_kind)0)

/* One row. Values are kept so that they order as the main index does:
 *   HEAD    a = key of the resource
 *   KEY     a = value                        NUMBER  a = unit, b = low, c = high (as ordered integers)
 *   DATE    a = from_ms, b = to_ms           TEXT    a = first 8 bytes, b = offset in the run's texts, c = length */
struct run_row {
    uint64_t head; /* kind and parameter */
    int64_t a;
    int64_t b;
    int64_t c;
    uint64_t seq;
};

struct run {
    atomic_uint references;
    struct run_row *rows; /* sorted by kind, parameter, values, seq; each once */
    size_t count;
    char *texts;
    size_t texts_len;
    uint64_t seq_first; /* the lowest of its rows */
    uint64_t first;     /* commits (numbers of index_pending) whose rows are here */
    uint64_t last;
};

enum { RUNS_MAX = 40 };

struct runs {
    atomic_uint references;
    struct run *runs[RUNS_MAX]; /* oldest first */
    size_t count;
    size_t rows_count;
    uint64_t merged; /* commits up to here are wholly in the main index */
};

/* How far the main index is, as a snapshot of the database says it: commits up to `merged` are wholly there; of the
 * run that ends with commit `run` (0: none) the first `position` rows. */
struct run_mark {
    uint64_t merged;
    uint64_t run;
    uint64_t position;
};

struct run_span {
    const struct run *run;
    size_t from;
    size_t to;
};

struct run_view {
    struct run_span spans[RUNS_MAX];
    size_t count;
    uint64_t seq_max; /* later versions are not of this snapshot */
};

static inline uint64_t run_head(enum index_kind kind, uint32_t parameter)
{
    return (uint64_t)kind << 32 | parameter;
}
static inline enum index_kind run_row_kind(const struct run_row *row)
{
    return (enum index_kind)(row->head >> 32);
}
static inline uint32_t run_row_parameter(const struct run_row *row)
{
    return (uint32_t)row->head;
}
static inline struct str run_row_text(const struct run *run, const struct run_row *row)
{
    return (struct str){ run->texts + row->b, (size_t)row->c };
}
/* Numbers as integers of the same order, and back. */
int64_t run_number_order(double number);
double run_number(int64_t order);
/* The first 8 bytes of a text as an integer of the same order. */
int64_t run_text_order(struct str text);

/* ---- runs ---- */

/* A text as the index has it: at most LIMIT_STORE_INDEX_TEXT_BYTES. */
struct str index_text_cut(struct str text);

/* An index row of a version, not yet in a run. */
struct run_entry {
    const struct index_row *row; /* of kind RUN_HEAD: has nothing else in it */
    uint64_t seq;
    uint64_t resource; /* key; runs have it of heads only */
};

/* NULL when memory is used up. */
struct run *run_create(const struct run_entry *entries, size_t count, uint64_t commit);
void run_ref(struct run *run);
void run_unref(struct run *run); /* NULL is fine */
/* Both together, as a third. NULL when memory is used up. */
struct run *run_merge(const struct run *older, const struct run *newer);

/* As bytes, to be kept until the rows are in the main index (run_bytes.c). Reading gives ERROR_INTERNAL for anything else. */
void run_write(const struct run *run, struct buf *buf);
bool run_read(struct str bytes, uint64_t commit, struct run **run, struct error *error) MUST_CHECK;

/* A run with room for rows and texts, to be filled in order; NULL when memory is used up. */
struct run *run_new(size_t rows, size_t texts, uint64_t first, uint64_t last);
/* Makes the row one of a text, which the run keeps. */
void run_add_text(struct run *run, struct run_row *row, struct str text);

/* The order of rows of two runs: below, equal, above 0. */
int run_rows_compare(const struct run *a, const struct run_row *x, const struct run *b,
                     const struct run_row *y);

/* ---- sets ---- */

struct runs *runs_create(uint64_t merged); /* empty */
void runs_ref(struct runs *runs);
void runs_unref(struct runs *runs); /* NULL is fine */
/* The set and a newer run (its reference passes over). Neighbours after the first `kept` runs are merged until each is
 * at least twice the next, so that there are few. NULL when memory is used up; the run is the caller's still. */
struct runs *runs_with(const struct runs *runs, struct run *newer, size_t kept);
/* All runs as one, which will be merged into the main index; the same when there is one already. */
struct runs *runs_frozen(const struct runs *runs);
/* The set without its first run, which is wholly in the main index now. */
struct runs *runs_without_first(const struct runs *runs);

/* What of the set a snapshot must look at beside its main index. False: the set has dropped a run that the snapshot
 * still needs; take a newer snapshot. */
bool runs_view(const struct runs *runs, const struct run_mark *mark, uint64_t seq_max, struct run_view *view);

/* The latest version of a resource among what waits; 0: the table has it, if there is one. */
uint64_t run_view_head(const struct run_view *view, uint64_t resource);

#endif
