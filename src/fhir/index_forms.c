/* The forms that rows and questions share: keys, ranges, normalised text. */
#include <math.h>

#include <unicode/unorm2.h>
#include <unicode/ustring.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/parse.h"
#include "fhir/index.h"
#include "fhir/primitive.h"
#include "fhirpath/units.h"
#include "model/model.h"

/* Seeds keep the kinds of keys apart. They are part of the store's format. */
enum { SEED_URI = 5, SEED_CODE = 6, SEED_SYSTEM = 7, SEED_SYSTEM_ONLY = 8, SEED_EXACT = 9 };
static_assert(INDEX_STRING_BYTES + INDEX_MARK_BYTES <= LIMIT_STORE_INDEX_TEXT_BYTES, "the mark is not cut");

static uint64_t not_zero(uint64_t key)
{
    return key == 0 ? 1 : key;
}

uint64_t index_token_key(struct str system, struct str code)
{
    if (system.at == NULL) {
        return not_zero(hash64(code, SEED_CODE));
    }
    if (code.at == NULL) {
        return not_zero(hash64(system, SEED_SYSTEM_ONLY));
    }
    return not_zero(hash64_combine(hash64(system, SEED_SYSTEM), hash64(code, SEED_CODE)));
}

uint64_t index_identifier_key(struct str system, struct str value)
{
    uint64_t whole = hash64_combine(hash64(system, SEED_SYSTEM), hash64(value, SEED_CODE));
    return not_zero((index_token_key(STR_NONE, value) & ~(uint64_t)UINT32_MAX) | (whole & UINT32_MAX));
}

uint64_t index_uri_key(struct str uri)
{
    return not_zero(hash64(uri, SEED_URI));
}

uint64_t index_reference_key(struct str reference, struct str base_url)
{
    if (reference.len == 0 || reference.at[0] == '#') {
        return 0;
    }
    struct str rest = reference;
    if (base_url.len > 0 && str_starts_with(rest, base_url)) {
        struct str after = str_skip(rest, base_url.len);
        rest = after.len > 0 && after.at[0] == '/' ? str_skip(after, 1) : after;
    }
    rest = str_slice(rest, 0, str_find(rest, STR("/_history/")));
    size_t slash = str_find_char(rest, '/');
    struct str type = str_slice(rest, 0, slash);
    struct str id = str_skip(rest, slash + 1);
    if (slash < rest.len && primitive_is_id(id) && model_resource_find(type) != NULL) {
        return hash_resource_key(type, id);
    }
    return index_uri_key(reference);
}

uint32_t index_parameter_with(struct str type, struct str code, struct str modifier)
{
    char name[128] = { 0 };
    size_t len = 0;
    if (code.len + modifier.len + 1 <= sizeof name) {
        memcpy(name, code.at, code.len);
        name[code.len] = ':';
        memcpy(name + code.len + 1, modifier.at, modifier.len);
        len = code.len + 1 + modifier.len;
    }
    return hash_parameter(type, (struct str){ name, len });
}

uint32_t index_composite_parameter(uint32_t parameter, uint64_t key)
{
    uint32_t number = (uint32_t)(hash64_combine(parameter, key) >> 33);
    return number == 0 ? 1 : number;
}

uint32_t index_composite_part(uint32_t parameter, size_t component, size_t repetition)
{
    return index_composite_parameter(parameter, (uint64_t)repetition << 8 | component);
}

size_t index_aliases(struct arena *arena, struct str type, struct str code,
                     struct str aliases[INDEX_ALIASES_MAX])
{
    struct str combo = STR("combo-");
    aliases[0] = str_equal(code, STR("phonetic")) ? STR("name") : code;
    if (!str_equal(type, STR("Observation")) || !str_starts_with(code, combo)) {
        return 1;
    }
    aliases[0] = str_skip(code, combo.len);
    aliases[1] = arena_printf(arena, "component-%.*s", STR_FMT(aliases[0]));
    return 2;
}

uint32_t index_inside_parameter(uint32_t reference, uint32_t inner)
{
    return index_composite_parameter(reference, UINT64_C(0x696e73696465) << 16 ^ inner);
}

uint32_t index_contained_parameter(void)
{
    return index_parameter_with(STR("Resource"), STR("contained"), STR("type"));
}

uint64_t index_contained_key(struct str type)
{
    return index_token_key(STR_NONE, type);
}

