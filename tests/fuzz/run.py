#!/usr/bin/env python3
"""Fuzzing. `--replay` runs every harness of a sanitizer build over its seeds (tests/fuzz/corpus/NAME), its findings
(tests/fuzz/regression/NAME) and, for JSON, the public parsing cases. Without it each libFuzzer harness runs for
--seconds; a finding is copied to tests/fuzz/regression/NAME, where it stays."""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get('SHANHAI_SHARED', HERE.parent.parent.parent / 'shared'))


def inputs_of(name):
    files = [p for folder in ('corpus', 'regression') for p in sorted((HERE / folder / name).glob('**/*')) if p.is_file()]
    if name == 'json':
        files += sorted((SHARED / 'suites/json/test_parsing').glob('*.json'))
    if name == 'workflow':
        files += sorted((HERE.parent.parent / 'definitions/workflows').glob('*.json'))
    return files


def replay(harness, name):
    """All files in one process; when that fails, one by one, to name the guilty."""
    files = inputs_of(name)
    env = dict(os.environ, ASAN_OPTIONS='detect_leaks=1', UBSAN_OPTIONS='halt_on_error=1')
    failed = []
    if files and subprocess.run([harness, *files], env=env, capture_output=True).returncode != 0:
        failed = [p for p in files if subprocess.run([harness, p], env=env, capture_output=True).returncode != 0]
    print(f'{name}: {len(files)} inputs, {len(failed)} failed', flush=True)
    for path in failed:
        print(f'  {path}')
    return len(failed)


def fuzz(harness, name, seconds):
    with tempfile.TemporaryDirectory() as work:
        corpus = Path(work) / 'corpus'
        corpus.mkdir()
        for number, path in enumerate(inputs_of(name)):
            shutil.copy(path, corpus / f'{number}')
        dictionary = HERE / f'{name}.dict'
        command = [harness, str(corpus), f'-max_total_time={seconds}', '-timeout=10', '-rss_limit_mb=2048', '-max_len=65536',
                   f'-artifact_prefix={work}/finding-'] + ([f'-dict={dictionary}'] if dictionary.exists() else [])
        made = subprocess.run(command, capture_output=True, text=True, errors='replace')
        findings = sorted(Path(work).glob('finding-*'))
        runs = [line for line in made.stderr.splitlines() if line.startswith(('Done', '#'))][-1:]
        print(f'{name}: {len(findings)} findings  {runs[0] if runs else ""}', flush=True)
        for path in findings:
            kept = HERE / 'regression' / name / path.name
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, kept)
            print(f'  kept as {kept}')
        if made.returncode != 0 and not findings:
            print(made.stderr[-2000:])
        return len(findings) + (made.returncode != 0 and not findings)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--build', required=True)
    parser.add_argument('--replay', action='store_true')
    parser.add_argument('--seconds', default='60')
    options = parser.parse_args()
    bad = 0
    for source in sorted(HERE.glob('*_fuzz.c')):
        name = source.name.removesuffix('_fuzz.c')
        harness = Path(options.build).resolve() / 'tests' / f'{name}_fuzz'
        if not harness.exists():
            print(f'{name}: the harness was not built')
            bad += 1
            continue
        bad += replay(harness, name) if options.replay else fuzz(harness, name, options.seconds)
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
