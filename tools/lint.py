#!/usr/bin/env python3
"""The rules of the house that a machine can hold: format, floors, banned calls, SQL text, globals, paths and hosts.
`--quick` leaves out the analysers (clang-tidy, cppcheck)."""
import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLOORS = re.findall(r"^subdir\('(\w+)'\)", (ROOT / 'src/meson.build').read_text(), re.M)
BANNED = ('strcpy', 'strcat', 'sprintf', 'vsprintf', 'strtok', 'atoi', 'atol', 'atof', 'gets', 'rand', 'localtime', 'gmtime',
          'alloca', 'setjmp', 'longjmp', 'system', 'popen')
findings = []


def tell(path, line, text):
    findings.append(f'{path.relative_to(ROOT)}:{line}: {text}')


def tracked(*patterns):
    listed = subprocess.run(['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard', '--', *patterns], cwd=ROOT,
                            stdout=subprocess.PIPE, check=True).stdout.decode()
    return [ROOT / name for name in listed.split('\0') if name and (ROOT / name).is_file()]


def without_comments(text):
    def blank(match):
        return re.sub(r'[^\n]', ' ', match.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*', blank, text, flags=re.S)


def check_floors(path, code):
    parts = path.relative_to(ROOT).parts
    if parts[0] != 'src' or len(parts) < 3:
        return
    own = FLOORS.index(parts[1]) if parts[1] in FLOORS else None
    for number, line in enumerate(code.splitlines(), 1):
        found = re.match(r'\s*#include "(\w+)/', line)
        if own is not None and found and found.group(1) in FLOORS and FLOORS.index(found.group(1)) > own:
            tell(path, number, f'floor: {parts[1]}/ may not include {found.group(1)}/')


def check_calls(path, code):
    is_test = path.relative_to(ROOT).parts[0] == 'tests'  # which may clear its folder by a shell
    for number, line in enumerate(code.splitlines(), 1):
        found = re.search(r'(?<![\w.>])(' + '|'.join(BANNED) + r')\s*\(', line)
        if found and not (is_test and found.group(1) == 'system'):
            tell(path, number, f'banned call: {found.group(1)}')
        if '_Thread_local' in line and not is_test:
            tell(path, number, 'no storage of a thread: each thread pays for it at its start')
        if re.search(r'"\s*(SELECT|INSERT|UPDATE|DELETE)\b[^"]*%[sd]', line):
            tell(path, number, 'SQL is a constant with bound values')


ENGINES = {'libpq-fe.h': ('src/store/postgresql_line.h',)}  # by which the engine's two files have it


def check_engines(path, code):
    for number, line in enumerate(code.splitlines(), 1):
        found = re.match(r'\s*#include <([\w.-]+)>', line)
        if found and str(path.relative_to(ROOT)) not in ENGINES.get(found.group(1), (str(path.relative_to(ROOT)),)):
            tell(path, number, f'{found.group(1)} is for {", ".join(ENGINES[found.group(1)])} alone')
        if re.match(r'\s*#include "store/postgresql_line.h"', line) and path.name not in ('postgresql_line.c', 'postgresql_statement.h', 'postgresql_transaction.c', 'database_postgresql.c'):
            tell(path, number, "the line to the server is the engine's alone")


def check_globals(path, code):
    """A file-scope object that is neither const nor _Atomic."""
    for number, line in enumerate(code.splitlines(), 1):
        if re.match(r'static (?!const|inline|_Atomic|_Thread_local|bool \w+\(|void \w+\()[\w\s\*]+\w+(\[[^\]]*\])*\s*(=|;)', line) \
                and '(' not in line.split('=')[0] and ' const ' not in line.split('=')[0]:
            tell(path, number, 'a global that changes (docs/globals.md)')


def check_text(path):
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        return
    for number, line in enumerate(text.splitlines(), 1):
        if re.search(r'registry\.npmjs|deb\.debian\.org|pypi\.org|repo1\.maven', line) and path.name != 'lint.py':
            tell(path, number, 'the name of a package host')
        if re.search(r'(?<![\w.])/(work|root|home)/', line) and path.name not in ('lint.py', 'LICENSE'):
            tell(path, number, 'a path of one machine')


def check_format(sources):
    made = subprocess.run(['clang-format-14', '--dry-run', '-Werror', *map(str, sources)], cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    for line in sorted(set(re.findall(r'^(\S+:\d+):\d+: error', made.stdout, re.M)))[:40]:
        findings.append(f'{line}: format (clang-format-14 -i)')


def analysers(sources):
    made = subprocess.run(['cppcheck', '--quiet', '--std=c11', '--enable=warning,portability', '--inline-suppr', '-Isrc',
                           '--error-exitcode=1', '--suppress=missingIncludeSystem', *map(str, sources)], cwd=ROOT,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if made.returncode != 0:
        findings.append(made.stdout)


def check_manual():
    """Words that the manual quotes are those of the screens."""
    manual = ROOT / 'docs/manual.zh.md'
    shown = (ROOT / 'web/src/i18n/zh.json').read_text() + ''.join(path.read_text() for path in tracked('definitions/workflows/*.json'))
    for number, line in enumerate(manual.read_text().splitlines(), 1):
        for word in re.findall('“([^”]+)”', line):
            if word not in shown and '*' not in word:
                tell(manual, number, f'no screen says “{word}”')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--quick', action='store_true')
    options = parser.parse_args()
    sources = tracked('src/*.c', 'src/*.h', 'tests/*.c', 'bench/*.c', 'scenarios/*.c')
    for path in sources:
        code = without_comments(path.read_text())
        check_floors(path, code)
        check_calls(path, code)
        check_engines(path, code)
        if path.relative_to(ROOT).parts[0] == 'src' and path.suffix == '.c':
            check_globals(path, code)
    for path in tracked():
        if 'package-lock' not in path.name:
            check_text(path)
    check_format(sources)
    check_manual()
    if not options.quick:
        analysers([path for path in sources if path.relative_to(ROOT).parts[0] == 'src' and path.suffix == '.c'])
    for finding in findings:
        print(finding)
    longest = sorted(((len(p.read_text().splitlines()), p) for p in sources), reverse=True)[:3]
    print(f'{len(sources)} C files; {len(findings)} findings; longest: '
          + ', '.join(f'{p.relative_to(ROOT)} {n}' for n, p in longest))
    return 1 if findings else 0


if __name__ == '__main__':
    sys.exit(main())
