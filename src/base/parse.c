#include "base/parse.h"

#include <stdlib.h>

bool parse_uint64(struct str text, uint64_t max, uint64_t *value)
{
    uint64_t result = 0;
    if (text.len == 0) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(unsigned char)text.at[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(result, 10u, &result) ||
            __builtin_add_overflow(result, digit, &result)) {
            return false;
        }
    }
    if (result > max) {
        return false;
    }
    *value = result;
    return true;
}

bool parse_int64(struct str text, int64_t min, int64_t max, int64_t *value)
{
    bool negative = text.len > 0 && text.at[0] == '-';
    uint64_t magnitude = 0;
    if (!parse_uint64(negative ? str_skip(text, 1) : text, (uint64_t)INT64_MAX, &magnitude)) {
        return false;
    }
    int64_t result = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    if (result < min || result > max) {
        return false;
    }
    *value = result;
    return true;
}

bool parse_double(struct str text, double *value)
{
    char copy[64];
    if (text.len == 0 || text.len >= sizeof copy) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool allowed = (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E';
        if (!allowed) {
            return false;
        }
        copy[i] = c;
    }
    copy[text.len] = '\0';
    /* The program never calls setlocale: strtod reads the C locale's point (design.md section 11). */
    char *end = NULL;
    double result = strtod(copy, &end);
    if (end != copy + text.len) {
        return false;
    }
    *value = result;
    return true;
}

bool size_add_checked(size_t a, size_t b, size_t *sum)
{
    return !__builtin_add_overflow(a, b, sum);
}

bool size_multiply_checked(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}
