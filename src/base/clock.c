#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>

enum { MS_PER_MINUTE = 60 * 1000 };
static const int64_t ms_per_day = 24LL * 60 * MS_PER_MINUTE;

static _Atomic int64_t clock_ahead_ms; /* docs/globals.md */

int64_t clock_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + atomic_load(&clock_ahead_ms);
}

void clock_set_ahead(int64_t ahead_ms)
{
    atomic_store(&clock_ahead_ms, ahead_ms);
}

struct timespec clock_deadline(int64_t until_ms)
{
    int64_t real_ms = until_ms - atomic_load(&clock_ahead_ms);
    return (struct timespec){ .tv_sec = real_ms / 1000, .tv_nsec = real_ms % 1000 * 1000000 };
}

int64_t clock_monotonic_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_thread_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Years are counted from March, so that the leap day is the last of its year; 400 years are one era. */
int64_t days_from_civil(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

void civil_from_days(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    *day = (unsigned)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    *month = (unsigned)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    *year = year_of_era + era * 400 + (*month <= 2);
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

int64_t local_day(int64_t time_ms, int offset_minutes)
{
    return floor_div(time_ms + (int64_t)offset_minutes * MS_PER_MINUTE, ms_per_day);
}

static char *put_digits(char *at, unsigned value, size_t count, char after)
{
    for (size_t i = count; i-- > 0;) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    at[count] = after;
    return at + count + 1;
}

/* What each answer and each record of a list has: without printf. */
static size_t format_utc(int64_t rest_ms, unsigned year, unsigned month, unsigned day, char *out)
{
    unsigned rest = (unsigned)rest_ms; /* below a day */
    char *at = put_digits(out, year, 4, '-');
    at = put_digits(at, month, 2, '-');
    at = put_digits(at, day, 2, 'T');
    at = put_digits(at, rest / 3600000, 2, ':');
    at = put_digits(at, rest / 60000 % 60, 2, ':');
    at = put_digits(at, rest / 1000 % 60, 2, '.');
    at = put_digits(at, rest % 1000, 3, 'Z');
    *at = '\0';
    return (size_t)(at - out);
}

size_t instant_format(int64_t time_ms, int offset_minutes, char out[INSTANT_BYTES])
{
    int64_t local_ms = time_ms + (int64_t)offset_minutes * MS_PER_MINUTE;
    int64_t days = floor_div(local_ms, ms_per_day);
    int64_t rest = local_ms - days * ms_per_day;
    int64_t year = 0;
    unsigned month = 0;
    unsigned day = 0;
    civil_from_days(days, &year, &month, &day);
    if (offset_minutes == 0 && year >= 0 && year <= 9999) {
        return format_utc(rest, (unsigned)year, month, day, out);
    }
    char zone[8] = "Z";
    if (offset_minutes != 0) {
        int minutes = offset_minutes < 0 ? -offset_minutes : offset_minutes;
        (void)snprintf(zone, sizeof zone, "%c%02d:%02d", offset_minutes < 0 ? '-' : '+', minutes / 60 % 24,
                       minutes % 60);
    }
    int length = snprintf(out, INSTANT_BYTES, "%04d-%02u-%02uT%02d:%02d:%02d.%03d%s", (int)(year % 10000),
                          month % 100, day % 100, (int)(rest / 3600000), (int)(rest / 60000 % 60),
                          (int)(rest / 1000 % 60), (int)(rest % 1000), zone);
    return (size_t)length;
}

/* Cursor over the text of a date. */
struct date_reader {
    struct str rest;
    bool bad;
};

static int date_digits(struct date_reader *reader, size_t count)
{
    int value = 0;
    if (reader->rest.len < count) {
        reader->bad = true;
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        char c = reader->rest.at[i];
        if (c < '0' || c > '9') {
            reader->bad = true;
            return 0;
        }
        value = value * 10 + (c - '0');
    }
    reader->rest = str_skip(reader->rest, count);
    return value;
}

static bool date_accept(struct date_reader *reader, char c)
{
    if (reader->rest.len == 0 || reader->rest.at[0] != c) {
        return false;
    }
    reader->rest = str_skip(reader->rest, 1);
    return true;
}

static unsigned days_in_month(int year, int month)
{
    static const unsigned char days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

static int date_fraction_ms(struct date_reader *reader)
{
    int value = 0;
    int scale = 100;
    size_t digits = 0;
    while (reader->rest.len > 0 && reader->rest.at[0] >= '0' && reader->rest.at[0] <= '9') {
        value += (reader->rest.at[0] - '0') * scale;
        scale /= 10;
        digits++;
        reader->rest = str_skip(reader->rest, 1);
    }
    reader->bad |= digits == 0;
    return value;
}

static int date_zone_minutes(struct date_reader *reader, struct date_span *span, int default_offset_minutes)
{
    if (reader->rest.len == 0) {
        return default_offset_minutes;
    }
    span->has_zone = true;
    if (date_accept(reader, 'Z')) {
        return 0;
    }
    int sign = date_accept(reader, '-') ? -1 : date_accept(reader, '+') ? 1 : 0;
    int hours = date_digits(reader, 2);
    bool colon = date_accept(reader, ':');
    int minutes = date_digits(reader, 2);
    reader->bad |= sign == 0 || !colon || hours > 14 || minutes > 59;
    return sign * (hours * 60 + minutes);
}

static void date_read_time(struct date_reader *reader, struct date_span *span, int64_t *time_ms)
{
    int hour = date_digits(reader, 2);
    bool colon = date_accept(reader, ':');
    int minute = date_digits(reader, 2);
    int second = 0;
    int fraction_ms = 0;
    span->precision = DATE_MINUTE;
    if (date_accept(reader, ':')) {
        second = date_digits(reader, 2);
        span->precision = DATE_SECOND;
        if (date_accept(reader, '.')) {
            fraction_ms = date_fraction_ms(reader);
            span->precision = DATE_MILLISECOND;
        }
    }
    /* 60 is a leap second: R4's pattern allows it; it counts as the next second. */
    reader->bad |= !colon || hour > 23 || minute > 59 || second > 60;
    *time_ms = ((hour * 60LL + minute) * 60 + second) * 1000 + fraction_ms;
}

static int64_t date_span_length_ms(enum date_precision precision)
{
    switch (precision) {
    case DATE_MINUTE:
        return MS_PER_MINUTE;
    case DATE_SECOND:
        return 1000;
    case DATE_MILLISECOND:
        return 1;
    case DATE_YEAR:
    case DATE_MONTH:
    case DATE_DAY:
        break;
    }
    return ms_per_day;
}

bool date_parse(struct str text, int default_offset_minutes, struct date_span *span, struct error *error)
{
    struct date_reader reader = { .rest = text };
    struct date_span result = { .precision = DATE_YEAR };
    int month = 1;
    int day = 1;
    int64_t time_ms = 0;
    int offset_minutes = default_offset_minutes;
    int year = date_digits(&reader, 4);
    if (!reader.bad && date_accept(&reader, '-')) {
        month = date_digits(&reader, 2);
        result.precision = DATE_MONTH;
        if (!reader.bad && date_accept(&reader, '-')) {
            day = date_digits(&reader, 2);
            result.precision = DATE_DAY;
            if (!reader.bad && date_accept(&reader, 'T')) {
                date_read_time(&reader, &result, &time_ms);
                offset_minutes = date_zone_minutes(&reader, &result, default_offset_minutes);
            }
        }
    }
    bool in_range = !reader.bad && reader.rest.len == 0 && year >= 1 && month >= 1 && month <= 12 &&
                    day >= 1 && (unsigned)day <= days_in_month(year, month);
    if (!in_range) {
        return FAIL(error, ERROR_INPUT,
                    "not a date: expected YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+zz:zz");
    }
    int64_t offset_ms = (int64_t)offset_minutes * MS_PER_MINUTE;
    result.from_ms = days_from_civil(year, (unsigned)month, (unsigned)day) * ms_per_day + time_ms - offset_ms;
    if (result.precision == DATE_YEAR) {
        result.to_ms = days_from_civil(year + 1, 1, 1) * ms_per_day - offset_ms;
    } else if (result.precision == DATE_MONTH) {
        result.to_ms =
            days_from_civil(year + month / 12, (unsigned)(month % 12 + 1), 1) * ms_per_day - offset_ms;
    } else {
        result.to_ms = result.from_ms + date_span_length_ms(result.precision);
    }
    *span = result;
    return true;
}
