#include "fhirpath/datetime.h"

#include <stdio.h>

#include "base/clock.h"

enum {
    ZONE_EARLIEST_MINUTES = 14 * 60, /* of all zones on earth (FHIR R4 2.24.0.1) */
    ZONE_LATEST_MINUTES = -12 * 60,
    SECONDS_A_DAY = 86400,
    NANOSECONDS_A_SECOND = 1000000000,
};

/* Exactly `count` digits at *rest, taken off. */
static bool take_digits(struct str *rest, size_t count, unsigned *value)
{
    if (rest->len < count) {
        return false;
    }
    unsigned read = 0;
    for (size_t i = 0; i < count; i++) {
        char c = rest->at[i];
        if (c < '0' || c > '9') {
            return false;
        }
        read = read * 10 + (unsigned)(c - '0');
    }
    *value = read;
    *rest = str_skip(*rest, count);
    return true;
}

static bool take_char(struct str *rest, char c)
{
    if (rest->len == 0 || rest->at[0] != c) {
        return false;
    }
    *rest = str_skip(*rest, 1);
    return true;
}

unsigned datetime_days_in_month(int year, unsigned month)
{
    static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    assert(month >= 1);
    assert(month <= 12);
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

static bool take_date(struct str *rest, struct fhirpath_time *time)
{
    unsigned value = 0;
    if (!take_digits(rest, 4, &value)) {
        return false;
    }
    time->year = (int16_t)value;
    time->month = 1;
    time->day = 1;
    time->precision = FHIRPATH_YEAR;
    if (!take_char(rest, '-')) {
        return true;
    }
    if (!take_digits(rest, 2, &value) || value < 1 || value > 12) {
        return false;
    }
    time->month = (uint8_t)value;
    time->precision = FHIRPATH_MONTH;
    if (!take_char(rest, '-')) {
        return true;
    }
    if (!take_digits(rest, 2, &value) || value < 1 ||
        value > datetime_days_in_month(time->year, time->month)) {
        return false;
    }
    time->day = (uint8_t)value;
    time->precision = FHIRPATH_DAY;
    return true;
}

static bool take_fraction(struct str *rest, struct fhirpath_time *time)
{
    unsigned digits = 0;
    uint32_t value = 0;
    while (rest->len > 0 && rest->at[0] >= '0' && rest->at[0] <= '9') {
        if (digits < 9) {
            value = value * 10 + (uint32_t)(rest->at[0] - '0');
            digits++;
        }
        *rest = str_skip(*rest, 1);
    }
    time->fraction_digits = (uint8_t)digits;
    for (unsigned i = digits; i < 9; i++) {
        value *= 10;
    }
    time->nanosecond = value;
    time->precision = FHIRPATH_FRACTION;
    return digits > 0;
}

static bool take_clock(struct str *rest, struct fhirpath_time *time)
{
    unsigned value = 0;
    if (!take_digits(rest, 2, &value) || value > 23) {
        return false;
    }
    time->hour = (uint8_t)value;
    time->precision = FHIRPATH_HOUR;
    if (!take_char(rest, ':')) {
        return true;
    }
    if (!take_digits(rest, 2, &value) || value > 59) {
        return false;
    }
    time->minute = (uint8_t)value;
    time->precision = FHIRPATH_MINUTE;
    if (!take_char(rest, ':')) {
        return true;
    }
    if (!take_digits(rest, 2, &value) || value > 60) {
        return false;
    }
    time->second = (uint8_t)(value > 59 ? 59 : value); /* a leap second has no place in the calendar here */
    time->precision = FHIRPATH_SECOND;
    return !take_char(rest, '.') || take_fraction(rest, time);
}

static bool take_zone(struct str *rest, struct fhirpath_time *time)
{
    if (rest->len == 0) {
        return true;
    }
    time->has_zone = true;
    if (take_char(rest, 'Z')) {
        return true;
    }
    bool west = rest->at[0] == '-';
    unsigned hours = 0;
    unsigned minutes = 0;
    if (!take_char(rest, '+') && !take_char(rest, '-')) {
        return false;
    }
    if (!take_digits(rest, 2, &hours) || !take_char(rest, ':') || !take_digits(rest, 2, &minutes) ||
        hours > 14 || minutes > 59) {
        return false;
    }
    int offset = (int)(hours * 60 + minutes);
    time->offset_minutes = (int16_t)(west ? -offset : offset);
    return true;
}

bool datetime_parse(struct str text, enum fhirpath_kind kind, struct fhirpath_time *time)
{
    struct fhirpath_time read = { .month = 1, .day = 1 };
    if (kind == FHIRPATH_TIME) {
        if (!take_clock(&text, &read) || !take_zone(&text, &read) || text.len > 0) {
            return false;
        }
        *time = read;
        return true;
    }
    if (!take_date(&text, &read)) {
        return false;
    }
    if (kind == FHIRPATH_DATETIME && take_char(&text, 'T') && text.len > 0) {
        if (read.precision != FHIRPATH_DAY || !take_clock(&text, &read) || !take_zone(&text, &read)) {
            return false;
        }
    }
    if (text.len > 0) {
        return false;
    }
    *time = read;
    return true;
}

static size_t format_clock(const struct fhirpath_time *time, char *out, size_t size)
{
    int length = snprintf(out, size, "%02u", time->hour);
    if (time->precision >= FHIRPATH_MINUTE) {
        length += snprintf(out + length, size - (size_t)length, ":%02u", time->minute);
    }
    if (time->precision >= FHIRPATH_SECOND) {
        length += snprintf(out + length, size - (size_t)length, ":%02u", time->second);
    }
    if (time->precision >= FHIRPATH_FRACTION) {
        char digits[16];
        (void)snprintf(digits, sizeof digits, "%09u", time->nanosecond);
        length += snprintf(out + length, size - (size_t)length, ".%.*s", time->fraction_digits, digits);
    }
    return (size_t)length;
}

size_t datetime_format(const struct fhirpath_time *time, enum fhirpath_kind kind,
                       char out[DATETIME_TEXT_BYTES])
{
    if (kind == FHIRPATH_TIME) {
        return format_clock(time, out, DATETIME_TEXT_BYTES);
    }
    int length = snprintf(out, DATETIME_TEXT_BYTES, "%04d", time->year);
    if (time->precision >= FHIRPATH_MONTH) {
        length += snprintf(out + length, DATETIME_TEXT_BYTES - (size_t)length, "-%02u", time->month);
    }
    if (time->precision >= FHIRPATH_DAY) {
        length += snprintf(out + length, DATETIME_TEXT_BYTES - (size_t)length, "-%02u", time->day);
    }
    if (time->precision < FHIRPATH_HOUR) {
        return (size_t)length;
    }
    out[length++] = 'T';
    length += (int)format_clock(time, out + length, DATETIME_TEXT_BYTES - (size_t)length);
    if (time->has_zone && time->offset_minutes == 0) {
        out[length++] = 'Z';
        out[length] = '\0';
    } else if (time->has_zone) {
        int offset = time->offset_minutes < 0 ? -time->offset_minutes : time->offset_minutes;
        length += snprintf(out + length, DATETIME_TEXT_BYTES - (size_t)length, "%c%02d:%02d",
                           time->offset_minutes < 0 ? '-' : '+', offset / 60, offset % 60);
    }
    return (size_t)length;
}

static int64_t to_seconds(const struct fhirpath_time *time)
{
    return days_from_civil(time->year, time->month, time->day) * SECONDS_A_DAY + time->hour * 3600 +
           time->minute * 60 + time->second;
}

/* Sets date and clock; the precision stays. False outside the years 1 … 9999. */
static bool from_seconds(int64_t seconds, struct fhirpath_time *time)
{
    int64_t days = seconds / SECONDS_A_DAY;
    int64_t rest = seconds % SECONDS_A_DAY;
    if (rest < 0) {
        rest += SECONDS_A_DAY;
        days--;
    }
    int64_t year = 0;
    unsigned month = 0;
    unsigned day = 0;
    civil_from_days(days, &year, &month, &day);
    if (year < 0 || year > 9999) {
        return false;
    }
    time->year = (int16_t)year;
    time->month = (uint8_t)month;
    time->day = (uint8_t)day;
    time->hour = (uint8_t)(rest / 3600);
    time->minute = (uint8_t)(rest / 60 % 60);
    time->second = (uint8_t)(rest % 60);
    return true;
}

/* The same moment written in another zone. */
static struct fhirpath_time move_to_zone(struct fhirpath_time time, int offset_minutes)
{
    assert(time.has_zone);
    if (time.offset_minutes != offset_minutes && time.precision >= FHIRPATH_HOUR) {
        (void)from_seconds(to_seconds(&time) + (int64_t)(offset_minutes - time.offset_minutes) * 60, &time);
        time.offset_minutes = (int16_t)offset_minutes;
    }
    return time;
}

static bool compare_parts(const struct fhirpath_time *a, const struct fhirpath_time *b, int *order)
{
    const int64_t parts_a[] = {
        a->year, a->month,  a->day,
        a->hour, a->minute, (int64_t)a->second * NANOSECONDS_A_SECOND + a->nanosecond
    };
    const int64_t parts_b[] = {
        b->year, b->month,  b->day,
        b->hour, b->minute, (int64_t)b->second * NANOSECONDS_A_SECOND + b->nanosecond
    };
    /* N1 6.1.1: seconds and their fraction are one precision. */
    int precise_a = a->precision > FHIRPATH_SECOND ? FHIRPATH_SECOND : a->precision;
    int precise_b = b->precision > FHIRPATH_SECOND ? FHIRPATH_SECOND : b->precision;
    for (int i = 0; i <= precise_a && i <= precise_b; i++) {
        if (parts_a[i] != parts_b[i]) {
            *order = parts_a[i] < parts_b[i] ? -1 : 1;
            return true;
        }
    }
    *order = 0;
    return precise_a == precise_b;
}

bool datetime_compare(const struct fhirpath_time *a, const struct fhirpath_time *b, const int *zone,
                      int *order)
{
    if (a->has_zone == b->has_zone) {
        if (!a->has_zone || a->offset_minutes == b->offset_minutes) {
            return compare_parts(a, b, order);
        }
        struct fhirpath_time moved = move_to_zone(*b, a->offset_minutes);
        return compare_parts(a, &moved, order);
    }
    if (b->has_zone) {
        if (!datetime_compare(b, a, zone, order)) {
            return false;
        }
        *order = -*order;
        return true;
    }
    if (zone != NULL) {
        struct fhirpath_time moved = move_to_zone(*a, *zone);
        return compare_parts(&moved, b, order);
    }
    /* No zone is known for b: the answer stands when it is the same in the first and the last zone. */
    struct fhirpath_time first = move_to_zone(*a, ZONE_EARLIEST_MINUTES);
    struct fhirpath_time last = move_to_zone(*a, ZONE_LATEST_MINUTES);
    int order_last = 0;
    return compare_parts(&first, b, order) && compare_parts(&last, b, &order_last) && *order == order_last;
}

struct fhirpath_time datetime_from_ms(int64_t time_ms, int offset_minutes)
{
    struct fhirpath_time time = { .precision = FHIRPATH_FRACTION,
                                  .fraction_digits = 3,
                                  .has_zone = true,
                                  .offset_minutes = (int16_t)offset_minutes };
    int64_t seconds = time_ms / 1000;
    int64_t rest = time_ms % 1000;
    if (rest < 0) {
        rest += 1000;
        seconds--;
    }
    (void)from_seconds(seconds + (int64_t)offset_minutes * 60, &time);
    time.nanosecond = (uint32_t)(rest * 1000000);
    return time;
}

static bool add_months(struct fhirpath_time *time, int64_t months)
{
    int64_t index = (int64_t)time->year * 12 + (time->month - 1) + months;
    if (index < 12 || index >= 10000 * 12) {
        return false;
    }
    time->year = (int16_t)(index / 12);
    time->month = (uint8_t)(index % 12 + 1);
    unsigned last = datetime_days_in_month(time->year, time->month);
    time->day = (uint8_t)(time->day > last ? last : time->day);
    return true;
}

static bool add_nanoseconds(struct fhirpath_time *time, enum fhirpath_kind kind, int64_t seconds,
                            int64_t nanoseconds)
{
    int64_t rest = (int64_t)time->nanosecond + nanoseconds % NANOSECONDS_A_SECOND;
    seconds += nanoseconds / NANOSECONDS_A_SECOND;
    if (rest < 0) {
        rest += NANOSECONDS_A_SECOND;
        seconds--;
    } else if (rest >= NANOSECONDS_A_SECOND) {
        rest -= NANOSECONDS_A_SECOND;
        seconds++;
    }
    if (kind == FHIRPATH_TIME) {
        /* N1 6.6.7: a time goes round the clock. */
        seconds %= SECONDS_A_DAY;
        int64_t of_day = time->hour * 3600 + time->minute * 60 + time->second + seconds;
        of_day = (of_day % SECONDS_A_DAY + SECONDS_A_DAY) % SECONDS_A_DAY;
        time->hour = (uint8_t)(of_day / 3600);
        time->minute = (uint8_t)(of_day / 60 % 60);
        time->second = (uint8_t)(of_day % 60);
    } else if (!from_seconds(to_seconds(time) + seconds, time)) {
        return false;
    }
    time->nanosecond = (uint32_t)rest;
    return true;
}

/* Length of the units that have one, in milliseconds; 0 for years and months. */
static int64_t unit_ms(struct str unit)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = { { "week", 604800000 }, { "day", 86400000 }, { "hour", 3600000 },
                  { "minute", 60000 },   { "second", 1000 },  { "millisecond", 1 } };
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (str_equal_cstr(unit, units[i].name)) {
            return units[i].ms;
        }
    }
    return 0;
}

