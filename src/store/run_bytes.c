/* run_bytes.c — a run as bytes, a row of index_pending: what a commit pays for its index rows until they are in the main
 * index. The rows of a commit say much the same (a status, a code, a patient), and stand sorted: so each value comes once,
 * followed by the versions that have it.
 *
 *   form (1 byte), varint(rows), varint(bytes of texts), varint(the lowest sequence number); then for each kind and parameter
 *   kind (1 byte; 0 a head), parameter (4), varint(rows); then for each value
 *   HEAD, KEY  its 8 bytes                         TEXT    length (1 byte) and the text
 *   DATE       varint of what from_ms is beyond the value before, of to_ms - from_ms
 *   NUMBER     flags (1 byte), the unit unless it is that of the value before, low, high unless it is low
 *   varint(versions), then each: what it is beyond the lowest, or beyond the one before
 *
 * In the byte order of the machine: the bytes never leave the folder. Stores up to version 5 have another form, which
 * begins with a kind; it is read and no longer written. */
#include "base/limits.h"
#include "base/varint.h"
#include "store/runs.h"

enum { FORM = 0x80, SAME_UNIT = 1, ONE_NUMBER = 2, OLD_ROW_BYTES_MIN = 9 /* an empty text */ };

static_assert(LIMIT_STORE_INDEX_TEXT_BYTES <= 255, "a length in one byte");

/* ---- writing ---- */

static bool same_value(const struct run *run, const struct run_row *x, const struct run_row *y)
{
    if (run_row_kind(x) == INDEX_TEXT) {
        return str_equal(run_row_text(run, x), run_row_text(run, y));
    }
    return x->a == y->a && x->b == y->b && x->c == y->c;
}

/* `before` is the value before of the same group, or NULL. */
static void value_write(struct buf *buf, const struct run *run, const struct run_row *row,
                        const struct run_row *before)
{
    unsigned char flags =
        (before != NULL && before->a == row->a ? SAME_UNIT : 0u) | (row->b == row->c ? ONE_NUMBER : 0u);
    unsigned char len = (unsigned char)row->c;
    if (run_row_kind(row) == RUN_HEAD) {
        bytes_add(buf, &row->a, sizeof row->a);
        return;
    }
    switch (run_row_kind(row)) {
    case INDEX_KEY:
        bytes_add(buf, &row->a, sizeof row->a);
        break;
    case INDEX_TEXT:
        bytes_add(buf, &len, 1);
        buf_add(buf, run_row_text(run, row));
        break;
    case INDEX_DATE: /* differences may wrap, and wrap back */
        varint_add(buf,
                   varint_zigzag((int64_t)((uint64_t)row->a - (before == NULL ? 0 : (uint64_t)before->a))));
        varint_add(buf, varint_zigzag((int64_t)((uint64_t)row->b - (uint64_t)row->a)));
        break;
    case INDEX_NUMBER:
        bytes_add(buf, &flags, 1);
        bytes_add(buf, &row->a, (flags & SAME_UNIT) != 0 ? 0 : sizeof row->a);
        bytes_add(buf, &row->b, sizeof row->b);
        bytes_add(buf, &row->c, (flags & ONE_NUMBER) != 0 ? 0 : sizeof row->c);
        break;
    }
}

/* The rows [from, to) of one kind and parameter. */
static void group_write(struct buf *buf, const struct run *run, size_t from, size_t to)
{
    const struct run_row *before = NULL;
    uint32_t parameter = run_row_parameter(&run->rows[from]);
    buf_add_char(buf, (char)run_row_kind(&run->rows[from]));
    bytes_add(buf, &parameter, sizeof parameter);
    varint_add(buf, to - from);
    while (from < to) {
        size_t end = from + 1;
        while (end < to && same_value(run, &run->rows[from], &run->rows[end])) {
            end++;
        }
        value_write(buf, run, &run->rows[from], before);
        before = &run->rows[from];
        varint_add(buf, end - from);
        for (uint64_t seq = run->seq_first; from < end; from++) {
            varint_add(buf, run->rows[from].seq - seq);
            seq = run->rows[from].seq;
        }
    }
}

void run_write(const struct run *run, struct buf *buf)
{
    buf_add_char(buf, (char)FORM);
    varint_add(buf, run->count);
    varint_add(buf, run->texts_len);
    varint_add(buf, run->seq_first);
    for (size_t i = 0; i < run->count;) {
        size_t end = i + 1;
        while (end < run->count && run->rows[end].head == run->rows[i].head) {
            end++;
        }
        group_write(buf, run, i, end);
        i = end;
    }
}

