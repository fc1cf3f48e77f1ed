/* clock.h — time in milliseconds since 1970-01-01T00:00Z (int64_t ..._ms), civil dates in the proleptic
 * Gregorian calendar, and FHIR's text forms (R4 2.24.0.1: date, dateTime, instant, time, partial dates).
 * Any thread; nothing here uses the C library's time zone. */
#ifndef SHANHAI_BASE_CLOCK_H
#define SHANHAI_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "base/error.h"
#include "base/str.h"

/* Wall clock (may jump) and monotonic clock (for durations). */
int64_t clock_now_ms(void);
int64_t clock_monotonic_us(void);

/* Processor time of the calling thread: a budget of work that a busy machine does not use up. */
int64_t clock_thread_us(void);

/* Trial runs: from now on clock_now_ms is this much ahead of the machine's clock (`serve --clock-ahead`). */
void clock_set_ahead(int64_t ahead_ms);

/* A time of clock_now_ms as the machine's clock has it: for waiting. */
struct timespec clock_deadline(int64_t until_ms);

enum date_precision { DATE_YEAR, DATE_MONTH, DATE_DAY, DATE_MINUTE, DATE_SECOND, DATE_MILLISECOND };

/* A partial date or date-time as the span it covers: from_ms inclusive, to_ms exclusive, both UTC. */
struct date_span {
    int64_t from_ms;
    int64_t to_ms;
    enum date_precision precision;
    bool has_zone;
};

/* Reads "2020", "2020-02", "2020-02-11", "2020-02-11T14:30:00(.123)(Z|+08:00)". A text without zone
 * is taken at `default_offset_minutes` (site.timezone). Search values may leave out seconds. More than
 * three digits of a fraction are cut for the span. Fails on impossible dates (2020-02-30). */
bool date_parse(struct str text, int default_offset_minutes, struct date_span *span,
                struct error *error) MUST_CHECK;

enum { INSTANT_BYTES = 32 };
/* "2020-02-11T06:30:00.123Z" or with an offset, for example 480 gives "2020-02-11T14:30:00.123+08:00".
 * Writes at most INSTANT_BYTES with NUL and returns the length. */
size_t instant_format(int64_t time_ms, int offset_minutes, char out[INSTANT_BYTES]);

/* Days since 1970-01-01 of a civil date, and back. */
int64_t days_from_civil(int64_t year, unsigned month, unsigned day);
void civil_from_days(int64_t days, int64_t *year, unsigned *month, unsigned *day);

/* Local day number (days since 1970-01-01) at an offset: the day that "closes at 24:00". */
int64_t local_day(int64_t time_ms, int offset_minutes);

#endif
