#!/usr/bin/env python3
"""Runs everything that can fail and counts it: C unit tests, conformance and crash tests in a release and a sanitizer
build, fuzz corpora, the interface by independent clients, the screens in Chromium, the store on PostgreSQL. `--long` adds the thread sanitizer,
more kills and more fuzzing. The last line is `N passed, N failed, N skipped`."""
import argparse
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import postgresql

ROOT = Path(__file__).resolve().parent.parent
SHARED = os.environ.get('SHANHAI_SHARED', str(ROOT.parent / 'shared'))
totals = {'passed': 0, 'failed': 0, 'skipped': 0}
failures = []


def say(text):
    print(text, flush=True)


def count(passed=0, failed=0, skipped=0, what=''):
    totals['passed'] += passed
    totals['failed'] += failed
    totals['skipped'] += skipped
    if failed:
        failures.append(what)


def run(command, **options):
    env = {**os.environ, **options.pop('env', {}), 'SHANHAI_SHARED': SHARED}
    return subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors='replace', stdin=subprocess.DEVNULL, **options)


def build(name, *options, env=None):
    folder = ROOT / 'build' / name
    if not (folder / 'build.ninja').exists():
        made = run(['meson', 'setup', str(folder), *options], env=env or {})
        if made.returncode != 0:
            say(made.stdout[-3000:])
            count(failed=1, what=f'meson setup {name}')
            return None
    made = run(['ninja', '-C', str(folder)])
    if made.returncode != 0:
        say(made.stdout[-6000:])
        count(failed=1, what=f'build {name}')
        return None
    return folder


def cmocka_counts(text):
    """A group prints each test's end; a program that dies leaves a test that began and did not end."""
    began = len(re.findall(r'^\[ RUN      \]', text, re.M))
    passed = len(re.findall(r'^\[       OK \]', text, re.M))
    skipped = len(set(re.findall(r'^\[  SKIPPED \] (\w+)$', text, re.M)))
    return began, passed, skipped


def c_test(test, label, more):
    """One test program: its counts, and what is to be said of it."""
    started = time.time()
    env = {**(test.get('env') or {}), **(more or {})}
    env.update({'ASAN_OPTIONS': 'detect_leaks=1:abort_on_error=0', 'UBSAN_OPTIONS': 'halt_on_error=1:print_stacktrace=1'})
    command, times = test['cmd'], 1
    patience = float(os.environ.get('SHANHAI_TEST_TIMEOUT', '900'))
    if 'SHANHAI_LONG' in os.environ and any(s.split(':')[-1] == 'crash' for s in test['suite']):
        # A thousand kills, in twenty folders: each look at a folder reads all that was ever written in it.
        command, times = [*command[:-1], '50'], 20
    text, code = '', 0
    try:
        for _ in range(times):
            made = run(command, env=env, timeout=patience)
            text, code = text + made.stdout, code or made.returncode
    except subprocess.TimeoutExpired as late:
        text, code = (late.stdout or b'').decode('utf-8', 'replace') if isinstance(late.stdout, bytes) else str(late.stdout), 1
    began, passed, skipped = cmocka_counts(text)
    if began == 0:
        passed, skipped = (1, 0) if code == 0 else (0, 1) if code == 77 else (0, 0)
        began = 1
    failed = began - passed - skipped
    if code not in (0, 77) and failed == 0:
        failed = 1
    said = [f'{label:8} {test["name"]:24} {passed:4} passed {failed} failed {skipped} skipped  {time.time() - started:.1f} s']
    notes = [line for line in text.splitlines() if re.search(r'left out|cases:|suite:|passed, \d+ failed|rounds|kills', line)]
    said += [f'           {note.strip()}' for note in notes[:6]]
    if failed:
        said.append(text[-4000:])
    return (passed, failed, skipped), said


def c_tests(folder, label, suites, only=None, more=None, at_once=2):
    """Each test program by itself, so that its tests are counted one by one; most of them keep one core busy."""
    listed = run(['meson', 'introspect', '--tests', str(folder)])
    if listed.returncode != 0:
        say(listed.stdout[-1000:])
        count(failed=1, what=f'{label}: {folder} is not built (./run build)')
        return
    tests = [test for test in json.loads(listed.stdout)
             if any(s.split(':')[-1] in suites for s in test['suite']) and (not only or test['name'] in only)]
    with ThreadPoolExecutor(at_once) as pool:
        for test, (counts, said) in zip(tests, pool.map(lambda test: c_test(test, label, more), tests)):
            count(*counts, f'{label} {test["name"]}')
            say('\n'.join(said))


