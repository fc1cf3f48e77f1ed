/* policy.h — definitions/policies read and checked: for each role its rights, rules and masked elements.
 * A file is one role {"policy": code, …} or one set of rules that roles include {"set": name, "rules"}.
 * Unknown members, types, interactions, a rule without `custodian`, a chain in `when` and FHIRPath that does
 * not compile are refused with the place: a policy that is not understood never widens what is allowed.
 *
 * Read once at the start into the module's arena; never changes; any thread reads. */
#ifndef SHANHAI_ACCESS_POLICY_H
#define SHANHAI_ACCESS_POLICY_H

#include "access/access.h"

struct fhirpath;

enum {
    POLICY_RULES_MAX = 200, /* of one role, includes too */
    POLICY_TYPES_MAX = 160, /* of one rule */
    POLICY_OPERATIONS_MAX = 32,
    POLICY_BYTES_MAX = 256 * 1024
};

enum policy_custodian {
    POLICY_CUSTODIAN_ANY, /* whoever wrote it */
    POLICY_CUSTODIAN_OWN, /* an organisation of the session's tenant */
    POLICY_CUSTODIAN_LED  /* also one that the tenant leads (OrganizationAffiliation) */
};

struct policy_rule {
    const struct str *types; /* "*" alone is every type */
    size_t types_count;
    uint32_t interactions; /* bit 1 << enum access_interaction; ACCESS_OPERATION when operations_count > 0 */
    const struct str *operations; /* "$transition" … */
    size_t operations_count;
    enum policy_custodian custodian;
    struct str
        when; /* FHIR search expression with %practitioner, %post, %organization, %tenant; absent: any */
    bool granted;
    struct str granted_through;   /* search parameter of reference kind; absent: not asked */
    struct str granted_as;        /* only grants of this kind ("break-glass"); absent: the ordinary ones */
    const struct fhirpath *write; /* NULL: nothing asked */
    const struct fhirpath *const *sees; /* each gives references that must be readable */
    size_t sees_count;
    const struct fhirpath *const *own; /* each gives references to what the tenant itself keeps */
    size_t own_count;
    struct str message; /* Chinese text for a write that the constraint refuses; may be absent */
    struct str message_en;
};

enum policy_mask_kind {
    POLICY_MASK_REMOVE,  /* the element goes */
    POLICY_MASK_INITIAL, /* HumanName: text "张**", the rest goes */
    POLICY_MASK_YEAR     /* date: only the year stays */
};

struct policy_mask_element {
    struct str name; /* top-level element of the type */
    enum policy_mask_kind kind;
};

struct policy_mask {
    struct str type;
    const struct policy_mask_element *elements;
    size_t elements_count;
    const struct str *parameters; /* search parameters that would reveal them */
    size_t parameters_count;
};

struct policy_role {
    struct str code;
    struct str title;
    struct str title_en;
    bool machine; /* "system", "device": no person can hold it */
    const struct str *rights;
    size_t rights_count;
    const struct policy_rule *const *rules;
    size_t rules_count;
    const struct policy_mask *masks;
    size_t masks_count;
};

struct policy_set {
    const struct policy_role *roles;
    size_t roles_count;
};

/* Reads all files; sets may stand in any file, before or after the roles that include them. */
bool policy_read(struct arena *arena, const struct access_policy_file *files, size_t files_count,
                 struct policy_set *set, struct error *error) MUST_CHECK;

/* NULL when no role has this code. */
const struct policy_role *policy_role_find(const struct policy_set *set, struct str code);

/* Whether the rule speaks of the type, and of the act's interaction. */
bool policy_rule_has_type(const struct policy_rule *rule, struct str type);
bool policy_rule_has_act(const struct policy_rule *rule, struct access_act act);

#endif
