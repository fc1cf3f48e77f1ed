/* What a structural validation tells, with its path and the nearest name. */
#include "fhir/validate_run.h"

enum { NEAR_NAME_BYTES = 64 /* longer names have no near name */ };

void validate_tell(struct validate_run *run, const struct outcome_place *place, struct validate_issue issue)
{
    outcome_add(run->outcome, (struct outcome_issue){ .severity = OUTCOME_ERROR,
                                                      .code = issue.code,
                                                      .path = outcome_path(run->arena, place),
                                                      .text = issue.text,
                                                      .chinese = issue.chinese });
}

/* Number of single-letter changes between two names, cut at 3. */
static size_t name_distance(struct str a, struct str b)
{
    size_t row[NEAR_NAME_BYTES + 1];
    for (size_t j = 0; j <= b.len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t change = diagonal + (a.at[i - 1] == b.at[j - 1] ? 0 : 1);
            size_t least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            diagonal = row[j];
            row[j] = change < least ? change : least;
        }
    }
    return row[b.len];
}

static struct str near_name(const struct model_type *type, struct str name)
{
    struct str best = STR_NONE;
    size_t best_distance = 3;
    for (size_t i = 0; name.len <= NEAR_NAME_BYTES && i < type->elements_count; i++) {
        struct str candidate = type->elements[i].name;
        if (candidate.len > NEAR_NAME_BYTES || candidate.len + 3 < name.len || name.len + 3 < candidate.len) {
            continue;
        }
        size_t distance = str_equal_ignore_case(candidate, name) ? 0 : name_distance(candidate, name);
        if (distance < best_distance && distance * 2 < name.len) {
            best_distance = distance;
            best = candidate;
        }
    }
    return best;
}

void validate_tell_unknown(struct validate_run *run, const struct model_type *type,
                           const struct outcome_place *place)
{
    struct str choice_first = STR_NONE;
    for (size_t i = 0; i < type->elements_count && choice_first.len == 0; i++) {
        if (str_equal(type->elements[i].choice, place->name)) {
            choice_first = type->elements[i].name;
        }
    }
    struct str near = choice_first.len > 0 ? choice_first : near_name(type, place->name);
    struct validate_issue issue = { .code = "structure" };
    if (near.len > 0) {
        issue.text = arena_printf(run->arena, "%.*s has no such element; did you mean '%.*s'?",
                                  STR_FMT(type->name), STR_FMT(near));
        issue.chinese = arena_printf(run->arena, "%.*s 没有这个元素；是否应为“%.*s”？", STR_FMT(type->name),
                                     STR_FMT(near));
    } else {
        issue.text = arena_printf(run->arena, "%.*s has no such element; remove it.", STR_FMT(type->name));
        issue.chinese = arena_printf(run->arena, "%.*s 没有这个元素，请删除。", STR_FMT(type->name));
    }
    validate_tell(run, place, issue);
}