def node_tests(label, pattern, env, concurrency='1'):
    """`pattern` is one, or a list of files."""
    files = sorted(str(p.relative_to(ROOT)) for p in ROOT.glob(pattern)) if isinstance(pattern, str) else pattern
    if not files:
        return
    started = time.time()
    try:
        made = run(['node', '--test', f'--test-concurrency={concurrency}', '--test-reporter=spec', *files], env=env,
               timeout=8 * 3600 if 'SHANHAI_LONG' in os.environ else 1800)
    except subprocess.TimeoutExpired:
        count(failed=1, what=f'{label}: not at its end after half an hour')
        return
    numbers = {key: int(value) for key, value in re.findall(r'^ℹ (pass|fail|skipped|cancelled) (\d+)', made.stdout, re.M)}
    failed = numbers.get('fail', 0) + numbers.get('cancelled', 0)
    if made.returncode != 0 and failed == 0:
        failed = 1
    count(numbers.get('pass', 0), failed, numbers.get('skipped', 0), label)
    say(f'{label:33} {numbers.get("pass", 0):4} passed {failed} failed {numbers.get("skipped", 0)} skipped  {time.time() - started:.1f} s')
    for line in made.stdout.splitlines():
        if 'left out' in line:
            say(f'           {line.strip()}')
    if failed:
        say(made.stdout[-8000:])


def web_unit_tests():
    if not (ROOT / 'web' / 'node_modules').exists():
        count(skipped=1)
        return
    made = run(['npm', '--prefix', 'web', 'test', '--silent'], timeout=600)
    plain = re.sub(r'\x1b\[[0-9;]*m', '', made.stdout)
    found = re.search(r'Tests\s+(?:(\d+) failed \| )?(\d+) passed', plain)
    passed, failed = (int(found.group(2)), int(found.group(1) or 0)) if found else (0, 1)
    if made.returncode != 0 and failed == 0:
        failed = 1
    count(passed, failed, 0, 'web unit tests')
    say(f'{"web":8} {"vitest":24} {passed:4} passed {failed} failed 0 skipped')
    if failed:
        say(plain[-4000:])


def lint():
    made = run([sys.executable, 'tools/lint.py', '--quick'])
    ok = made.returncode == 0
    count(1 if ok else 0, 0 if ok else 1, 0, 'lint')
    say(f'{"lint":8} {"format, floors, banned calls":24} {"ok" if ok else "failed"}')
    if not ok:
        say(made.stdout[-4000:])


def fuzz_corpora(asan):
    made = run([sys.executable, 'tests/fuzz/run.py', '--replay', '--build', str(asan)], timeout=900)
    for line in made.stdout.splitlines():
        found = re.match(r'(\S+): (\d+) inputs, (\d+) failed', line)
        if found:
            count(int(found.group(2)) - int(found.group(3)), int(found.group(3)), 0, f'fuzz {found.group(1)}')
            say(f'{"fuzz":8} {line}')
    if made.returncode != 0:
        count(failed=1, what='fuzz replay')
        say(made.stdout[-4000:])


# On a PostgreSQL store: what asks the store itself, and the interface where the store matters.
STORE_TESTS = {'store', 'store_blocks', 'store_erase', 'store_parts', 'store_upkeep', 'store_search', 'store_search_order', 'store_fhir', 'search_oracle'}
STORE_FILES = ['rest', 'write', 'history', 'bundle', 'search', 'search-model', 'rights', 'ways-out', 'figures', 'consult', 'operations', 'bulk', 'subscription',
               'integrity', 'crash', 'smart', 'postgresql', 'postgresql-backup', 'postgresql-trouble', 'erase']
NOT_THERE = {'fault', 'torn', 'disk-full', 'backup', 'load', 'crash-consult'}  # of the file, not of what is stored in it