/* ---- reading ---- */

/* A run that is being read; the counts before its rows bound what it may hold. */
struct reading {
    struct str bytes;
    struct run *run;
    size_t rows_max;
    size_t texts_max;
};

static bool text_read(struct reading *reading, struct run_row *row)
{
    unsigned char len = 0;
    if (!bytes_take(&reading->bytes, &len, 1) || len > LIMIT_STORE_INDEX_TEXT_BYTES ||
        reading->bytes.len < len || reading->texts_max - reading->run->texts_len < len) {
        return false;
    }
    run_add_text(reading->run, row, (struct str){ reading->bytes.at, len });
    reading->bytes = str_skip(reading->bytes, len);
    return true;
}

static bool number_read(struct str *bytes, struct run_row *row, const struct run_row *before)
{
    unsigned char flags = 0;
    bool ok = bytes_take(bytes, &flags, 1) && ((flags & SAME_UNIT) == 0 || before != NULL);
    if (ok && (flags & SAME_UNIT) != 0) {
        row->a = before->a;
    } else {
        ok = ok && bytes_take(bytes, &row->a, sizeof row->a);
    }
    ok = ok && bytes_take(bytes, &row->b, sizeof row->b);
    row->c = row->b;
    return ok && ((flags & ONE_NUMBER) != 0 || bytes_take(bytes, &row->c, sizeof row->c));
}

static bool value_read(struct reading *reading, struct run_row *row, const struct run_row *before)
{
    uint64_t from = 0;
    uint64_t span = 0;
    bool ok = false;
    if (run_row_kind(row) == RUN_HEAD) {
        return bytes_take(&reading->bytes, &row->a, sizeof row->a);
    }
    switch (run_row_kind(row)) {
    case INDEX_KEY:
        ok = bytes_take(&reading->bytes, &row->a, sizeof row->a);
        break;
    case INDEX_TEXT:
        ok = text_read(reading, row);
        break;
    case INDEX_DATE:
        ok = varint_take(&reading->bytes, &from) && varint_take(&reading->bytes, &span);
        row->a = (int64_t)((uint64_t)varint_unzigzag(from) + (before == NULL ? 0 : (uint64_t)before->a));
        row->b = (int64_t)((uint64_t)row->a + (uint64_t)varint_unzigzag(span));
        break;
    case INDEX_NUMBER:
        ok = number_read(&reading->bytes, row, before);
        break;
    }
    return ok;
}

/* The value once more, for a further version: each row of a run has a text of its own. */
static bool text_again(struct reading *reading, struct run_row *row)
{
    struct str text = run_row_text(reading->run, row);
    if (reading->texts_max - reading->run->texts_len < text.len) {
        return false;
    }
    run_add_text(reading->run, row, text);
    return true;
}

static bool versions_read(struct reading *reading, struct run_row row, uint64_t count)
{
    struct run *run = reading->run;
    bool ok = count > 0 && count <= reading->rows_max - run->count;
    row.seq = run->seq_first;
    for (uint64_t i = 0; ok && i < count; i++) {
        uint64_t beyond = 0;
        ok = varint_take(&reading->bytes, &beyond) &&
             (i == 0 || run_row_kind(&row) != INDEX_TEXT || text_again(reading, &row));
        row.seq += beyond;
        run->rows[run->count] = row;
        run->count += ok ? 1 : 0;
    }
    return ok;
}

static bool group_read(struct reading *reading)
{
    unsigned char kind = 0;
    uint32_t parameter = 0;
    uint64_t left = 0;
    struct run_row before = { 0 };
    bool any = false;
    bool ok = bytes_take(&reading->bytes, &kind, 1) && kind <= INDEX_NUMBER &&
              bytes_take(&reading->bytes, &parameter, sizeof parameter) &&
              varint_take(&reading->bytes, &left);
    while (ok && left > 0) {
        struct run_row row = { .head = run_head((enum index_kind)kind, parameter) };
        uint64_t versions = 0;
        ok = value_read(reading, &row, any ? &before : NULL) && varint_take(&reading->bytes, &versions) &&
             versions <= left && versions_read(reading, row, versions);
        left -= ok ? versions : 0;
        before = row;
        any = true;
    }
    return ok;
}

