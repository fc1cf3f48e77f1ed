#!/usr/bin/env python3
"""Images in and out of the real server, beside the floor of the disk: C-STORE from a default storescu on one and four
associations (each acknowledged slice synced), STOW-RS, QIDO, metadata, frames, pictures. Prints one JSON line a row;
medians. The goals are in docs/design.md section 9.

    python3 bench/dicom_bench.py --build build [--slices 300] [--runs 3]
"""
import argparse
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

BOUNDARY = 'shanhai-bench'


def say(row, **figures):
    print(json.dumps({'row': row, 'load': round(os.getloadavg()[0], 1), **figures}), flush=True)


class Server:
    """`shanhai serve` on a fresh folder with one hospital, one doctor and one patient."""

    def __init__(self, program, work):
        self.data = tempfile.mkdtemp(dir=work)
        made = json.loads(subprocess.run([program, 'init', '--data', self.data, '--organization', 'Bench', '--account', 'admin',
                                          '--name', 'Bench'], capture_output=True, check=True).stdout)
        organization = made['organization']
        user = [program, 'user']
        subprocess.run([*user, 'add', 'bench', '--data', self.data, '--role', 'county-doctor', '--organization', organization,
                        '--person', 'Bench'], capture_output=True, check=True)
        posts = subprocess.run([*user, 'posts', 'bench', '--data', self.data], capture_output=True, check=True, text=True).stdout
        post = next(line.split()[0] for line in posts.splitlines() if 'county-doctor' in line)
        token = subprocess.run([*user, 'token', 'bench', '--data', self.data, '--post', post], capture_output=True, check=True, text=True)
        self.token = next(word for word in (token.stdout + token.stderr).split() if word.startswith('shanhai_'))
        self.process = subprocess.Popen([program, 'serve', '--data', self.data, '--port', '0', '--dicom-port', '0', '--quiet',
                                         '--dicom-peer', f'*@127.0.0.1=Organization/{organization}'],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        words = self.process.stdout.readline().split()
        self.port = int(words[1].rsplit(':', 1)[1])
        self.dicom_port = words[3]
        self.connection = http.client.HTTPConnection('127.0.0.1', self.port)

    def ask(self, method, path, body=None, **headers):
        begin = time.monotonic()
        self.connection.request(method, path, body, {'Authorization': f'Bearer {self.token}', **{k.replace('_', '-'): v for k, v in headers.items()}})
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            sys.exit(f'{method} {path}: {answer.status} {content[:300]}')
        return time.monotonic() - begin, content

    def memory(self):
        with open(f'/proc/{self.process.pid}/status', encoding='ascii') as status:
            return int(next(line for line in status if line.startswith('VmHWM')).split()[1]) // 1024

    def processor(self):
        """Seconds of processor that the server has taken."""
        with open(f'/proc/{self.process.pid}/stat', encoding='ascii') as status:
            words = status.read().rsplit(')', 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf('SC_CLK_TCK')

    def stop(self):
        self.process.terminate()
        self.process.wait()


def bench_store(program, work, files, runs):
    for associations in (1, 4):
        rates, peak = [], 0
        for _ in range(runs):
            server = Server(program, work)
            begin = time.monotonic()
            senders = [subprocess.Popen(['storescu', '127.0.0.1', server.dicom_port, *files[i::associations]]) for i in range(associations)]
            if any([sender.wait() for sender in senders]):
                sys.exit('storescu failed')
            rates.append(len(files) / (time.monotonic() - begin))
            peak = max(peak, server.memory())
            server.stop()
            shutil.rmtree(server.data)
        say(f'C-STORE, default sender, {associations} association(s), synced', per_s=round(statistics.median(rates)),
            best=round(max(rates)), rss_peak_mb=peak)


def multipart(files):
    parts = []
    for name in files:
        with open(name, 'rb') as file:
            parts += [f'--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n'.encode(), file.read(), b'\r\n']
    return b''.join([*parts, f'--{BOUNDARY}--\r\n'.encode()])


def bench_frames(server, work, urls, row, rest, accept):
    """Every instance of the series in turn, by a client that is no limit itself (wrk), on one and on six connections."""
    script = os.path.join(work, 'frames.lua')
    paths = ',\n'.join(f'"{url}{rest}"' for url in urls)
    with open(script, 'w', encoding='ascii') as file:
        file.write(f'local paths = {{{paths}}}\nlocal at = 0\n'
                   'request = function() at = at % #paths + 1; return wrk.format("GET", paths[at]) end\n'
                   'done = function(summary) io.write(string.format("SUM %d %d %d %d\\n", summary.requests, summary.duration, summary.bytes, '
                   'summary.errors.status)) end\n')
    for connections in (1, 6):
        begin = server.processor()
        out = subprocess.run(['wrk', '-t1', f'-c{connections}', '-d5', '-s', script, '-H', f'Authorization: Bearer {server.token}',
                              '-H', f'Accept: {accept}', f'http://127.0.0.1:{server.port}'], capture_output=True, check=True, text=True).stdout
        requests, micros, size, bad = (int(word) for word in out.split('SUM ')[1].split()[:4])
        if bad:
            sys.exit(f'{row}: {bad} errors')
        say(f'{row}, {connections} connection(s)', per_s=round(requests / micros * 1e6), mb_per_s=round(size / micros),
            processor_ms=round((server.processor() - begin) / requests * 1000, 3))


def wait_at_rest(server, url):
    """A study is nobody's until it came to rest: unseen, so 404."""
    for _ in range(100):
        server.connection.request('GET', f'{url}/metadata', headers={'Authorization': f'Bearer {server.token}'})
        answer = server.connection.getresponse()
        answer.read()
        if answer.status == 200:
            return
        time.sleep(0.2)
    sys.exit('the study did not come to rest')


def bench_web(program, work, files, runs):
    body = multipart(files)
    rates, server = [], None
    for run in range(runs):
        server = Server(program, work)
        server.ask('POST', '/fhir/Patient', json.dumps({'resourceType': 'Patient', 'identifier': [{'value': 'BENCH'}], 'name': [{'text': 'Bench'}]}),
                   Content_Type='application/fhir+json')
        idle = server.memory()
        took, answer = server.ask('POST', '/dicom-web/studies', body,
                                  Content_Type=f'multipart/related; type="application/dicom"; boundary={BOUNDARY}')
        rates.append(len(body) / took / 1e6)
        say_row = {'mb_per_s': round(statistics.median(rates)), 'best': round(max(rates)), 'rss_growth_mb': server.memory() - idle}
        if run + 1 < runs:
            server.stop()
            shutil.rmtree(server.data)
    say('STOW-RS, one request', **say_row)
    first = json.loads(answer)['00081199']['Value'][0]['00081190']['Value'][0]
    series = first[:first.index('/instances')]
    urls = [item['00081190']['Value'][0] for item in json.loads(answer)['00081199']['Value']]
    wait_at_rest(server, urls[0])
    for row, path, headers in (('QIDO, all instances of the series', f'{series}/instances', {}),
                               ('QIDO, studies', '/dicom-web/studies', {}),
                               ('series metadata, gzip', f'{series}/metadata', {'Accept_Encoding': 'gzip'})):
        times = [server.ask('GET', path, **headers) for _ in range(20)]
        say(row, ms=round(statistics.median(t for t, _ in times) * 1000, 2), bytes=len(times[0][1]))
    kinds = (('frames', '/frames/1', 'multipart/related; type="application/octet-stream"; transfer-syntax=*'),
             ('rendered 256', '/rendered?window=lung&viewport=256,256', 'image/jpeg'))
    for row, rest, accept in kinds:
        if shutil.which('wrk') is None:
            print('left out: wrk is not installed')
            break
        bench_frames(server, work, urls, row, rest, accept)
    for row, rest, accept in kinds[:1]:
        begin = time.monotonic()
        size = sum(len(server.ask('GET', url + rest, Accept=accept)[1]) for url in urls)
        took = time.monotonic() - begin
        say(f'{row}, one connection of this Python client', per_s=round(len(urls) / took), mb_per_s=round(size / took / 1e6))
    server.stop()


def bench_disk(work, size, count):
    """The floor: the same bytes appended and synced one slice at a time."""
    slice_bytes = os.urandom(size // count)
    fd = os.open(os.path.join(work, 'floor'), os.O_CREAT | os.O_WRONLY, 0o600)
    begin = time.monotonic()
    for _ in range(count):
        os.write(fd, slice_bytes)
        os.fdatasync(fd)
    took = time.monotonic() - begin
    os.close(fd)
    say('floor: append and fdatasync a slice', per_s=round(count / took), mb_per_s=round(size / took / 1e6))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--build', default='build/release')
    parser.add_argument('--slices', type=int, default=300)
    parser.add_argument('--runs', type=int, default=3)
    options = parser.parse_args()
    work = tempfile.mkdtemp(prefix='shanhai-dicom-bench-')
    try:
        folder = os.path.join(work, 'ct')
        subprocess.run([os.path.join(options.build, 'scenarios', 'shanhai-phantom'), '--out', folder, '--slices', str(options.slices),
                        '--patient-id', 'BENCH'], check=True, stdout=subprocess.DEVNULL)
        files = sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith('.dcm'))
        program = os.path.join(options.build, 'src', 'shanhai')
        size = sum(os.path.getsize(name) for name in files)
        bench_disk(work, size, len(files))
        if shutil.which('storescu') is None:
            print('left out: storescu (dcmtk) is not installed')
        else:
            bench_store(program, work, files, options.runs)
        bench_web(program, work, files, options.runs)
    finally:
        shutil.rmtree(work)


if __name__ == '__main__':
    main()
