/* settings.h — where the settings of a command come from: a file (--config FILE or SHANHAI_CONFIG) of lines `name = value`, then the
 * environment (SHANHAI_NAME), then the command line. The last that mentions a setting says all of it: a list is not added to
 * one of the file. Names are those of the options. */
#ifndef SHANHAI_CLI_SETTINGS_H
#define SHANHAI_CLI_SETTINGS_H

#include "base/arena.h"
#include "base/error.h"
#include "cli/options.h"

enum setting_source { SETTING_DEFAULT, SETTING_FILE, SETTING_ENVIRONMENT, SETTING_FLAG };

enum { SETTINGS_MAX = 64 };

/* options_read over all three. `sources` (room for `count`) tells where each value is from; texts lie in the arena. False
 * after telling what is wrong on standard error. */
bool settings_read(struct arena *arena, const struct option *options, size_t count, int argc, char **argv,
                   enum setting_source *sources, bool *help);

/* The values as such a file, each with where it is from. A password in a URL is not shown. */
void settings_print(const struct option *options, size_t count, const enum setting_source *sources);

#endif
