#include "store/database_functions.h"

#include <math.h>
#include <stdlib.h>

#include <sqlite3.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "store/database.h"

/* Values of one group of median or percentile, in the memory that the engine keeps for the aggregate. */
struct sample {
    double *values;
    size_t count;
    size_t capacity;
    double part; /* 0 … 1 */
};

static void sample_add(sqlite3_context *context, struct sample *sample, double value)
{
    if (sample->count == sample->capacity) {
        size_t capacity = sample->capacity == 0 ? 64 : sample->capacity * 2;
        double *grown = capacity > LIMIT_SEARCH_CANDIDATES
                            ? NULL
                            : memory_resize(sample->values, capacity * sizeof *grown);
        if (grown == NULL) {
            sqlite3_result_error(context, "too many values for a median", -1);
            return;
        }
        sample->values = grown;
        sample->capacity = capacity;
    }
    sample->values[sample->count] = value;
    sample->count++;
}

static void sample_step(sqlite3_context *context, int count, sqlite3_value **values)
{
    struct sample *sample = sqlite3_aggregate_context(context, sizeof *sample);
    if (sample == NULL) {
        sqlite3_result_error_nomem(context);
        return;
    }
    sample->part = count == 2 ? sqlite3_value_double(values[1]) : 0.5;
    if (sample->part < 0 || sample->part > 1) {
        sqlite3_result_error(context, "percentile wants a part from 0 to 1", -1);
        return;
    }
    if (sqlite3_value_type(values[0]) != SQLITE_NULL) { /* unknown is not a value */
        sample_add(context, sample, sqlite3_value_double(values[0]));
    }
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Linear between the two nearest ranks (R type 7, what spreadsheets do): median of 1 2 3 10 is 2.5. */
static void sample_final(sqlite3_context *context)
{
    struct sample *sample = sqlite3_aggregate_context(context, 0);
    if (sample == NULL || sample->count == 0) {
        sqlite3_result_null(context);
    } else {
        qsort(sample->values, sample->count, sizeof *sample->values, compare_doubles);
        double rank = sample->part * (double)(sample->count - 1);
        size_t low = (size_t)floor(rank);
        size_t high = low + 1 < sample->count ? low + 1 : low;
        double share = rank - (double)low;
        sqlite3_result_double(context,
                              sample->values[low] + share * (sample->values[high] - sample->values[low]));
    }
    if (sample != NULL) {
        memory_free(sample->values);
        sample->values = NULL;
    }
}

/* NULL instead of a division by zero: a rate without a base is unknown, not 0. */
static void ratio(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    if (sqlite3_value_type(values[0]) == SQLITE_NULL || sqlite3_value_double(values[1]) == 0) {
        sqlite3_result_null(context);
        return;
    }
    sqlite3_result_double(context, sqlite3_value_double(values[0]) / sqlite3_value_double(values[1]));
}

static void days_between(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    if (sqlite3_value_type(values[0]) == SQLITE_NULL || sqlite3_value_type(values[1]) == SQLITE_NULL) {
        sqlite3_result_null(context);
        return;
    }
    double span_ms = sqlite3_value_double(values[1]) - sqlite3_value_double(values[0]);
    sqlite3_result_double(context, span_ms / 86400000.0);
}

static void day_of(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    const struct database_functions *functions = sqlite3_user_data(context);
    if (sqlite3_value_type(values[0]) == SQLITE_NULL) {
        sqlite3_result_null(context);
        return;
    }
    sqlite3_result_int64(context, local_day(sqlite3_value_int64(values[0]), functions->offset_minutes));
}

/* Whether a text is one of a list with a blank between each two; an absent text is none. */
static void one_of(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    const unsigned char *text = sqlite3_value_text(values[0]);
    const unsigned char *listed = sqlite3_value_text(values[1]);
    struct str wanted = { (const char *)text, text == NULL ? 0 : (size_t)sqlite3_value_bytes(values[0]) };
    struct str rest = { (const char *)listed, listed == NULL ? 0 : (size_t)sqlite3_value_bytes(values[1]) };
    struct str part = STR_NONE;
    bool found = false;
    while (!found && wanted.len > 0 && str_split_next(&rest, ' ', &part)) {
        found = str_equal(part, wanted);
    }
    sqlite3_result_int(context, found ? 1 : 0);
}

/* The temporary SQL views of as-of figures compare with it (sql_run.c). */
static void as_of_seq(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    (void)values;
    const struct database_functions *functions = sqlite3_user_data(context);
    sqlite3_result_int64(context, (int64_t)functions->as_of_seq);
}

int database_functions_register(struct sqlite3 *engine, struct database_functions *functions)
{
    static const struct {
        const char *name;
        int arguments;
        void (*call)(sqlite3_context *, int, sqlite3_value **);
        void (*step)(sqlite3_context *, int, sqlite3_value **);
        void (*final)(sqlite3_context *);
    } rows[] = {
        { "median", 1, NULL, sample_step, sample_final },
        { "percentile", 2, NULL, sample_step, sample_final },
        { "ratio", 2, ratio, NULL, NULL },
        { "days_between", 2, days_between, NULL, NULL },
        { "local_day", 1, day_of, NULL, NULL },
        { "one_of", 2, one_of, NULL, NULL },
        { "as_of_seq", 0, as_of_seq, NULL, NULL },
    };
    int code = SQLITE_OK;
    for (size_t i = 0; i < sizeof rows / sizeof *rows && code == SQLITE_OK; i++) {
        code = sqlite3_create_function_v2(engine, rows[i].name, rows[i].arguments,
                                          SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, functions,
                                          rows[i].call, rows[i].step, rows[i].final, NULL);
    }
    return code;
}