bool index_number_range(struct str digits, double *low, double *high)
{
    double value = 0;
    if (!parse_double(digits, &value)) {
        return false;
    }
    int decimals = 0;
    bool fraction = false;
    size_t at = 0;
    for (; at < digits.len && digits.at[at] != 'e' && digits.at[at] != 'E'; at++) {
        decimals += fraction ? 1 : 0;
        fraction = fraction || digits.at[at] == '.';
    }
    int64_t exponent = 0;
    struct str written = str_skip(digits, at + 1);
    written = str_starts_with(written, STR("+")) ? str_skip(written, 1) : written;
    if (at < digits.len && !parse_int64(written, -400, 400, &exponent)) {
        return false;
    }
    double half = 0.5 * pow(10.0, (double)exponent - decimals);
    *low = value - half;
    *high = value + half;
    return isfinite(*low) && isfinite(*high);
}

bool index_scale_of(struct arena *arena, struct str system, struct str code, struct index_scale *scale)
{
    struct str dimension = STR_NONE;
    double zero = 0;
    double one = 0;
    if (!str_equal(system, STR("http://unitsofmeasure.org")) ||
        !units_canonical(arena, decimal_from_integer(0), code, &zero, &dimension) ||
        !units_canonical(arena, decimal_from_integer(1), code, &one, &dimension)) {
        return false;
    }
    *scale = (struct index_scale){ .slope = one - zero,
                                   .offset = zero,
                                   .key = index_token_key(STR("dimension"), dimension) };
    return true;
}

double index_to_base(const struct index_scale *scale, double value)
{
    enum { DIGITS = 12 };
    double base = value * scale->slope + scale->offset;
    if (!isfinite(base) || fabs(base) < 1e-200 || fabs(base) > 1e200) {
        return base;
    }
    double unit = pow(10.0, DIGITS - 1 - floor(log10(fabs(base))));
    return round(base * unit) / unit;
}

/* ---- places ---- */

bool index_place_of(double latitude, double longitude, struct index_place *place)
{
    if (!isfinite(latitude) || !isfinite(longitude) || fabs(latitude) > 90 || fabs(longitude) > 180) {
        return false;
    }
    double lift = latitude * M_PI / 180;
    double turn = longitude * M_PI / 180;
    *place = (struct index_place){ { cos(lift) * cos(turn), cos(lift) * sin(turn), sin(lift) } };
    return true;
}

double index_chord_squared(double metres)
{
    static const double earth_metres = 6371008.8; /* mean radius */
    double half = metres / earth_metres / 2;
    double chord = half >= M_PI / 2 ? 2 : 2 * sin(half);
    return chord * chord;
}

uint32_t index_place_number(struct str type, struct str code, size_t axis)
{
    static const struct str axes[] = { { "x", 1 }, { "y", 1 }, { "z", 1 } };
    assert(axis < 3);
    return index_parameter_with(type, code, axes[axis]);
}

/* ---- text ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Lower case and single blanks; other bytes as they are. In place is fine: it never grows. */
static size_t fold_ascii(struct str text, char *out)
{
    size_t len = 0;
    bool blank = true; /* cut at the start */
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (is_blank(c)) {
            if (!blank) {
                out[len++] = ' ';
            }
            blank = true;
            continue;
        }
        blank = false;
        out[len++] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    return len > 0 && out[len - 1] == ' ' ? len - 1 : len;
}

/* ASCII and the common Han characters (U+4E00 … U+9FFF): nothing to do but ASCII folding. */
static bool is_simple(struct str text)
{
    for (size_t i = 0; i < text.len;) {
        unsigned char c = (unsigned char)text.at[i];
        if (c < 0x80) {
            i++;
        } else if (c >= 0xE4 && c <= 0xE9 && i + 2 < text.len &&
                   (c != 0xE4 || (unsigned char)text.at[i + 1] >= 0xB8)) {
            i += 3;
        } else {
            return false;
        }
    }
    return true;
}