/* The amount of a unit of fixed length, for a time of that precision: whole parts of it only. */
static bool add_fixed(struct fhirpath_time *time, enum fhirpath_kind kind, int64_t unit,
                      struct decimal amount)
{
    static const int64_t precision_ms[] = { [FHIRPATH_YEAR] = 365 * 86400000LL,
                                            [FHIRPATH_MONTH] = 30 * 86400000LL,
                                            [FHIRPATH_DAY] = 86400000,
                                            [FHIRPATH_HOUR] = 3600000,
                                            [FHIRPATH_MINUTE] = 60000,
                                            [FHIRPATH_SECOND] = 1,
                                            [FHIRPATH_FRACTION] = 1 };
    int64_t whole_ms = 0;
    struct decimal ms = { 0 };
    /* N1 6.6.7: above seconds the decimal part of the amount is ignored. */
    if ((unit > 1000 && !decimal_rescale(amount, 0, DECIMAL_DOWN, &amount)) ||
        !decimal_multiply(amount, decimal_from_integer(unit), &ms) ||
        !decimal_rescale(ms, 0, DECIMAL_DOWN, &ms) || !decimal_to_integer(ms, &whole_ms) ||
        whole_ms > INT64_MAX / 4 || whole_ms < INT64_MIN / 4) {
        return false;
    }
    int64_t parts = whole_ms / precision_ms[time->precision];
    if (time->precision == FHIRPATH_YEAR || time->precision == FHIRPATH_MONTH) {
        int64_t months = time->precision == FHIRPATH_YEAR ? 12 : 1;
        return parts < 120000 && parts > -120000 && add_months(time, parts * months);
    }
    whole_ms = parts * precision_ms[time->precision];
    if (whole_ms / 1000 > 400000000000 || whole_ms / 1000 < -400000000000) {
        return false;
    }
    if (time->precision == FHIRPATH_SECOND && whole_ms % 1000 != 0) {
        time->precision = FHIRPATH_FRACTION;
        time->fraction_digits = 3;
    }
    return add_nanoseconds(time, kind, whole_ms / 1000, whole_ms % 1000 * 1000000);
}

bool datetime_add(struct fhirpath_time *time, enum fhirpath_kind kind, struct str unit, struct decimal amount)
{
    int64_t fixed = unit_ms(unit);
    if (kind == FHIRPATH_TIME && (fixed == 0 || fixed >= 86400000)) {
        return false;
    }
    struct fhirpath_time moved = *time;
    if (fixed != 0) {
        if (!add_fixed(&moved, kind, fixed, amount)) {
            return false;
        }
        *time = moved;
        return true;
    }
    int64_t months = 0;
    if (!decimal_rescale(amount, 0, DECIMAL_DOWN, &amount) || !decimal_to_integer(amount, &months) ||
        months > 200000 || months < -200000) {
        return false;
    }
    months *= str_equal(unit, STR("year")) ? 12 : 1;
    if (moved.precision == FHIRPATH_YEAR) {
        months = months / 12 * 12;
    }
    if (!add_months(&moved, months)) {
        return false;
    }
    *time = moved;
    return true;
}