def postgresql_tests(folder, program):
    if postgresql.programs() is None:
        say('postgresql                        left out: the package postgresql is not installed')
        count(skipped=1)
        return
    every = 'SHANHAI_LONG' in os.environ
    with postgresql.cluster() as cluster:
        env = {'SHANHAI_TEST_POSTGRESQL': cluster.url, 'SHANHAI_TEST_POSTGRESQL_DATA': str(cluster.data)}
        c_tests(folder, 'postgresql', ['unit'], STORE_TESTS, env, at_once=1)  # of one database
        parts = {**env, 'SHANHAI_TEST_PARTITIONS': '4', 'SHANHAI_QUERIES': '300'}
        c_tests(folder, 'partitions', ['unit'], STORE_TESTS - {'store_search', 'store_search_order'}, parts, at_once=1)
        names = [p.name.removesuffix('.test.mjs') for p in sorted((ROOT / 'tests/api').glob('*.test.mjs'))]
        files = [f'tests/api/{n}.test.mjs' for n in names if (n not in NOT_THERE if every else n in STORE_FILES)]
        # The file that kills the server last, and alone.
        last = 'tests/api/postgresql.test.mjs'
        node_tests('api postgresql', [f for f in files if f != last], {**program, **env}, concurrency='3')
        node_tests('postgresql killed', [last], {**program, **env})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--long', action='store_true', help='thread sanitizer, 1,000 kills, longer fuzzing')
    parser.add_argument('--only', default='', help='part of: lint c asan fuzz api browser web postgresql tsan')
    options = parser.parse_args()
    wanted = options.only.split(',') if options.only else ['lint', 'c', 'asan', 'fuzz', 'web', 'api', 'browser', 'postgresql']
    if not os.path.isdir(os.path.join(SHARED, 'suites')):
        say('left out: tests on the public suites and the real CT (SHANHAI_SHARED names no such folder)')
    long_env = {'SHANHAI_LONG': '1'} if options.long else {}
    os.environ.update(long_env)
    started = time.time()
    release = ROOT / 'build' / 'release'
    if 'lint' in wanted:
        lint()
    if 'c' in wanted:
        c_tests(release, 'release', ['unit', 'conformance', 'crash'])
    asan = None
    if {'asan', 'fuzz', 'api'} & set(wanted):
        asan = build('asan', '-Dbuildtype=debugoptimized', '-Db_sanitize=address,undefined', '-Db_lundef=false')
    if asan and 'asan' in wanted:
        c_tests(asan, 'asan', ['unit', 'conformance'])
    if asan and 'fuzz' in wanted and (ROOT / 'tests/fuzz/run.py').exists():
        fuzz_corpora(asan)
    if 'web' in wanted:
        web_unit_tests()
    program = {'SHANHAI_PROGRAM': str(release / 'src/shanhai'), 'SHANHAI_PHANTOM': str(release / 'scenarios/shanhai-phantom')}
    if 'api' in wanted:
        # Each file has a server of its own and mostly waits for it: three at a time fill two cores.
        node_tests('api release', 'tests/api/*.test.mjs', program, concurrency='3')
        if asan:
            # Thousands of questions about what is answered: the release build has been asked them.
            answers_only = {'search-model.test.mjs', 'round-trip.test.mjs'}
            files = sorted(str(p.relative_to(ROOT)) for p in ROOT.glob('tests/api/*.test.mjs') if options.long or p.name not in answers_only)
            node_tests('api asan', files, {**program, 'SHANHAI_PROGRAM': str(asan / 'src/shanhai')}, concurrency='3')
    if 'browser' in wanted:
        node_tests('browser', 'tests/browser/*.test.mjs', program, concurrency='2')
    if 'postgresql' in wanted:
        postgresql_tests(release, program)
    if options.long:
        tsan = build('tsan', '-Dbuildtype=debugoptimized', '-Db_sanitize=thread', '-Db_lundef=false')
        if tsan:
            c_tests(tsan, 'tsan', ['unit'])
    say(f'in {time.time() - started:.0f} s')
    for failure in failures:
        say(f'failed: {failure}')
    say(f'{totals["passed"]} passed, {totals["failed"]} failed, {totals["skipped"]} skipped')
    return 1 if totals['failed'] or totals['passed'] == 0 else 0


if __name__ == '__main__':
    sys.exit(main())
