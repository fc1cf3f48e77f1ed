/* units.h — UCUM (the units of fhirpath/units_table.c with their prefixes and the grammar of UCUM
 * section 2: products, quotients, exponents, parentheses, annotations) and FHIRPath's calendar words.
 * Pure functions over constant tables; any thread.
 *
 * A unit is a ratio of decimals times a power of ten, over the seven base dimensions of UCUM, so that
 * conversions between decimal units are exact. Cel and [degF] stand on scales with their own zero. */
#ifndef SHANHAI_FHIRPATH_UNITS_H
#define SHANHAI_FHIRPATH_UNITS_H

#include "fhirpath/fhirpath.h"

enum units_answer {
    UNITS_KNOWN,
    UNITS_UNCERTAIN, /* other dimensions, an unknown unit, or a calendar year beside a UCUM year of 365.25 days */
};

/* "years", "year" … gives "year" in *unit. False for other words. */
bool units_calendar_word(struct str word, struct str *unit) MUST_CHECK;
/* "a" gives "year", "mo", "wk", "d", "h", "min", "s", "ms"; false for other codes. */
bool units_calendar_of_ucum(struct str code, struct str *unit) MUST_CHECK;
/* "year" gives "a"; a word that is no calendar unit comes back as it is. */
struct str units_ucum_of_calendar(struct str unit);

enum units_answer units_compare(const struct fhirpath_quantity *a, const struct fhirpath_quantity *b,
                                int *order);
/* `~`: at the precision of the less precise one; a calendar year is a UCUM year here. */
bool units_equivalent(const struct fhirpath_quantity *a, const struct fhirpath_quantity *b);

/* Whether one can be expressed in the other. */
bool units_comparable(struct str a, struct str b);

/* The quantity's value in another unit; false when that has no meaning. */
bool units_convert(const struct fhirpath_quantity *quantity, struct str unit,
                   struct decimal *value) MUST_CHECK;

/* Sum, difference (in the unit of the finer one), product and quotient; false when they have no meaning or memory ran out. */
bool units_add(const struct fhirpath_quantity *a, const struct fhirpath_quantity *b, bool subtract,
               struct fhirpath_quantity *sum) MUST_CHECK;
bool units_multiply(struct arena *arena, const struct fhirpath_quantity *a, const struct fhirpath_quantity *b,
                    bool divide, struct fhirpath_quantity *product) MUST_CHECK;

/* For an index: the value in base units and a text that is the same for all units of one dimension
 * ("g.m-3"). False for a code that is no UCUM of ours: index it as it is. */
bool units_canonical(struct arena *arena, struct decimal value, struct str code, double *canonical,
                     struct str *dimension) MUST_CHECK;

#endif
