/* packed_rows.c — the form: one byte that says which form it is; then groups of rows of one kind and parameter. A group
 * begins with varint(rows << 3 | flag << 2 | kind - 1) and the parameter (4 bytes); its rows follow:
 *   KEY     word                                   TEXT    varint(len << 1), bytes; or varint(distance << 1 | 1)
 *   DATE    varint of from_ms, of to_ms - from_ms  NUMBER  word of the unit, low, and high unless they are one
 * A word is varint(distance), or 0 and its 8 bytes. A number is varint(digits << 4 | places), or 15 and its 8 bytes. In
 * the byte order of the machine: the bytes never leave the folder. */
#include "store/packed_rows.h"

#include <math.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/varint.h"
#include "store/internal.h"

enum { FORM = 1, PLACES_MAX = 14, PLACES_RAW = 15 };

static const double powers_of_ten[PLACES_MAX + 1] = { 1,   1e1, 1e2,  1e3,  1e4,  1e5,  1e6, 1e7,
                                                      1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14 };

/* ---- writing ---- */

struct packing {
    struct buf buf;
    uint64_t words[PACKED_WORDS];
    size_t words_count;
    struct str texts[PACKED_TEXTS];
    size_t texts_count;
};

static void add_word(struct packing *packing, uint64_t word)
{
    size_t known = packing->words_count < PACKED_WORDS ? packing->words_count : PACKED_WORDS;
    for (size_t back = 1; back <= known; back++) {
        if (packing->words[(packing->words_count - back) & (PACKED_WORDS - 1)] == word) {
            varint_add(&packing->buf, back);
            return;
        }
    }
    packing->words[packing->words_count & (PACKED_WORDS - 1)] = word;
    packing->words_count++;
    varint_add(&packing->buf, 0);
    bytes_add(&packing->buf, &word, sizeof word);
}

static void add_packed_text(struct packing *packing, struct str text)
{
    size_t known = packing->texts_count < PACKED_TEXTS ? packing->texts_count : PACKED_TEXTS;
    for (size_t back = 1; back <= known; back++) {
        if (str_equal(packing->texts[(packing->texts_count - back) & (PACKED_TEXTS - 1)], text)) {
            varint_add(&packing->buf, back << 1 | 1);
            return;
        }
    }
    packing->texts[packing->texts_count & (PACKED_TEXTS - 1)] = text;
    packing->texts_count++;
    varint_add(&packing->buf, text.len << 1);
    buf_add(&packing->buf, text);
}

/* As its decimal digits where they give the same number back. */
static void add_number(struct buf *buf, double number)
{
    const double most = 9007199254740992.0; /* 2^53: whole numbers up to there are exact */
    number = number == 0 ? 0 : number;      /* one zero */
    for (uint64_t places = 0; places <= PLACES_MAX; places++) {
        double digits = nearbyint(number * powers_of_ten[places]);
        if (!(fabs(digits) <= most)) {
            break;
        }
        if (digits / powers_of_ten[places] == number) {
            varint_add(buf, varint_zigzag((int64_t)digits) << 4 | places);
            return;
        }
    }
    varint_add(buf, PLACES_RAW);
    bytes_add(buf, &number, sizeof number);
}

static void add_row(struct packing *packing, const struct index_row *row, bool flag)
{
    int64_t unit = row->kind == INDEX_DATE && flag ? 1000 : 1;
    switch (row->kind) {
    case INDEX_KEY:
        add_word(packing, row->key);
        break;
    case INDEX_TEXT:
        add_packed_text(packing, index_text_cut(row->text));
        break;
    case INDEX_DATE: /* the difference may wrap, and wraps back */
        varint_add(&packing->buf, varint_zigzag(row->from_ms / unit));
        varint_add(&packing->buf,
                   varint_zigzag((int64_t)((uint64_t)(row->to_ms / unit) - (uint64_t)(row->from_ms / unit))));
        break;
    case INDEX_NUMBER:
        add_word(packing, row->key);
        add_number(&packing->buf, row->low);
        if (!flag) {
            add_number(&packing->buf, row->high);
        }
        break;
    }
}

static bool has_flag(const struct index_row *row)
{
    return row->kind == INDEX_DATE ? row->from_ms % 1000 == 0 && row->to_ms % 1000 == 0
                                   : row->kind == INDEX_NUMBER && row->low == row->high;
}

static void add_group(struct packing *packing, const struct run_entry *entries, size_t count)
{
    const struct index_row *first = entries->row;
    bool flag = true;
    for (size_t i = 0; i < count; i++) {
        flag = flag && has_flag(entries[i].row);
    }
    varint_add(&packing->buf, (uint64_t)count << 3 | (flag ? 4 : 0) | (uint64_t)(first->kind - 1));
    bytes_add(&packing->buf, &first->parameter, sizeof first->parameter);
    for (size_t i = 0; i < count; i++) {
        add_row(packing, entries[i].row, flag);
    }
}

/* Those that are kept by version, in the order of the main index, each once. */
static struct run_entry *entries_of(struct arena *arena, const struct index_rows *rows, size_t *count)
{
    struct run_entry *entries = ARENA_ARRAY(arena, struct run_entry, rows->count + 1);
    size_t all = 0;
    for (size_t i = 0; entries != NULL && i < rows->count; i++) {
        if (!rows->rows[i].derived && (rows->rows[i].kind != INDEX_KEY || rows->rows[i].reference)) {
            entries[all] = (struct run_entry){ .row = &rows->rows[i] };
            all++;
        }
    }
    if (entries != NULL) {
        index_sort_entries(entries, all);
    }
    *count = 0;
    for (size_t i = 0; i < all; i++) {
        if (*count == 0 || index_entries_compare(&entries[*count - 1], &entries[i]) != 0) {
            entries[*count] = entries[i];
            (*count)++;
        }
    }
    return entries;
}

