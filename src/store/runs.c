#include "store/runs.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/memory.h"

/* ---- order ---- */

int64_t run_number_order(double number)
{
    int64_t bits = 0;
    number = number == 0 ? 0 : number; /* one zero */
    static_assert(sizeof bits == sizeof number, "a double as 64 bits");
    memcpy(&bits, &number, sizeof bits);
    return bits < 0 ? (int64_t)((uint64_t)INT64_MIN - (uint64_t)bits) - 1 : bits;
}

double run_number(int64_t order)
{
    int64_t bits = order < 0 ? (int64_t)((uint64_t)INT64_MIN - (uint64_t)(order + 1)) : order;
    double number = 0;
    memcpy(&number, &bits, sizeof number);
    return number;
}

int64_t run_text_order(struct str text)
{
    uint64_t order = 0;
    for (size_t i = 0; i < sizeof order; i++) {
        order = order << 8 | (i < text.len ? (unsigned char)text.at[i] : 0);
    }
    return (int64_t)(order ^ (UINT64_C(1) << 63));
}

#define ORDER(x, y)                                                                                          \
    if ((x) != (y)) {                                                                                        \
        return (x) < (y) ? -1 : 1;                                                                           \
    }

int run_rows_compare(const struct run *a, const struct run_row *x, const struct run *b,
                     const struct run_row *y)
{
    ORDER(x->head, y->head)
    ORDER(x->a, y->a)
    if (run_row_kind(x) == INDEX_TEXT) {
        int order = str_compare(run_row_text(a, x), run_row_text(b, y));
        if (order != 0) {
            return order;
        }
    } else {
        ORDER(x->b, y->b)
        ORDER(x->c, y->c)
    }
    ORDER(x->seq, y->seq)
    return 0;
}

static int compare_in_one(const void *left, const void *right, void *data)
{
    return run_rows_compare(data, left, data, right);
}

/* ---- making runs ---- */

struct run *run_new(size_t rows, size_t texts, uint64_t first, uint64_t last)
{
    struct run *run = MEMORY_NEW(struct run);
    if (run == NULL) {
        return NULL;
    }
    atomic_init(&run->references, 1);
    run->seq_first = UINT64_MAX;
    run->first = first;
    run->last = last;
    run->rows = memory_new_array(rows + 1, sizeof *run->rows);
    run->texts = memory_new(texts + 1);
    if (run->rows == NULL || run->texts == NULL) {
        run_unref(run);
        return NULL;
    }
    return run;
}

void run_ref(struct run *run)
{
    (void)atomic_fetch_add(&run->references, 1);
}

void run_unref(struct run *run)
{
    if (run != NULL && atomic_fetch_sub(&run->references, 1) == 1) {
        memory_free(run->rows);
        memory_free(run->texts);
        memory_free(run);
    }
}

void run_add_text(struct run *run, struct run_row *row, struct str text)
{
    row->a = run_text_order(text);
    row->b = (int64_t)run->texts_len;
    row->c = (int64_t)text.len;
    memcpy(run->texts + run->texts_len, text.at, text.len);
    run->texts_len += text.len;
}

static void entry_add(struct run *run, const struct run_entry *entry, struct str text)
{
    const struct index_row *from = entry->row;
    struct run_row *row = &run->rows[run->count];
    *row = (struct run_row){ .head = run_head(from->kind, from->parameter), .seq = entry->seq };
    row->a = from->kind == RUN_HEAD ? (int64_t)entry->resource : 0;
    switch (from->kind) {
    case INDEX_KEY:
        row->a = (int64_t)from->key;
        break;
    case INDEX_TEXT:
        run_add_text(run, row, text);
        break;
    case INDEX_DATE:
        row->a = from->from_ms;
        row->b = from->to_ms;
        break;
    case INDEX_NUMBER:
        row->a = (int64_t)from->key;
        row->b = run_number_order(from->low);
        row->c = run_number_order(from->high);
        break;
    }
    run->count++;
}

static void run_sort(struct run *run)
{
    qsort_r(run->rows, run->count, sizeof *run->rows, compare_in_one, run);
    size_t kept = 0;
    for (size_t i = 0; i < run->count; i++) {
        if (kept == 0 || run_rows_compare(run, &run->rows[kept - 1], run, &run->rows[i]) != 0) {
            run->rows[kept] = run->rows[i];
            kept++;
        }
    }
    run->count = kept;
    for (size_t i = 0; i < kept; i++) {
        run->seq_first = run->rows[i].seq < run->seq_first ? run->rows[i].seq : run->seq_first;
    }
}

struct str index_text_cut(struct str text)
{
    size_t len = text.len;
    if (len > LIMIT_STORE_INDEX_TEXT_BYTES) {
        len = LIMIT_STORE_INDEX_TEXT_BYTES;
        while (len > 0 && ((unsigned char)text.at[len] & 0xc0) == 0x80) {
            len--; /* not inside a character */
        }
    }
    return (struct str){ text.at == NULL ? "" : text.at, len };
}

struct run *run_create(const struct run_entry *entries, size_t count, uint64_t commit)
{
    size_t texts = 0;
    for (size_t i = 0; i < count; i++) {
        texts += entries[i].row->kind == INDEX_TEXT ? index_text_cut(entries[i].row->text).len : 0;
    }
    struct run *run = run_new(count, texts, commit, commit);
    for (size_t i = 0; run != NULL && i < count; i++) {
        entry_add(run, &entries[i], index_text_cut(entries[i].row->text));
    }
    if (run != NULL) {
        run_sort(run);
    }
    return run;
}