/* NFKC with case folding, then without combining marks, composed again. STR_NONE on failure. */
static struct str fold_unicode(struct arena *arena, struct str text)
{
    UErrorCode status = U_ZERO_ERROR;
    const UNormalizer2 *fold = unorm2_getNFKCCasefoldInstance(&status);
    const UNormalizer2 *split = unorm2_getNFDInstance(&status);
    const UNormalizer2 *join = unorm2_getNFCInstance(&status);
    /* NFKC grows a character to 18 at most; what does not fit is an attack and is cut by the caller's limit. */
    int32_t room = (int32_t)(text.len * 6 + 64);
    UChar *a = arena_alloc(arena, (size_t)room * sizeof *a);
    UChar *b = arena_alloc(arena, (size_t)room * sizeof *b);
    char *out = arena_alloc(arena, (size_t)room * 3);
    if (a == NULL || b == NULL || out == NULL || U_FAILURE(status)) {
        return STR_NONE;
    }
    int32_t len = 0;
    u_strFromUTF8WithSub(a, room, &len, text.at, (int32_t)text.len, 0xFFFD, NULL, &status);
    len = unorm2_normalize(fold, a, len, b, room, &status);
    len = unorm2_normalize(split, b, len, a, room, &status);
    int32_t kept = 0;
    for (int32_t i = 0; U_SUCCESS(status) && i < len; i++) {
        if (u_charType(a[i]) != U_NON_SPACING_MARK) {
            a[kept++] = a[i];
        }
    }
    len = unorm2_normalize(join, a, kept, b, room, &status);
    int32_t bytes = 0;
    u_strToUTF8WithSub(out, room * 3, &bytes, b, len, 0xFFFD, NULL, &status);
    return U_FAILURE(status) ? STR_NONE : (struct str){ out, (size_t)bytes };
}

struct str index_normalise(struct arena *arena, struct str text)
{
    /* Only the beginning is kept in the index, so only so much is worked on (whole characters). */
    size_t end = text.len;
    if (end > 4 * LIMIT_STORE_INDEX_TEXT_BYTES) {
        end = 4 * LIMIT_STORE_INDEX_TEXT_BYTES;
        while (end > 0 && ((unsigned char)text.at[end] & 0xC0) == 0x80) {
            end--;
        }
    }
    struct str cut = str_slice(text, 0, end);
    if (!is_simple(cut)) {
        cut = fold_unicode(arena, cut);
        if (cut.at == NULL) {
            return STR_NONE;
        }
    }
    char *out = arena_alloc(arena, cut.len + 1);
    if (out == NULL) {
        return STR_NONE;
    }
    return (struct str){ out, fold_ascii(cut, out) };
}

struct str index_string_text(struct arena *arena, struct str text)
{
    struct str normal = index_normalise(arena, text);
    if (normal.at == NULL || (str_equal(normal, text) && normal.len <= INDEX_STRING_BYTES)) {
        return normal;
    }
    size_t end = normal.len;
    bool cut = end > INDEX_STRING_BYTES;
    if (cut) {
        end = INDEX_STRING_BYTES;
        while (end > 0 && ((unsigned char)normal.at[end] & 0xC0) == 0x80) {
            end--;
        }
    }
    char *out = arena_alloc(arena, end + INDEX_MARK_BYTES);
    if (out == NULL) {
        return STR_NONE;
    }
    memcpy(out, normal.at, end);
    out[end] = cut ? INDEX_MARK_CUT : INDEX_MARK_WHOLE;
    uint64_t hash = hash64(text, SEED_EXACT);
    for (size_t i = 1; i < INDEX_MARK_BYTES; i++) {
        out[end + i] = (char)(0x0E + (hash & 0x0F)); /* 0x0E … 0x1D */
        hash >>= 4;
    }
    return (struct str){ out, end + INDEX_MARK_BYTES };
}

static size_t next_character(struct str text, size_t at)
{
    while (at < text.len && ((unsigned char)text.at[at] & 0xC0) == 0x80) {
        at++;
    }
    return at;
}

struct str index_string_end(struct arena *arena, struct str text)
{
    enum { WORKED_ON = 4 * INDEX_STRING_BYTES };
    struct str normal = index_normalise(arena, text);
    if (normal.len <= INDEX_STRING_BYTES) {
        return STR_NONE;
    }
    struct str last =
        text.len > WORKED_ON ? str_skip(text, next_character(text, text.len - WORKED_ON)) : text;
    normal = index_normalise(arena, last);
    return normal.len > INDEX_STRING_BYTES
               ? str_skip(normal, next_character(normal, normal.len - INDEX_STRING_BYTES))
               : normal;
}
