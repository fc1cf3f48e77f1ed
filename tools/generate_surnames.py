#!/usr/bin/env python3
"""Makes the C table of src/fhir/pinyin.c from definitions/surnames.tsv: a surname of one or two characters, a tab, its readings
with / between them and a blank between syllables.   tools/generate_surnames.py SURNAMES.tsv OUTPUT.c"""
import sys
from pathlib import Path


def main():
    rows = []
    for number, line in enumerate(Path(sys.argv[1]).read_text(encoding='utf-8').splitlines(), 1):
        name, readings = line.split('\t')
        for reading in readings.split('/'):
            syllables = reading.split(' ')
            if len(name) not in (1, 2) or len(syllables) != len(name) or not all(s.isascii() and s.isalpha() and len(s) < 8 for s in syllables):
                sys.exit(f'{sys.argv[1]}:{number}: a surname of one or two characters with a syllable for each')
            second = f'0x{ord(name[1]):04X}, {{ "{syllables[0]}", "{syllables[1]}" }}' if len(name) == 2 else f'0, {{ "{syllables[0]}", NULL }}'
            rows.append((ord(name[0]), f'    {{ 0x{ord(name[0]):04X}, {second} }},'))
    rows.sort(key=lambda row: row[0])
    lines = ['/* Made by tools/generate_surnames.py. */', '#include "fhir/pinyin_surnames.h"', '',
             'const struct pinyin_surname pinyin_surnames[] = {', *[row for _, row in rows], '};',
             'const size_t pinyin_surnames_count = sizeof pinyin_surnames / sizeof *pinyin_surnames;', '']
    Path(sys.argv[2]).write_text('\n'.join(lines), encoding='utf-8')


if __name__ == '__main__':
    main()