bool packed_rows_make(struct arena *arena, const struct index_rows *rows, struct str *packed,
                      struct error *error)
{
    struct packing packing = { .buf = { .bytes_max = LIMIT_RESOURCE_BYTES } };
    size_t count = 0;
    *packed = STR_NONE;
    struct run_entry *entries = rows == NULL ? NULL : entries_of(arena, rows, &count);
    if (rows != NULL && entries == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (count == 0) {
        return true;
    }
    buf_add_char(&packing.buf, FORM);
    for (size_t i = 0; i < count;) {
        size_t end = i + 1;
        while (end < count && entries[end].row->kind == entries[i].row->kind &&
               entries[end].row->parameter == entries[i].row->parameter) {
            end++;
        }
        add_group(&packing, &entries[i], end - i);
        i = end;
    }
    *packed = packing.buf.failed ? STR_NONE : arena_dup(arena, buf_str(&packing.buf));
    buf_deinit(&packing.buf);
    return packed->at != NULL || FAIL(error, ERROR_TOO_LARGE, "request memory used up");
}

/* ---- reading ---- */

static bool take_word(struct packed_reader *reader, uint64_t *word)
{
    uint64_t back = 0;
    if (!varint_take(&reader->rest, &back) || back > PACKED_WORDS || back > reader->words_count) {
        return false;
    }
    if (back > 0) {
        *word = reader->words[(reader->words_count - back) & (PACKED_WORDS - 1)];
        return true;
    }
    if (!bytes_take(&reader->rest, word, sizeof *word)) {
        return false;
    }
    reader->words[reader->words_count & (PACKED_WORDS - 1)] = *word;
    reader->words_count++;
    return true;
}

static bool take_text(struct packed_reader *reader, struct str *text)
{
    uint64_t head = 0;
    if (!varint_take(&reader->rest, &head)) {
        return false;
    }
    uint64_t number = head >> 1;
    if ((head & 1) != 0) {
        if (number == 0 || number > PACKED_TEXTS || number > reader->texts_count) {
            return false;
        }
        *text = reader->texts[(reader->texts_count - number) & (PACKED_TEXTS - 1)];
        return true;
    }
    if (number > LIMIT_STORE_INDEX_TEXT_BYTES || number > reader->rest.len) {
        return false;
    }
    *text = (struct str){ reader->rest.at, (size_t)number };
    reader->rest = str_skip(reader->rest, (size_t)number);
    reader->texts[reader->texts_count & (PACKED_TEXTS - 1)] = *text;
    reader->texts_count++;
    return true;
}

static bool take_number(struct str *bytes, double *number)
{
    uint64_t head = 0;
    if (!varint_take(bytes, &head)) {
        return false;
    }
    uint64_t places = head & 15;
    if (places == PLACES_RAW) {
        return bytes_take(bytes, number, sizeof *number);
    }
    *number = (double)varint_unzigzag(head >> 4) / powers_of_ten[places];
    return true;
}

static bool take_date(struct packed_reader *reader, struct index_row *row)
{
    uint64_t from = 0;
    uint64_t span = 0;
    if (!varint_take(&reader->rest, &from) || !varint_take(&reader->rest, &span)) {
        return false;
    }
    uint64_t unit = reader->flag ? 1000 : 1;
    uint64_t first = (uint64_t)varint_unzigzag(from);
    row->from_ms = (int64_t)(first * unit);
    row->to_ms = (int64_t)((first + (uint64_t)varint_unzigzag(span)) * unit);
    return true;
}

enum packed packed_rows_begin(struct packed_reader *reader, struct str bytes)
{
    char form = 0;
    reader->rest = bytes.at == NULL ? STR("") : bytes;
    reader->left = 0;
    reader->words_count = 0;
    reader->texts_count = 0;
    bool ok = bytes.at == NULL || (bytes_take(&reader->rest, &form, 1) && form == FORM);
    return ok ? PACKED_END : PACKED_DAMAGED;
}

static bool take_group(struct packed_reader *reader)
{
    uint64_t head = 0;
    if (!varint_take(&reader->rest, &head) ||
        !bytes_take(&reader->rest, &reader->parameter, sizeof reader->parameter)) {
        return false;
    }
    reader->kind = (enum index_kind)((head & 3) + 1);
    reader->flag = (head & 4) != 0;
    reader->left = head >> 3;
    return reader->left > 0;
}

enum packed packed_rows_next(struct packed_reader *reader, struct index_row *row)
{
    if (reader->left == 0 && reader->rest.len == 0) {
        return PACKED_END;
    }
    if (reader->left == 0 && !take_group(reader)) {
        return PACKED_DAMAGED;
    }
    bool ok = false;
    *row = (struct index_row){ .kind = reader->kind, .parameter = reader->parameter };
    switch (reader->kind) {
    case INDEX_KEY:
        ok = take_word(reader, &row->key);
        row->reference = true;
        break;
    case INDEX_TEXT:
        ok = take_text(reader, &row->text);
        break;
    case INDEX_DATE:
        ok = take_date(reader, row);
        break;
    case INDEX_NUMBER:
        ok = take_word(reader, &row->key) && take_number(&reader->rest, &row->low);
        row->high = row->low;
        ok = ok && (reader->flag || take_number(&reader->rest, &row->high));
        break;
    }
    reader->left--;
    return ok ? PACKED_ROW : PACKED_DAMAGED;
}
