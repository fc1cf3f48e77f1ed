/* units_table.h — inside of src/fhirpath: the rows of units_table.c. Binary prefixes (Ki, Mi …) are left out. */
#ifndef SHANHAI_FHIRPATH_UNITS_TABLE_H
#define SHANHAI_FHIRPATH_UNITS_TABLE_H

#include <stdbool.h>
#include <stddef.h>

enum unit_kind {
    UNIT_BASE,    /* `units` is the number of its dimension */
    UNIT_DERIVED, /* `number` times `units` */
    UNIT_CELSIUS, /* K with another zero */
    UNIT_FAHRENHEIT,
    UNIT_ARBITRARY
};

struct unit_row {
    const char *code;
    enum unit_kind kind;
    bool metric;
    const char *number;
    const char *units;
};

struct unit_prefix {
    const char *code;
    int exponent;
};

extern const struct unit_row unit_rows[];
extern const size_t unit_rows_count;
extern const struct unit_prefix unit_prefixes[];
extern const size_t unit_prefixes_count;

#endif
