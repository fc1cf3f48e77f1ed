/* indicator.h — figures: each is a file of definitions/indicators with a name, a unit, a rule in words and one SQL
 * statement over views (docs/indicators.md). The list, the report and the screen ask here, so they cannot disagree;
 * each figure names the resources it counted. Loaded at start, then read by many threads. */
#ifndef SHANHAI_VIEW_INDICATOR_H
#define SHANHAI_VIEW_INDICATOR_H

#include "base/arena.h"
#include "base/error.h"
#include "base/table.h"
#include "json/json.h"
#include "store/views.h"

struct indicator {
    struct str code;
    struct str name_zh;
    struct str name_en;
    struct str unit_zh;
    struct str unit_en;
    struct str rule_zh; /* 统计口径 */
    struct str rule_en;
    struct str sql;       /* one row: value, and numerator, denominator where it is a ratio */
    struct str drill_sql; /* resource_key, value (may be NULL), at: what was counted */
    unsigned decimals;    /* of the value as shown */
};

struct indicator_set {
    struct arena *arena;
    struct store *store;
    struct table indicators; /* code → struct indicator, in order of their files */
    struct json *reports;    /* object: code → definition of definitions/reports */
    int offset_minutes;
};

bool indicator_set_add(struct indicator_set *set, struct str text, struct error *error) MUST_CHECK;

/* definitions/reports: {"code","title","sections":[{"title","indicators":[code …]}]}; every code must be known. */
bool indicator_set_add_report(struct indicator_set *set, struct str text, struct error *error) MUST_CHECK;

/* A day, and whose figures. */
struct indicator_scope {
    int64_t day;              /* local day number: from 00:00 to 24:00 */
    struct str organizations; /* Organization ids with a blank between each two; absent = all there are */
    uint64_t as_of_seq;       /* 0 = as known now */
};

struct indicator_value {
    bool known; /* false: nothing to measure (median of nothing); never shown as 0 */
    double value;
    bool has_parts;
    double numerator;
    double denominator;
    uint64_t seq; /* of the snapshot it was taken from */
};

bool indicator_value(const struct indicator_set *set, struct arena *arena, const struct indicator *indicator,
                     const struct indicator_scope *scope, struct indicator_value *value,
                     struct error *error) MUST_CHECK;

struct indicator_counted {
    uint64_t resource; /* key */
    bool has_value;
    double value;
    int64_t at_ms; /* 0 = none */
};

bool indicator_drill(const struct indicator_set *set, struct arena *arena, const struct indicator *indicator,
                     const struct indicator_scope *scope, struct indicator_counted **counted, size_t *count,
                     struct error *error) MUST_CHECK;

#endif
