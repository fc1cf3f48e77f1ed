/* Statement texts and SQL of indicators on their way to PostgreSQL. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "store/postgresql_values.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str sql = { (const char *)data, size };
    struct postgresql_text text;
    struct error error = { 0 };
    if (postgresql_text_make(sql, &text, &error)) {
        if (text.text.len == 0 || text.parameters_count > POSTGRESQL_PARAMETERS_MAX) {
            abort();
        }
        postgresql_text_free(&text);
    }
    bool fine = postgresql_figure_check(sql, STR("\npublic\nshanhai_sql\n"), &error);
    /* What passes cannot hold a second statement or leave the words that are looked at. */
    if (fine && (str_find_char(sql, ';') < sql.len && str_find_char(sql, '\'') == sql.len)) {
        abort();
    }
    if (fine && (str_find_char(sql, '\\') < sql.len)) {
        abort();
    }
    return 0;
}