static bool is_sorted(const struct run *run)
{
    bool ok = true;
    for (size_t i = 1; ok && i < run->count; i++) {
        ok = run_rows_compare(run, &run->rows[i - 1], run, &run->rows[i]) < 0;
    }
    return ok;
}

static struct run *present_read(struct str bytes, uint64_t commit, bool *memory)
{
    struct reading reading = { .bytes = str_skip(bytes, 1) };
    uint64_t rows = 0;
    uint64_t texts = 0;
    uint64_t first = 0;
    if (!varint_take(&reading.bytes, &rows) || !varint_take(&reading.bytes, &texts) ||
        !varint_take(&reading.bytes, &first) || rows > bytes.len ||
        texts > rows * LIMIT_STORE_INDEX_TEXT_BYTES) {
        return NULL;
    }
    reading.rows_max = (size_t)rows;
    reading.texts_max = (size_t)texts;
    reading.run = run_new(reading.rows_max, reading.texts_max, commit, commit);
    *memory = reading.run != NULL;
    bool ok = *memory;
    if (ok) {
        reading.run->seq_first = first;
    }
    while (ok && reading.bytes.len > 0) {
        ok = group_read(&reading);
    }
    if (!ok || reading.run->count != rows) {
        run_unref(reading.run);
        return NULL;
    }
    return reading.run;
}

/* ---- the form of stores up to version 5 ---- */

static bool old_row_read(struct reading *reading, uint64_t head)
{
    struct run *run = reading->run;
    struct run_row *row = &run->rows[run->count];
    struct str *bytes = &reading->bytes;
    *row = (struct run_row){ .head = head };
    bool ok = bytes_take(bytes, &row->seq, sizeof row->seq);
    ok = ok && (run_row_kind(row) != RUN_HEAD || bytes_take(bytes, &row->a, sizeof row->a));
    switch (run_row_kind(row)) {
    case INDEX_KEY:
        ok = ok && bytes_take(bytes, &row->a, sizeof row->a);
        break;
    case INDEX_TEXT:
        ok = ok && text_read(reading, row);
        break;
    case INDEX_DATE:
        ok = ok && bytes_take(bytes, &row->a, sizeof row->a) && bytes_take(bytes, &row->b, sizeof row->b);
        break;
    case INDEX_NUMBER:
        ok = ok && bytes_take(bytes, &row->a, sizeof row->a) && bytes_take(bytes, &row->b, sizeof row->b) &&
             bytes_take(bytes, &row->c, sizeof row->c);
        break;
    }
    run->count += ok ? 1 : 0;
    run->seq_first = ok && row->seq < run->seq_first ? row->seq : run->seq_first;
    return ok;
}

static struct run *old_read(struct str bytes, uint64_t commit, bool *memory)
{
    struct reading reading = { .bytes = bytes,
                               .rows_max = bytes.len / OLD_ROW_BYTES_MIN + 1,
                               .texts_max = bytes.len };
    reading.run = run_new(reading.rows_max, bytes.len, commit, commit);
    *memory = reading.run != NULL;
    bool ok = *memory;
    while (ok && reading.bytes.len > 0) {
        unsigned char kind = 0;
        uint32_t parameter = 0;
        uint32_t count = 0;
        ok = bytes_take(&reading.bytes, &kind, 1) &&
             bytes_take(&reading.bytes, &parameter, sizeof parameter) &&
             bytes_take(&reading.bytes, &count, sizeof count) && kind <= INDEX_NUMBER &&
             count <= reading.bytes.len / OLD_ROW_BYTES_MIN;
        for (uint32_t i = 0; ok && i < count; i++) {
            ok = old_row_read(&reading, run_head((enum index_kind)kind, parameter));
        }
    }
    if (!ok) {
        run_unref(reading.run);
        return NULL;
    }
    return reading.run;
}

bool run_read(struct str bytes, uint64_t commit, struct run **out, struct error *error)
{
    bool memory = true;
    bool present = bytes.len > 0 && (unsigned char)bytes.at[0] == FORM;
    struct run *run = present ? present_read(bytes, commit, &memory) : old_read(bytes, commit, &memory);
    if (run == NULL && !memory) {
        return FAIL(error, ERROR_BUSY, "out of memory; try again");
    }
    if (run == NULL || !is_sorted(run)) {
        run_unref(run);
        return FAIL(error, ERROR_INTERNAL, "waiting index rows are damaged: run `shanhai check`");
    }
    *out = run;
    return true;
}