static void row_copy(struct run *to, const struct run *from, const struct run_row *row)
{
    struct run_row *copy = &to->rows[to->count];
    *copy = *row;
    if (run_row_kind(row) == INDEX_TEXT) {
        copy->b = (int64_t)to->texts_len;
        memcpy(to->texts + to->texts_len, from->texts + row->b, (size_t)row->c);
        to->texts_len += (size_t)row->c;
    }
    to->count++;
}

struct run *run_merge(const struct run *older, const struct run *newer)
{
    struct run *run =
        run_new(older->count + newer->count, older->texts_len + newer->texts_len, older->first, newer->last);
    size_t i = 0;
    size_t j = 0;
    if (run != NULL) {
        run->seq_first = older->seq_first < newer->seq_first ? older->seq_first : newer->seq_first;
    }
    while (run != NULL && (i < older->count || j < newer->count)) {
        int order = i == older->count   ? 1
                    : j == newer->count ? -1
                                        : run_rows_compare(older, &older->rows[i], newer, &newer->rows[j]);
        if (order <= 0) {
            row_copy(run, older, &older->rows[i]);
            i++;
            j += order == 0 ? 1 : 0;
        } else {
            row_copy(run, newer, &newer->rows[j]);
            j++;
        }
    }
    return run;
}

/* ---- sets ---- */

struct runs *runs_create(uint64_t merged)
{
    struct runs *runs = MEMORY_NEW(struct runs);
    if (runs != NULL) {
        atomic_init(&runs->references, 1);
        runs->merged = merged;
    }
    return runs;
}

void runs_ref(struct runs *runs)
{
    (void)atomic_fetch_add(&runs->references, 1);
}

void runs_unref(struct runs *runs)
{
    if (runs == NULL || atomic_fetch_sub(&runs->references, 1) != 1) {
        return;
    }
    for (size_t i = 0; i < runs->count; i++) {
        run_unref(runs->runs[i]);
    }
    memory_free(runs);
}

/* A new set with references to the runs of the old from `first` on. */
static struct runs *runs_copy(const struct runs *runs, size_t first, uint64_t merged)
{
    struct runs *copy = runs_create(merged);
    for (size_t i = first; copy != NULL && i < runs->count; i++) {
        run_ref(runs->runs[i]);
        copy->runs[copy->count] = runs->runs[i];
        copy->count++;
        copy->rows_count += runs->runs[i]->count;
    }
    return copy;
}

/* Puts the last two runs together. */
static bool last_two_merge(struct runs *runs)
{
    struct run *older = runs->runs[runs->count - 2];
    struct run *newer = runs->runs[runs->count - 1];
    struct run *both = run_merge(older, newer);
    if (both == NULL) {
        return false;
    }
    runs->rows_count -= older->count + newer->count - both->count;
    run_unref(older);
    run_unref(newer);
    runs->count--;
    runs->runs[runs->count - 1] = both;
    return true;
}

struct runs *runs_with(const struct runs *runs, struct run *newer, size_t kept)
{
    struct runs *made = runs_copy(runs, 0, runs->merged);
    if (made == NULL || made->count == RUNS_MAX) {
        runs_unref(made);
        return NULL;
    }
    run_ref(newer); /* should merging fail, it is still the caller's */
    made->runs[made->count] = newer;
    made->count++;
    made->rows_count += newer->count;
    bool ok = true;
    while (ok && made->count >= kept + 2 &&
           made->runs[made->count - 2]->count < 2 * made->runs[made->count - 1]->count) {
        ok = last_two_merge(made);
    }
    if (!ok) {
        runs_unref(made);
        return NULL;
    }
    run_unref(newer);
    return made;
}

struct runs *runs_frozen(const struct runs *runs)
{
    struct runs *made = runs_copy(runs, 0, runs->merged);
    bool ok = made != NULL;
    while (ok && made->count > 1) {
        ok = last_two_merge(made);
    }
    if (!ok) {
        runs_unref(made);
        return NULL;
    }
    return made;
}

struct runs *runs_without_first(const struct runs *runs)
{
    assert(runs->count > 0);
    return runs_copy(runs, 1, runs->runs[0]->last);
}

bool runs_view(const struct runs *runs, const struct run_mark *mark, uint64_t seq_max, struct run_view *view)
{
    view->count = 0;
    view->seq_max = seq_max;
    for (size_t i = 0; i < runs->count; i++) {
        const struct run *run = runs->runs[i];
        size_t from = run->last == mark->run ? (size_t)mark->position : 0;
        if (run->last <= mark->merged || from >= run->count) {
            continue;
        }
        assert(run->first > mark->merged);
        view->spans[view->count] = (struct run_span){ run, from, run->count };
        view->count++;
    }
    return runs->merged <= mark->merged;
}

uint64_t run_view_head(const struct run_view *view, uint64_t resource)
{
    uint64_t latest = 0;
    for (size_t i = 0; i < view->count; i++) {
        const struct run_span *span = &view->spans[i];
        size_t low = span->from;
        size_t high = span->to;
        while (low < high) { /* the first row that is not of a resource before it */
            size_t middle = low + (high - low) / 2;
            const struct run_row *row = &span->run->rows[middle];
            bool before = row->head == run_head(RUN_HEAD, 0) && row->a < (int64_t)resource;
            low = before ? middle + 1 : low;
            high = before ? high : middle;
        }
        for (; low < span->to; low++) {
            const struct run_row *row = &span->run->rows[low];
            if (row->head != run_head(RUN_HEAD, 0) || row->a != (int64_t)resource ||
                row->seq > view->seq_max) {
                break;
            }
            latest = row->seq > latest ? row->seq : latest;
        }
    }
    return latest;
}
