/* datetime.h — dates, dateTimes and times as FHIRPath sees them: as precise as they were written.
 * Values only; any thread. */
#ifndef SHANHAI_FHIRPATH_DATETIME_H
#define SHANHAI_FHIRPATH_DATETIME_H

#include "fhirpath/fhirpath.h"

enum { DATETIME_TEXT_BYTES = 48 };

/* "2012-04", "2012-04-15T10:30:00.000+02:00" ("2012T" too), "10:30". `kind` is FHIRPATH_DATE, _DATETIME (which
 * also takes a date) or _TIME. Whole text; false for what is no date. */
bool datetime_parse(struct str text, enum fhirpath_kind kind, struct fhirpath_time *time) MUST_CHECK;

/* As it would be written in FHIR, without @ and without the T before a Time. A dateTime of date precision
 * is written as a date. Returns the length. */
size_t datetime_format(const struct fhirpath_time *time, enum fhirpath_kind kind,
                       char out[DATETIME_TEXT_BYTES]);

/* Two times of days, or two dates or dateTimes. False when the answer is not known (N1 6.2): one is less
 * precise, or only one has a zone and `zone` (NULL: not known) would decide. */
bool datetime_compare(const struct fhirpath_time *a, const struct fhirpath_time *b, const int *zone,
                      int *order) MUST_CHECK;

/* Adds an amount of a unit ("year" … "millisecond"; fractions only of seconds). N1 6.6.7: on
 * a partial time the amount is turned into its precision, and the day is cut to the month's last. False
 * when the result leaves the years 1 … 9999 or a Time is given days. */
bool datetime_add(struct fhirpath_time *time, enum fhirpath_kind kind, struct str unit,
                  struct decimal amount) MUST_CHECK;

/* The moment of a clock reading at an offset, with milliseconds. */
struct fhirpath_time datetime_from_ms(int64_t time_ms, int offset_minutes);

unsigned datetime_days_in_month(int year, unsigned month);

#endif
