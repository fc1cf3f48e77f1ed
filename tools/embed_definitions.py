#!/usr/bin/env python3
"""Puts the rule files of definitions/ into the program.   tools/embed_definitions.py DEFINITIONS OUTPUT.c DEPFILE"""
import sys
from pathlib import Path

FOLDERS = ('workflows', 'views', 'topics', 'indicators', 'reports', 'policies', 'codesystems', 'questionnaires')


def array(name, text):
    """Bytes, not string literals: C99 compilers need not take literals over 4,095 bytes."""
    data = text.encode()
    rows = [', '.join(f'{b if b < 128 else b - 256}' for b in data[i:i + 40]) for i in range(0, len(data), 40)]
    return f'static const char {name}[] = {{\n    ' + ',\n    '.join(rows) + ',\n};'


def main():
    folder, output, depfile = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    files = [p for name in FOLDERS for p in sorted((folder / name).glob('*.json'))] + sorted(folder.glob('*.json')) + [folder / 'r4/profiles.json']
    lines = ['/* Made by tools/embed_definitions.py. */', '#include "cli/definitions.h"', '']
    lines += [array(f'file_{number}', path.read_text()) for number, path in enumerate(files)]
    lines.append('const struct definition_file definition_files[] = {')
    lines += [f'    {{ "{path.relative_to(folder)}", {{ file_{number}, sizeof file_{number} }} }},'
              for number, path in enumerate(files)]
    lines += ['};', f'const size_t definition_files_count = {len(files)};', '']
    output.write_text('\n'.join(lines))
    # The folders too: a file that is new or gone changes them.
    folders = [p for p in (folder, folder / 'r4', *(folder / name for name in FOLDERS)) if p.is_dir()]
    depfile.write_text(f'{output}: ' + ' '.join(str(p) for p in [*folders, *files]) + '\n')


if __name__ == '__main__':
    main()
